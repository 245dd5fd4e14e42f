# Each recipe is a step of `.ci/run`, which CI runs as a whole.

# Lists the recipes.
default:
    @just --list

# Everything that must hold before a change lands.
all:
    .ci/run

# Formatting, lints of both targets, rustdoc.
check:
    .ci/run format lints rustdoc

# Unit tests, golden files, simulation: without network, root and Envoy.
test:
    .ci/run offline

# All tests, those on a real Envoy, PostgreSQL and Chromium included.
e2e:
    .ci/run tests

# The API and the views on PostgreSQL.
e2e-postgres:
    .ci/run postgres

# The scenarios with the lean module.
e2e-lean:
    .ci/run lean

# What is deployed and released: manifests, quick starts, images, alerts.
deploy:
    .ci/run deploy

# What is released, in target/dist/.
dist:
    ./dist.sh

# Both modules and their sizes.
wasm:
    .ci/run modules

# Licences, sources and versions of dependencies.
deny:
    .ci/run deny

# What the filter costs beside Envoy's own loggers.
bench:
    cargo bench --bench cost

# Sizes and language of the code.
figures:
    tests/figures.py
