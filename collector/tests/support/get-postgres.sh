#!/usr/bin/env bash
# Prints the directory that holds `initdb`, `pg_ctl` and `postgres`, and nothing else on stdout.
#
#   1. $PG_BIN, when it is set;
#   2. the directory behind `initdb` on PATH;
#   3. /usr/lib/postgresql/*/bin, the newest first;
#   4. the package of Debian or Ubuntu, installed when this runs as root; no cluster is made and no server started.
#      With AUDIT_TESTS_INSTALL=no it installs nothing and names the command.
#
# Several processes may call it at once; one installs, the others wait for it.
set -euo pipefail

fail() {
  printf 'get-postgres: %s\n' "$1" >&2
  exit 1
}

is_complete() {
  [[ -x "$1/initdb" && -x "$1/pg_ctl" && -x "$1/postgres" ]]
}

find_installed() {
  local candidate
  if candidate=$(type -P initdb); then
    candidate=$(dirname "$(readlink -f "$candidate")")
    is_complete "$candidate" && printf '%s\n' "$candidate" && return
  fi
  while read -r candidate; do
    is_complete "$candidate" && printf '%s\n' "$candidate" && return
  done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort --reverse)
  return 1
}

install_package() {
  printf 'get-postgres: installing the package postgresql\n' >&2
  # Read before the server's package is configured, which would make a cluster and start it.
  mkdir -p /etc/postgresql-common/createcluster.d
  printf 'create_main_cluster = false\n' >/etc/postgresql-common/createcluster.d/no-main-cluster.conf
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends postgresql; } >&2 ||
    fail "apt-get could not install postgresql (its message is above)"
}

if [[ -n "${PG_BIN:-}" ]]; then
  is_complete "$PG_BIN" || fail "PG_BIN=$PG_BIN does not hold initdb, pg_ctl and postgres"
  printf '%s\n' "$PG_BIN"
  exit 0
fi
find_installed && exit 0
if [[ "${AUDIT_TESTS_INSTALL:-yes}" == no ]]; then
  fail "no PostgreSQL found, and AUDIT_TESTS_INSTALL=no: run 'apt-get install postgresql', or set PG_BIN"
fi
if [[ $(id -u) != 0 ]] || ! type -P apt-get >/dev/null; then
  fail "no PostgreSQL found: set PG_BIN to the directory of initdb, pg_ctl and postgres, or install the package postgresql"
fi

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/target/tools
mkdir -p "$tools"
exec 9>"$tools/postgres.lock"
flock 9 || fail "cannot lock $tools/postgres.lock"
find_installed && exit 0
install_package
find_installed || fail "the package postgresql holds no initdb, pg_ctl and postgres below /usr/lib/postgresql"
