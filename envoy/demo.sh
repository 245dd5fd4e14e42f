#!/usr/bin/env bash
# The whole product on one machine: builds the filter, the collector and the demo programs, starts them behind a real
# Envoy on free ports of 127.0.0.1, sends a handful of requests, and prints what was audited.
#
#   envoy/demo.sh           runs the demo and stops everything; exit code 0 means that every check passed
#   envoy/demo.sh --serve   leaves everything running afterwards, with traffic, until Ctrl-C; the last line it prints
#                           is the address of the collector's page
#
# Needs: a Rust toolchain, curl, and Envoy (see get-envoy.sh). Everything written lands in target/ and in a temporary
# directory that is removed at the end.
set -euo pipefail

case "${1:-}" in
  '') serve=no ;;
  --serve) serve=yes ;;
  *)
    printf 'usage: envoy/demo.sh [--serve]\n' >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs=${CARGO_TARGET_DIR:-target}/debug
patience=30 # seconds that one part may take to come up

temp=$(mktemp -d)
pids=()
interrupted=no

say() { printf 'demo: %s\n' "$1" >&2; }

fail() {
  say "$1"
  exit 1
}

# Stops what was started, last first (so that Envoy goes before the collector), each by its process id.
stop_all() {
  local i waited
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || continue
    for ((waited = 0; waited < 100; waited++)); do
      kill -0 "${pids[i]}" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
}

clean_up() {
  local status=$? log
  trap '' INT TERM
  stop_all
  if [[ $status -ne 0 && $interrupted == no ]]; then
    for log in "$temp"/*.log; do
      [[ -s "$log" ]] || continue
      printf -- '--- last lines of %s\n' "$(basename "$log")" >&2
      tail -n 20 "$log" >&2
    done
  fi
  rm -rf "$temp"
  exit "$status"
}
trap clean_up EXIT
trap 'interrupted=yes; exit 130' INT
trap 'interrupted=yes; exit 143' TERM

# start <name> <command...>: runs in the background, stdout to <name>.out, stderr to <name>.log. Envoy must be a child of
# this shell: it stops when its parent ends.
start() {
  local name=$1
  shift
  "$@" >"$temp/$name.out" 2>"$temp/$name.log" &
  pids+=("$!")
}

# await <name> <command...>: repeats the command until it prints something, and leaves that in $answer. Fails when the
# part started last has ended, or is not ready in time.
await() {
  local name=$1 deadline=$((SECONDS + patience))
  shift
  until answer=$("$@" 2>/dev/null) && [[ -n "$answer" ]]; do
    kill -0 "${pids[-1]}" 2>/dev/null || fail "$name ended right after its start"
    ((SECONDS < deadline)) || fail "$name was not ready within $patience seconds"
    sleep 0.1
  done
}

command -v curl >/dev/null || fail "curl is needed"
say "building the filter, the collector and the demo programs"
./wasm-build.sh >&2
cargo build -p audit-collector -p audit-demo >&2
envoy=$(envoy/get-envoy.sh)

say "starting the collector, the upstream and Envoy"
start collector "$programs/audit-collector" --listen 127.0.0.1:0 --database "sqlite://$temp/audit.db" \
  --logout-action logout
await collector sed -n 's|^listening on http://||p' "$temp/collector.out"
collector=$answer

start upstream "$programs/audit-demo" upstream
await upstream sed -n 's/^grpc //p' "$temp/upstream.out"
upstream_grpc=$answer
upstream_http=$(sed -n 's/^http //p' "$temp/upstream.out")

# envoy.yaml as it is shipped, with other ports: free ones for Envoy (0), the real ones of the other parts. `t` ends the
# line's script after a replacement, so that a new port is never taken for one that is to be replaced.
port() { printf 's/port_value: %s}/port_value: %s}/;t\n' "$1" "${2##*:}"; }
{
  port 9901 0
  port 10000 0
  port 10001 0
  port 8080 "$upstream_http"
  port 50051 "$upstream_grpc"
  port 4318 "$collector"
} >"$temp/ports.sed"
sed -f "$temp/ports.sed" envoy/envoy.yaml >"$temp/envoy.yaml"

# Without hot restart several Envoys can run on one machine without knowing of each other.
start envoy "$envoy" -c "$temp/envoy.yaml" --concurrency 2 --disable-hot-restart --log-level warn \
  --admin-address-path "$temp/admin"
await Envoy cat "$temp/admin"
admin=$answer
await Envoy curl -fsS "http://$admin/ready"
# One line a listener: <name>::<address>.
await Envoy curl -fsS "http://$admin/listeners"
envoy_http=$(sed -n 's/^http:://p' <<<"$answer")
envoy_grpc=$(sed -n 's/^grpc:://p' <<<"$answer")

say "sending requests"
"$programs/audit-demo" drive --http "$envoy_http" --grpc "$envoy_grpc" --upstream "$upstream_http" \
  --collector "http://$collector" --admin "$admin"

if [[ $serve == yes ]]; then
  start traffic "$programs/audit-demo" traffic --http "$envoy_http" --grpc "$envoy_grpc"
  cat <<END
Everything keeps running until Ctrl-C, and a handful of users keep working.

  HTTP through Envoy   http://$envoy_http     e.g. curl http://$envoy_http/check
  gRPC through Envoy   $envoy_grpc
  records              curl 'http://$collector/api/records?limit=20'
  seen by the upstream curl http://$upstream_http/_seen
  statistics           curl 'http://$admin/stats?filter=audit_filter'
  logs                 $temp

The page, with all that is audited as it happens:

http://$collector/
END
  wait -n "${pids[@]}" || true
  fail "one of the parts ended"
fi
