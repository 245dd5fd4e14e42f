#!/usr/bin/env bash
# Runs a PostgreSQL in a new temporary directory until stdin closes, then removes both.
# It is stdin that counts because it closes however the process at its other end dies.
# With a FOLDER the server has its data there, ends in order, and goes on with the data the next time.
#
# Usage: serve-postgres.sh DIRECTORY-OF-INITDB [FOLDER]
# Prints the server's URL, without a database, when the server is up. Each line on stdin is then an order, and is
# answered with the same line when it is done: `crash` ends the server as a crash does, `start` starts it again.
set -euo pipefail

bin=$1 kept=${2:-}

# PostgreSQL refuses to run as root. The other user may not be able to read this file, nor to stand where root stands.
if [[ $(id -u) == 0 ]]; then
  user=nobody
  id -u postgres >/dev/null 2>&1 && user=postgres
  text=$(<"$0")
  [[ -z "$kept" ]] || { mkdir -p "$kept" && chown "$user" "$kept"; }
  cd /
  exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups bash -c "$text" serve-postgres "$@"
fi

if [[ -n "$kept" ]]; then
  home=$kept
  mkdir -p "$home"
  # A server that still ends, of a run before this one.
  exec 8>"$home/lock"
  flock 8
else
  home=$(mktemp -d "${TMPDIR:-/tmp}/audit-postgres.XXXXXX")
fi
data=$home/data
cd "$home"

end() {
  if [[ -n "$kept" ]]; then
    "$bin/pg_ctl" --pgdata "$data" --mode fast --silent --timeout 600 stop >&2 2>/dev/null || true
  else
    "$bin/pg_ctl" --pgdata "$data" --mode immediate --silent stop >&2 2>/dev/null || true
    rm -rf "$home"
  fi
}
trap end EXIT

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
  rm -rf "$data.unfinished"
  "$bin/initdb" --pgdata "$data.unfinished" --username audit --pwfile password --auth scram-sha-256 --no-sync "${locale[@]}" >log 2>&1 &&
    mv "$data.unfinished" "$data"
}

start() {
  local options="-c listen_addresses=127.0.0.1 -c port=$1 -c unix_socket_directories= -c max_connections=200"
  "$bin/pg_ctl" --pgdata "$data" --log "$home/log" --wait --silent -o "$options" start >/dev/null 2>&1 </dev/null 8>&-
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

if [[ -d "$data" ]]; then
  password=$(<password)
else
  password=$(random_hex 16)
  make_cluster || give_up "initdb failed"
fi
start_on_some_port || give_up "the server did not start"
printf 'postgres://audit:%s@127.0.0.1:%s\n' "$password" "$port"
while read -r order; do
  obey "$order" || give_up "could not $order"
  printf '%s\n' "$order"
done
