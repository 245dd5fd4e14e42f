#!/usr/bin/env bash
# Runs a PostgreSQL in a new temporary directory until stdin closes, then removes both.
# It is stdin that counts because it closes however the process at its other end dies.
#
# Usage: serve-postgres.sh DIRECTORY-OF-INITDB
# Prints the server's URL, without a database, when the server is up. Each line on stdin is then an order, and is
# answered with the same line when it is done: `crash` ends the server as a crash does, `start` starts it again.
set -euo pipefail

bin=$1

# PostgreSQL refuses to run as root. The other user may not be able to read this file, nor to stand where root stands.
if [[ $(id -u) == 0 ]]; then
  user=nobody
  id -u postgres >/dev/null 2>&1 && user=postgres
  text=$(<"$0")
  cd /
  exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups bash -c "$text" serve-postgres "$@"
fi

home=$(mktemp -d "${TMPDIR:-/tmp}/audit-postgres.XXXXXX")
data=$home/data
cd "$home"

remove() {
  "$bin/pg_ctl" --pgdata "$data" --mode immediate --silent stop >&2 2>/dev/null || true
  rm -rf "$home"
}
trap remove EXIT

random_hex() {
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

make_cluster() {
  local locale=(--encoding UTF8 --locale C)
  # The order of a language, which most servers have, and which is not that of the bytes.
  if "$bin/initdb" --help | grep -q -e --icu-locale; then
    locale+=(--locale-provider icu --icu-locale en-US)
  fi
  printf '%s\n' "$password" >password
  "$bin/initdb" --pgdata "$data" --username audit --pwfile password --auth scram-sha-256 --no-sync "${locale[@]}" >log 2>&1
}

start() {
  local options="-c listen_addresses=127.0.0.1 -c port=$1 -c unix_socket_directories= -c max_connections=200"
  "$bin/pg_ctl" --pgdata "$data" --log "$home/log" --wait --silent -o "$options" start >/dev/null 2>&1 </dev/null
}

# Below the range from which the kernel takes ports for others, so that a crashed server finds its own free again.
start_on_some_port() {
  local attempt
  for attempt in 1 2 3 4 5 6 7 8; do
    port=$((15000 + 0x$(random_hex 2) % 16000))
    start "$port" && return
  done
  return 1
}

obey() {
  case $1 in
    crash) "$bin/pg_ctl" --pgdata "$data" --mode immediate --wait --silent stop >/dev/null ;;
    start) start "$port" ;;
    *) return 1 ;;
  esac
}

give_up() {
  printf 'serve-postgres: %s\n' "$1" >&2
  tail -n 20 log >&2
  exit 1
}

password=$(random_hex 16)
make_cluster || give_up "initdb failed"
start_on_some_port || give_up "the server did not start"
printf 'postgres://audit:%s@127.0.0.1:%s\n' "$password" "$port"
while read -r order; do
  obey "$order" || give_up "could not $order"
  printf '%s\n' "$order"
done
