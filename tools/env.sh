#!/usr/bin/env bash
# Create or update .venv with eitdip, DOLFINx, torch, gmsh and the developer's tools (make env).
#
# PYTHON=...                chooses the interpreter (default: see find_python.sh)
# PIP_EXTRA_INDEX_URL=...   adds a package index, for instance PyTorch's CPU-only one (see constraints.txt)
set -euo pipefail
trap 'exit 130' INT TERM

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$tools/.."
venv=$PWD/.venv
python=$venv/bin/python
stamp=$venv/.eitdip-complete         # holds the fingerprint of what was installed
unfinished=$venv/.eitdip-unfinished  # exists while pip runs; left behind only by an interrupt

say() { echo "env: $*" >&2; }

# Changes with the requirements, the interpreter and the checkout's place; fails if the environment does not run.
fingerprint() {
    "$python" -I - "$venv" pyproject.toml tools/constraints.txt <<'END' 2>/dev/null
import hashlib, os, sys
import pip
assert sys.version_info >= (3, 12) and os.path.samefile(sys.prefix, sys.argv[1])
digest = hashlib.sha256(f"{sys.argv[1]} {sys.version} {sys.base_prefix}".encode())
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        digest.update(file.read())
print(digest.hexdigest(), sys._base_executable)
END
}

create() {
    local base
    base=$(bash "$tools/find_python.sh")
    say "creating .venv with $base ($("$base" --version))"
    rm -rf "$venv"
    "$base" -m venv "$venv"
}

install() {
    say "installing eitdip and what it needs into .venv (torch is the large one)"
    rm -f "$stamp"
    touch "$unfinished"
    local status=0
    "$python" -m pip install --disable-pip-version-check -c tools/constraints.txt -e ".[all,dev]" || status=$?
    rm -f "$unfinished"
    return $status
}

imports() { "$python" -c 'import dolfinx_solver, dolfinx, h5py, torch, eitdip'; }

# gmsh's wheel links against libraries of the desktop that servers often lack; all but meshing works without.
check_gmsh() {
    local why
    why=$("$python" -c 'import gmsh' 2>&1) && return
    say "gmsh cannot start: ${why##*$'\n'}"
    if [[ $why == *"cannot open shared object"* ]] && bash "$tools/apt_install.sh" \
        libgl1 libglu1-mesa libxcursor1 libxft2 libxinerama1 libxrender1 && "$python" -c 'import gmsh'; then
        return
    fi
    say "going on without gmsh: meshing is unavailable and its tests will be skipped"
}

current=$(fingerprint) || current=
wanted=
[[ -z ${PYTHON:-} ]] || wanted=$(bash "$tools/find_python.sh")
fresh=
if [[ -z $current || -e $unfinished || (-n $wanted && ! $wanted -ef ${current#* }) ]]; then
    create
    fresh=yes
elif [[ -f $stamp && $current == "$(<"$stamp")" ]]; then
    say ".venv is up to date"
    exit
fi
install
if ! imports; then
    [[ -z $fresh ]] || { say "the new .venv does not work: see the error above"; exit 1; }
    say "the old .venv is damaged: starting over"
    create
    install
    imports
fi
check_gmsh
fingerprint >"$stamp"
say ".venv is ready"
