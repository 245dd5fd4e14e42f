#!/usr/bin/env bash
# Prints the path of `promtool`, and nothing else on stdout.
#
#   1. $PROMTOOL, when it is set;
#   2. the one on PATH;
#   3. that of Debian's or Ubuntu's package prometheus, unpacked into target/tools/: nothing is installed or started.
#      With AUDIT_TESTS_INSTALL=no it fetches nothing and names the command.
#
# Several processes may call it at once; one fetches, the others wait for it.
set -euo pipefail

fail() {
  printf 'get-promtool: %s\n' "$1" >&2
  exit 1
}

if [[ -n "${PROMTOOL:-}" ]]; then
  [[ -x "$PROMTOOL" ]] || fail "PROMTOOL=$PROMTOOL is no program"
  printf '%s\n' "$PROMTOOL"
  exit 0
fi
type -P promtool && exit 0

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/target/tools
home=$tools/prometheus
mkdir -p "$tools"
exec 9>"$tools/prometheus.lock"
flock 9 || fail "cannot lock $tools/prometheus.lock"
if [[ ! -d "$home" ]]; then
  [[ "${AUDIT_TESTS_INSTALL:-yes}" != no ]] ||
    fail "no promtool found, and AUDIT_TESTS_INSTALL=no: run 'apt-get install prometheus', or set PROMTOOL"
  type -P apt-get >/dev/null || fail "no promtool found: set PROMTOOL to its path"

  temp=$(mktemp -d "$tools/prometheus.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  printf 'get-promtool: fetching the package prometheus\n' >&2
  if [[ $(id -u) == 0 ]]; then
    # The owner of the download would otherwise have to be the user of apt.
    download=(apt-get download --quiet -o APT::Sandbox::User=root prometheus)
    apt-get update --quiet >&2 || fail "apt-get cannot update its lists"
  else
    download=(apt-get download --quiet prometheus)
  fi
  (cd "$temp" && "${download[@]}") >&2 || fail "apt-get cannot download prometheus"
  dpkg-deb --extract "$temp"/prometheus_*.deb "$temp/root"
  mv "$temp/root" "$home"
fi
realpath "$home/usr/bin/promtool"
