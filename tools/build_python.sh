#!/usr/bin/env bash
# Build CPython 3.13 on a Debian machine whose own Python is older, and print the interpreter's path.
#
# The source is that of Debian's trixie, from the mirror this machine already uses; apt checks its signature.
# It goes into the user's cache; no system path and none of apt's own lists is touched. About 3 minutes on 2 cores
# (no profile-guided optimization: the time goes into PETSc and torch, not into the interpreter).
set -euo pipefail

readonly suite=trixie package=python3.13
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${XDG_CACHE_HOME:-$HOME/.cache}/eitdip/python-3.13

say() { echo "env: $*" >&2; }
fail() { say "$*"; exit 2; }

if "$prefix/bin/python3.13" -c 'import ensurepip, ssl' 2>/dev/null; then
    say "using the Python built earlier in $prefix"
    echo "$prefix/bin/python3.13"
    exit
fi

# shellcheck source=/dev/null
if ! (. /etc/os-release && [[ $ID == debian ]]) 2>/dev/null || ! command -v apt-get >/dev/null; then
    fail "no Python >= 3.12 here: install one, then run: make env PYTHON=/path/to/python3"
fi

has_header() { echo "#include <$1>" | cc -E -xc -o /dev/null - 2>/dev/null; }
missing=()
command -v xz >/dev/null || missing+=(xz-utils)
{ command -v cc && command -v make && has_header stdio.h; } >/dev/null || missing+=(build-essential)
for pair in bzlib.h:libbz2-dev ffi.h:libffi-dev lzma.h:liblzma-dev openssl/ssl.h:libssl-dev \
    sqlite3.h:libsqlite3-dev zlib.h:zlib1g-dev; do
    has_header "${pair%%:*}" || missing+=("${pair##*:}")
done
if ((${#missing[@]})); then
    say "the build needs ${missing[*]}"
    bash "$tools/apt_install.sh" "${missing[@]}" || exit 2
fi

# apt's download user must be able to enter the folder, hence 755.
work=$(mktemp -d "${TMPDIR:-/tmp}/eitdip-python.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"
mkdir -p "$work"/{lists,cache}/partial "$work"/{cache/archives/partial,source}

# The machine's first plain Debian repository (no updates, no security): where it is configured, and its address.
# shellcheck disable=SC2016  # apt fills these in
IFS='|' read -r entry uri < <(apt-get indextargets --no-release-info \
    --format '$(SOURCESENTRY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
    awk -F'|' '$3 !~ /[-\/]/ && $4 == "main" {print $1 "|" $2}') || fail "apt knows no Debian repository"
keyring=$(sed -nE 's/.*[Ss]igned-[Bb]y[:=] *(\/[^] ]+).*/\1/p' "${entry%:*}" | head -n 1)
keyring=${keyring:-/usr/share/keyrings/debian-archive-keyring.gpg}
echo "deb-src [signed-by=$keyring] ${uri%/} $suite main" >"$work/sources.list"

private_apt() {
    apt-get -q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false "$@" >&2
}
say "fetching the source of $package from Debian $suite (signature checked with $keyring)"
private_apt update
(cd "$work/source" && private_apt source --download-only --only-source "$package")

say "configuring, compiling on $(nproc) cores and installing into $prefix (a few minutes)"
log=$prefix.log
mkdir -p "$(dirname "$prefix")" "$work/build"
tar -xJf "$work"/source/*.orig.tar.xz -C "$work/build" --strip-components=1
if ! (cd "$work/build" && ./configure --prefix="$prefix" --with-ensurepip=install --disable-test-modules &&
    make -j"$(nproc)" && make install DESTDIR="$work/stage") >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    fail "the build failed; its log is $log"
fi
# Into place in one rename, so that an interrupted build never looks like a Python.
rm -rf "$prefix" "$prefix.new"
mv "$work/stage$prefix" "$prefix.new"
mv "$prefix.new" "$prefix"
"$prefix/bin/python3.13" -c 'import ctypes, ensurepip, lzma, sqlite3, ssl' >&2 ||
    fail "the Python that was built lacks a module; see $log"
echo "$prefix/bin/python3.13"
