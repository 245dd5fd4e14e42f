#!/usr/bin/env bash
# Makes what is released, in target/dist/: both modules, the collector as a static program, their images as OCI layouts
# and as archives of them, bills of materials (CycloneDX), the configurations of deploy/ and envoy/, DIGESTS and SHA256SUMS.
#
#   dist.sh                      everything; needs musl-gcc (Debian: musl-tools)
#   dist.sh --modules            without the collector
#   dist.sh [--modules] --out D  into the folder D, which is made anew
#
# Prints DIGESTS: for each file its sha256 (`code.remote` of Envoy, `https://` of Istio, `http` of Envoy Gateway), and for
# each image the digest of its manifest (`sha256` beside `oci://` and `image`).
# Equal sources make equal bytes, wherever they are built: docs/releases.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
    printf 'dist.sh: %s\n' "$1" >&2
    exit 1
}

out=target/dist with_collector=yes
while (($#)); do
    case $1 in
    --modules) with_collector=no ;;
    --out)
        [[ -n "${2-}" ]] || fail "--out needs a folder"
        out=$2
        shift
        ;;
    *) fail "unknown argument $1 (known: --modules, --out)" ;;
    esac
    shift
done

readonly MODULE_TARGET=wasm32-wasip1
# Static, so that it runs on every Linux, and in an image without a base.
readonly COLLECTOR_TARGET=x86_64-unknown-linux-musl
compiler=$(rustc --version | cut -d ' ' -f 2)

dist() {
    cargo run --quiet --locked --package dist -- "$@"
}

# image KIND FILE NAME: its layout, its archive, its line in DIGESTS.
image() {
    local digest
    digest=$(dist "$1" --file "$out/$2" --name "$3" --out "$out")
    printf 'image %s %s\n' "${digest#sha256:}" "$3" >>"$out/DIGESTS"
}

# sbom FILE PACKAGE TARGET MESSAGES
sbom() {
    dist sbom --file "$out/$1" --package "$2" --target "$3" --build "$4" --compiler "$compiler" \
        --out "$out/$1.cdx.json"
}

build_collector() {
    local paths
    command -v musl-gcc >/dev/null ||
        fail "musl-gcc is missing: install musl-tools, or leave the collector out with --modules"
    if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$COLLECTOR_TARGET"; then
        rustup target add "$COLLECTOR_TARGET" >&2
    fi
    paths=$(tools/remapped-paths.sh "$COLLECTOR_TARGET")
    CARGO_TARGET_DIR=target cargo build --quiet --locked --profile native --package audit-collector \
        --target "$COLLECTOR_TARGET" --config "target.$COLLECTOR_TARGET.rustflags = [$paths]" \
        --message-format json-render-diagnostics >target/audit_collector.build.json
    cp "target/$COLLECTOR_TARGET/native/audit-collector" "$out/"
}

rm -rf "$out"
mkdir -p "$out"
./wasm-build.sh >&2
./wasm-build.sh --lean >&2
cp target/audit_filter.wasm target/audit_filter_lean.wasm "$out/"
files=(audit_filter.wasm audit_filter_lean.wasm)
if [[ $with_collector == yes ]]; then
    build_collector
    files+=(audit-collector)
fi

for file in "${files[@]}"; do
    printf 'file  %s %s\n' "$(sha256sum "$out/$file" | cut -d ' ' -f 1)" "$file" >>"$out/DIGESTS"
done
image module audit_filter.wasm audit-filter
image module audit_filter_lean.wasm audit-filter-lean
sbom audit_filter.wasm audit-filter "$MODULE_TARGET" target/audit_filter.build.json
sbom audit_filter_lean.wasm audit-filter "$MODULE_TARGET" target/audit_filter.build.json
if [[ $with_collector == yes ]]; then
    image program audit-collector audit-collector
    sbom audit-collector audit-collector "$COLLECTOR_TARGET" target/audit_collector.build.json
fi
dist archive --out "$out/deploy.tar" deploy envoy/envoy.yaml envoy/examples

sums=$(cd "$out" && find . -maxdepth 1 -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum)
printf '%s\n' "$sums" >"$out/SHA256SUMS"
cat "$out/DIGESTS"
