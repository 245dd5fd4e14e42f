//! What `deploy/` holds: schemas of its kinds, the filter's configurations in it, and what must fit
//! together. No cluster has run it.
#![cfg(test)]

mod compose;
mod configurations;
mod documents;
mod kustomizations;
mod pods;
mod quick_starts;
mod schemas;

use serde_json::json;

use documents::{manifest, manifests};
use schemas::{Schemas, refusals};

/// Groups whose kinds belong to Kubernetes, or have no schema in the data.
const OTHER_GROUPS: [&str; 8] = [
    "apps",
    "batch",
    "gateway.networking.k8s.io",
    "kustomize.config.k8s.io",
    "monitoring.coreos.com",
    "networking.k8s.io",
    "policy",
    "v1",
];

#[test]
fn each_manifest_has_the_schema_of_its_kind() {
    let Some(schemas) = Schemas::load() else {
        return;
    };

    let mut checked = 0;
    for manifest in manifests("") {
        // Of Prometheus itself, which has neither groups nor kinds.
        if manifest.file == "monitoring/alerts.yaml" {
            continue;
        }
        let group = manifest.text("/apiVersion").split('/').next().unwrap();
        let Some(schema) = schemas.of(&manifest.value) else {
            assert!(
                OTHER_GROUPS.contains(&group),
                "{}: {} of {group} has no schema",
                manifest.file,
                manifest.kind()
            );
            continue;
        };
        let refusals = refusals(schema, &manifest.value);
        assert!(refusals.is_empty(), "{}: {refusals:#?}", manifest.file);
        checked += 1;
    }
    assert!(checked > 12, "only {checked} manifests have a schema");
}

#[test]
fn a_manifest_for_another_version_is_refused() {
    let Some(schemas) = Schemas::load() else {
        return;
    };

    // Istio 1.26: https://github.com/istio/istio, releasenotes/notes/wasm-fail-reload.yaml.
    let plugin = manifest("istio/wasm-plugin/sidecars.yaml");
    let strategies = "/properties/spec/properties/failStrategy/enum";
    let mut older = schemas.of(&plugin).unwrap().clone();
    *older.pointer_mut(strategies).unwrap() = json!(["FAIL_CLOSE", "FAIL_OPEN"]);
    let refused = refusals(&older, &plugin);
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0].starts_with("/spec/failStrategy: \"FAIL_RELOAD\""));

    let page = std::fs::read_to_string(documents::root().join("../docs/operations.md")).unwrap();
    let printed = r#"`spec.failStrategy: Unsupported value: "FAIL_RELOAD"`"#;
    assert!(page.contains(printed), "what kubectl prints");

    let mut closing = plugin.clone();
    closing["spec"]["failStrategy"] = json!("FAIL_CLOSE");
    assert!(refusals(&older, &closing).is_empty());

    for (file, pointer, field) in [
        ("istio/wasm-plugin/sidecars.yaml", "/spec", "wasm"),
        ("istio/traffic-extension/sidecars.yaml", "/spec", "url"),
        ("envoy-gateway/policy.yaml", "/spec/wasm/0", "pluginConfig"),
        ("envoy-gateway/proxy.yaml", "/spec/bootstrap", "clusters"),
    ] {
        let mut unknown = manifest(file);
        unknown.pointer_mut(pointer).unwrap()[field] = json!({});
        let refused = refusals(schemas.of(&unknown).unwrap(), &unknown);
        let is_named =
            |text: &String| text.starts_with(&format!("{pointer}: ")) && text.contains(field);
        assert!(refused.iter().any(is_named), "{file}: {refused:#?}");
    }
}
