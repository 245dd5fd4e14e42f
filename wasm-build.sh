#!/usr/bin/env bash
# Builds the filter for Envoy: target/audit_filter.wasm. The only way in which it is built.
# Prints its size and sha256, and as the last line its path relative to the repository.
#
# Both modules are cut out of one build (tools/cut).
# With --lean it makes target/audit_filter_lean.wasm, which costs every request less: it has no callbacks on
# responses, and refuses a configuration that needs them.
#
# With --crashing it builds target/audit_filter_crashing.wasm instead, which traps when a header asks for it: the
# scenarios show with it what a crash of the VM costs. Never ship that one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

target=wasm32-wasip1
case "${1-}" in
"" | --lean) artefact=target/audit_filter.wasm home=target features=() ;;
--crashing) artefact=target/audit_filter_crashing.wasm home=target/crashing features=(--features crash-for-tests) ;;
*)
    echo "wasm-build.sh: unknown argument $1 (known: --lean, --crashing)" >&2
    exit 1
    ;;
esac

if ! command -v cargo >/dev/null; then
    echo "wasm-build.sh: cargo is not on PATH; install Rust by rustup" >&2
    exit 1
fi
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
    rustup target add "$target" >&2
fi

# What is built depends on this repository alone: `.cargo/config.toml` has the flags.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS

# No path of this machine goes into the module: it would make it larger, and different on every machine.
paths=$(tools/remapped-paths.sh "$target")

# The workspace's own target directory, whatever the caller's environment says, so that the path below holds. The
# messages list what was linked, for the bill of materials.
mkdir -p "$home"
CARGO_TARGET_DIR=$home cargo build --quiet --locked --release --package audit-filter --lib --target "$target" \
    --config "target.$target.rustflags = [$paths]" --message-format json-render-diagnostics \
    ${features[@]+"${features[@]}"} >"$home/audit_filter.build.$$"
mv "$home/audit_filter.build.$$" "$home/audit_filter.build.json"

# Replaced in one step: an Envoy that reads the file never sees half of it.
shape=full
if [[ ${1-} == --lean ]]; then
    shape=lean artefact=target/audit_filter_lean.wasm
fi
cargo run --quiet --locked --package cut -- \
    "$shape" "$home/$target/release/audit_filter.wasm" "$artefact.$$" >&2
mv "$artefact.$$" "$artefact"

echo "size   $(wc -c <"$artefact" | tr -d ' ') bytes"
echo "sha256 $(sha256sum "$artefact" | cut -d ' ' -f 1)"
echo "$artefact"
