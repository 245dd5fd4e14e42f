#!/usr/bin/env bash
# Prints compiler flags that keep the paths of this machine out of what is built, as items of a list in TOML:
#   remapped-paths.sh TARGET
# From the top of the repository. The sources are fetched first, so that it is known where they are.
set -euo pipefail

cargo fetch --quiet --locked --target "$1"
for root in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/ "$PWD/"; do
    printf '"--remap-path-prefix=%s=", ' "$root"
done
