#!/usr/bin/env bash
# Prints the directory that holds the Python packages of requirements.txt, and nothing else on stdout.
# Installs them once into target/tools/; several processes may call it at once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/target/tools
home=$tools/python-$(sha256sum "$here/requirements.txt" | cut -c 1-12)

mkdir -p "$tools"
exec 9>"$tools/python.lock"
flock 9
if [[ ! -d "$home" ]]; then
  temp=$(mktemp -d "$tools/python.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  printf 'get-python: installing the packages of tests/requirements.txt\n' >&2
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --root-user-action ignore --target "$temp/home" -r "$here/requirements.txt" >&2
  chmod +x "$temp/home/rotel/rotel-agent"
  mv "$temp/home" "$home"
fi
printf '%s\n' "$home"
