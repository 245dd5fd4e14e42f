#!/usr/bin/env bash
# Prints the directory that holds the packages of package-lock.json for Node, and nothing else on stdout.
# Installs them once into target/tools/; several processes may call it at once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../../../target/tools
home=$tools/node-$(sha256sum "$here/package-lock.json" | cut -c 1-12)

mkdir -p "$tools"
exec 9>"$tools/node.lock"
flock 9
if [[ ! -d "$home" ]]; then
  temp=$(mktemp -d "$tools/node.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  printf 'get-node: installing the packages of package-lock.json\n' >&2
  cp "$here/package.json" "$here/package-lock.json" "$temp"
  npm ci --prefix "$temp" --ignore-scripts --no-audit --no-fund --silent >&2
  mv "$temp" "$home"
fi
realpath "$home"
