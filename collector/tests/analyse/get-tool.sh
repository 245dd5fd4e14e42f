#!/usr/bin/env bash
# Prints the directory that holds the Python packages of <name>.txt, and nothing else on stdout:
#   get-tool.sh duckdb|polars|pandas|chdb|ocsf|cryptography|grafana
#   get-tool.sh <name> <folder of its file>
# Installs them once into target/tools/; several processes may call it at once. With
# AUDIT_TESTS_INSTALL=no it installs nothing and fails.
set -euo pipefail

name=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages=${2:-$here}/$name.txt
tools=$here/../../../target/tools
home=$tools/$name-$(sha256sum "$packages" | cut -c 1-12)
install=(python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
  --only-binary :all: --root-user-action ignore)

mkdir -p "$tools"
exec 9>"$tools/$name.lock"
flock 9
if [[ ! -d "$home" ]]; then
  if [[ "${AUDIT_TESTS_INSTALL:-yes}" == no ]]; then
    printf 'get-tool: %s is not in target/tools, and AUDIT_TESTS_INSTALL=no\n' "$name" >&2
    exit 1
  fi
  temp=$(mktemp -d "$tools/$name.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  printf 'get-tool: installing the packages of %s.txt\n' "$name" >&2
  "${install[@]}" --target "$temp/home" -r "$packages" >&2
  mv "$temp/home" "$home"
fi
realpath "$home"
