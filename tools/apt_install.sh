#!/usr/bin/env bash
# Install Debian packages when run as root where apt is; otherwise print the command and exit 2.
set -euo pipefail

command=(apt-get install -y --no-install-recommends "$@")
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo "env: not root on a Debian-family system; please run: sudo apt-get update && sudo ${command[*]}" >&2
    exit 2
fi
echo "env: ${command[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get -q update && "${command[@]}" -q; } >&2 </dev/null
