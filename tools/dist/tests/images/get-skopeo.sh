#!/usr/bin/env bash
# Prints the paths of `skopeo` and of `docker-registry`, one a line, and nothing else on stdout. For each:
#
#   1. $SKOPEO, $DOCKER_REGISTRY, when they are set;
#   2. the one on PATH;
#   3. that of the package of Debian or Ubuntu. skopeo is installed when this runs as root. docker-registry is unpacked
#      into target/tools/: its package would start a server.
#      With AUDIT_TESTS_INSTALL=no it installs and fetches nothing, and names the command.
#
# Several processes may call it at once; one installs, the others wait for it.
set -euo pipefail

fail() {
  printf 'get-skopeo: %s\n' "$1" >&2
  exit 1
}

may_install() {
  [[ "${AUDIT_TESTS_INSTALL:-yes}" != no ]] ||
    fail "no $1 found, and AUDIT_TESTS_INSTALL=no: run 'apt-get install $1', or set $2"
  type -P apt-get >/dev/null || fail "no $1 found: set $2 to its path"
}

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../.." && pwd)/target/tools
mkdir -p "$tools"
exec 9>"$tools/skopeo.lock"
flock 9 || fail "cannot lock $tools/skopeo.lock"

if [[ -n "${SKOPEO:-}" ]]; then
  [[ -x "$SKOPEO" ]] || fail "SKOPEO=$SKOPEO is no program"
  printf '%s\n' "$SKOPEO"
elif ! type -P skopeo; then
  may_install skopeo SKOPEO
  [[ $(id -u) == 0 ]] || fail "no skopeo found: install the package skopeo, or set SKOPEO to its path"
  printf 'get-skopeo: installing the package skopeo\n' >&2
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends skopeo; } >&2 ||
    fail "apt-get could not install skopeo (its message is above)"
  type -P skopeo || fail "the package skopeo holds no skopeo"
fi

home=$tools/docker-registry
if [[ -n "${DOCKER_REGISTRY:-}" ]]; then
  [[ -x "$DOCKER_REGISTRY" ]] || fail "DOCKER_REGISTRY=$DOCKER_REGISTRY is no program"
  printf '%s\n' "$DOCKER_REGISTRY"
elif ! type -P docker-registry; then
  if [[ ! -d "$home" ]]; then
    may_install docker-registry DOCKER_REGISTRY
    temp=$(mktemp -d "$tools/docker-registry.XXXXXX")
    trap 'rm -rf "$temp"' EXIT
    printf 'get-skopeo: fetching the package docker-registry\n' >&2
    download=(apt-get download --quiet docker-registry)
    # The owner of the download would otherwise have to be the user of apt.
    if [[ $(id -u) == 0 ]]; then
      download+=(-o APT::Sandbox::User=root)
      apt-get update --quiet >&2 || fail "apt-get cannot update its lists"
    fi
    (cd "$temp" && "${download[@]}") >&2 || fail "apt-get cannot download docker-registry"
    dpkg-deb --extract "$temp"/docker-registry_*.deb "$temp/root"
    mv "$temp/root" "$home"
  fi
  realpath "$home/usr/bin/docker-registry"
fi
