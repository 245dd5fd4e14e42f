#!/usr/bin/env bash
# Prints two lines, the paths of a ChromeDriver and of a Chromium that fit each other: $CHROMEDRIVER_BIN and
# $CHROMIUM_BIN, else what is on PATH, else the system's packages, which it installs when it runs as root on a machine
# with apt. With AUDIT_TESTS_INSTALL=no it installs nothing and names the command.
set -euo pipefail

fail() {
  printf 'get-chromium.sh: %s\n' "$1" >&2
  exit 1
}

# first <name...>: the path of the first program that is there.
first() {
  local name
  for name in "$@"; do
    command -v "$name" && return
  done
  return 1
}

print_found() {
  local driver browser
  driver=$(first "${CHROMEDRIVER_BIN:-chromedriver}") || return 1
  if [[ -n "${CHROMIUM_BIN:-}" ]]; then
    browser=$(first "$CHROMIUM_BIN") || return 1
  else
    browser=$(first chromium chromium-browser google-chrome) || return 1
  fi
  printf '%s\n%s\n' "$driver" "$browser"
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  {
    apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver
  } >&2 || fail "apt-get cannot install chromium and chromium-driver; install them, or name them in CHROMEDRIVER_BIN and CHROMIUM_BIN"
}

print_found && exit
if [[ -n "${CHROMEDRIVER_BIN:-}${CHROMIUM_BIN:-}" ]]; then
  fail "CHROMEDRIVER_BIN or CHROMIUM_BIN names no program, or the other of the two is not on PATH"
fi
if [[ "${AUDIT_TESTS_INSTALL:-yes}" == no ]]; then
  fail "no Chromium found, and AUDIT_TESTS_INSTALL=no: run 'apt-get install chromium chromium-driver', or set CHROMEDRIVER_BIN and CHROMIUM_BIN"
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  fail "needs chromium and chromedriver on PATH, or CHROMEDRIVER_BIN and CHROMIUM_BIN, or root on a machine with apt"
fi

# Several test processes may come here at once; all but the first find what that one has installed.
exec 9>"${TMPDIR:-/tmp}/get-chromium.lock"
flock 9
print_found && exit
install
print_found || fail "chromium and chromium-driver are installed, and not on PATH"
