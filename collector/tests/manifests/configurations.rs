//! The filter's configurations in the manifests, and what they need beside them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::documents::{self, manifest, manifests, root};

const KINDS: [&str; 3] = ["EnvoyExtensionPolicy", "TrafficExtension", "WasmPlugin"];

/// Severity and message of each finding in a text.
pub(crate) fn findings(text: &str) -> Vec<(String, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
        .args(["check-config", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();

    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    out.lines()
        .map(|line| {
            let finding: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("severity"), text("message"))
        })
        .collect()
}

/// Only warnings, each of which the README of the platform has.
#[track_caller]
pub(crate) fn assert_documented(platform: &str, findings: &[(String, String)]) {
    let readme = fs::read_to_string(root().join(platform).join("README.md")).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = words(&readme);
    for (severity, message) in findings {
        assert!(
            severity == "warning" && readme.contains(&words(message)),
            "{platform}: {severity}: {message}"
        );
    }
}

#[test]
fn the_filter_accepts_each_configuration() {
    let mut checked = 0;
    for manifest in manifests("") {
        if !KINDS.contains(&manifest.kind()) {
            continue;
        }
        let file = manifest.file;
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let platform = file.split('/').next().unwrap();
        assert_documented(platform, &findings(&text));
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn what_istio_1_26_gets_has_documented_warnings_alone() {
    for name in ["ingress", "sidecars"] {
        let file = root().join(format!("istio/wasm-plugin/{name}.yaml"));
        let text = fs::read_to_string(file).unwrap();
        let found = findings(&text.replace("FAIL_RELOAD", "FAIL_CLOSE"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_documented("istio", &found);
    }
}

#[test]
fn the_hops_of_a_mesh_belong_together() {
    for folder in ["wasm-plugin", "traffic-extension"] {
        let read = |name: &str| {
            fs::read_to_string(root().join(format!("istio/{folder}/{name}.yaml"))).unwrap()
        };
        let both = format!("{}---\n{}", read("ingress"), read("sidecars"));
        assert!(findings(&both).is_empty());
    }
}

#[test]
fn a_traffic_extension_is_its_plugin_in_another_form() {
    for name in ["ingress", "sidecars"] {
        let mut plugin = manifest(&format!("istio/wasm-plugin/{name}.yaml"));
        let extension = manifest(&format!("istio/traffic-extension/{name}.yaml"));
        let spec = plugin["spec"].as_object_mut().unwrap();
        for key in ["selector", "match", "phase"] {
            assert_eq!(spec.remove(key).as_ref(), extension["spec"].get(key));
        }
        assert_eq!(plugin["spec"], extension["spec"]["wasm"]);
    }
}

/// Texts below a key of each item.
fn names<'v>(list: &'v Value, key: &str) -> BTreeSet<&'v str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[key].as_str().unwrap()).collect()
}

#[test]
fn proxies_have_the_variables_of_the_filter() {
    let workload = manifest("istio/options/workload.yaml");
    let given = names(
        &workload["spec"]["template"]["spec"]["containers"][0]["env"],
        "name",
    );
    for manifest in manifests("istio") {
        if let Some(needed) = manifest.value.pointer("/spec/vmConfig/env") {
            assert!(names(needed, "name").is_subset(&given), "{}", manifest.file);
        }
    }

    let proxy = manifest("envoy-gateway/proxy.yaml");
    let container = "/spec/provider/kubernetes/envoyDeployment/container/env";
    let given = names(proxy.pointer(container).unwrap(), "name");
    let policy = manifest("envoy-gateway/policy.yaml");
    let needed = policy.pointer("/spec/wasm/0/env/hostKeys").unwrap();
    let needed: BTreeSet<&str> = needed
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    assert_eq!(needed, given);
}

#[test]
fn the_bootstrap_of_envoy_gateway_has_the_audit_cluster() {
    let proxy = manifest("envoy-gateway/proxy.yaml");
    let bootstrap = proxy["spec"]["bootstrap"]["value"].as_str().unwrap();
    let bootstrap = documents::values(bootstrap).unwrap().swap_remove(0);
    let clusters = &bootstrap["static_resources"]["clusters"];

    let policy = manifest("envoy-gateway/policy.yaml");
    let cluster = &policy["spec"]["wasm"][0]["config"]["audit_cluster"]["cluster"];
    assert_eq!(&clusters[0]["name"], cluster);
    assert_eq!(&clusters[0]["load_assignment"]["cluster_name"], cluster);
}

#[test]
fn patches_name_the_filter_of_the_policy() {
    let policy = manifest("envoy-gateway/policy.yaml");
    let name = |key: &str| policy["metadata"][key].as_str().unwrap().to_owned();
    // https://github.com/envoyproxy/gateway, internal/xds/translator/wasm.go.
    let filter = format!(
        "'envoy.filters.http.wasm/envoyextensionpolicy/{}/{}/wasm/0'",
        name("namespace"),
        name("name")
    );
    for file in ["fail-reload", "fail-reload-http3"] {
        let patch = manifest(&format!("envoy-gateway/options/{file}.yaml"));
        let path = &patch["spec"]["jsonPatches"][0]["operation"]["jsonPath"];
        assert!(path.as_str().unwrap().contains(&filter), "{path}");
    }
}
