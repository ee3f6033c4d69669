#!/usr/bin/env bash
# Print the path of a Python >= 3.12 to build the environment on; say on stderr what is tried.
set -euo pipefail

say() { echo "env: $*" >&2; }

# Print the real interpreter behind $1 (not a pyenv shim, not a virtual environment), or fail.
# Only running it tells: shims exist for versions that are not active, Debian splits ensurepip off.
resolve() {
    "$1" -I -c '
import sys, ctypes, ensurepip, ssl, venv, zlib
if sys.version_info < (3, 12):
    sys.exit(1)
print(sys._base_executable)' 2>/dev/null
}

if [[ -n ${PYTHON:-} ]]; then
    resolve "$PYTHON" && exit
    say "PYTHON=$PYTHON does not run, is older than 3.12, or lacks ssl, ctypes, zlib, venv or ensurepip"
    exit 2
fi

say "looking for Python >= 3.12 on the PATH"
for name in python3.14 python3.13 python3.12; do
    resolve "$name" && exit
done

pyenv=${PYENV_ROOT:-$HOME/.pyenv}
if [[ -d $pyenv/versions ]]; then
    say "looking among pyenv's versions in $pyenv"
    for path in "$pyenv"/versions/3.14*/bin/python3 "$pyenv"/versions/3.13*/bin/python3 \
        "$pyenv"/versions/3.12*/bin/python3; do
        resolve "$path" && exit
    done
fi

if command -v uv >/dev/null; then
    say "asking uv for Python 3.13"
    if uv python install 3.13 >&2; then
        resolve "$(uv python find 3.13)" && exit
    fi
fi

say "none found: trying to build one from Debian's sources"
exec bash "$(dirname "${BASH_SOURCE[0]}")/build_python.sh"
