//! The collector's pods.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::documents::{manifest, manifests, root, values};

/// Pods of the base.
fn pods() -> [Value; 2] {
    let deployment = manifest("kubernetes/base/deployment.yaml");
    let job = manifest("kubernetes/base/checkpoints.yaml");
    [
        deployment["spec"]["template"]["spec"].clone(),
        job["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone(),
    ]
}

/// Arguments that patches of a kustomization add to a kind.
fn added(kustomization: &Value, kind: &str) -> Vec<String> {
    let patches = kustomization["patches"].as_array().unwrap().iter();
    let of_kind = patches.filter(|patch| patch["target"]["kind"] == kind);
    let operations = of_kind.flat_map(|patch| {
        let operations = values(patch["patch"].as_str().unwrap()).unwrap();
        operations[0].as_array().unwrap().clone()
    });
    operations
        .filter(|operation| operation["path"].as_str().unwrap().ends_with("/args/-"))
        .map(|operation| operation["value"].as_str().unwrap().to_owned())
        .collect()
}

/// Whether the program knows the arguments.
fn are_known(arguments: &[String]) -> bool {
    let status = Command::new(env!("CARGO_BIN_EXE_audit-collector"))
        .args(arguments)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

#[test]
fn the_program_knows_its_arguments() {
    let [collector, job] = pods().map(|pod| {
        let arguments = pod["containers"][0]["args"].as_array().unwrap().iter();
        arguments
            .map(|one| one.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    });
    let tls = added(
        &manifest("kubernetes/components/tls/kustomization.yaml"),
        "Deployment",
    );

    for overlay in ["sqlite", "postgres"] {
        let file = format!("kubernetes/overlays/{overlay}/kustomization.yaml");
        let kustomization = manifest(&file);
        let database = added(&kustomization, "Deployment");
        assert_eq!(database.len(), 1, "{file}");
        assert_eq!(database, added(&kustomization, "CronJob"));

        let all = [collector.clone(), database.clone(), tls.clone()].concat();
        assert!(are_known(&all), "{all:?}");
        let all = [job.clone(), database].concat();
        assert!(are_known(&all), "{all:?}");
    }
    assert!(!are_known(&["--health-listen=127.0.0.1:1".to_owned()]));
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
#[test]
fn pods_are_restricted() {
    for pod in pods() {
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(
            pod["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
    }
    let namespace = manifest("kubernetes/base/namespace.yaml");
    let level = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(level, "restricted");
}

#[test]
fn volumes_and_mounts_belong_together() {
    let names = |list: &Value| {
        let items = list.as_array().into_iter().flatten();
        items.map(|item| item["name"].clone()).collect::<Vec<_>>()
    };
    let mut checked = 0;
    for manifest in manifests("kubernetes") {
        let pod = match manifest.kind() {
            "Deployment" => "/spec/template/spec",
            "CronJob" => "/spec/jobTemplate/spec/template/spec",
            _ => continue,
        };
        let pod = manifest.value.pointer(pod).unwrap();
        let mounts = names(&pod["containers"][0]["volumeMounts"]);
        assert_eq!(mounts, names(&pod["volumes"]), "{}", manifest.file);
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn the_image_is_built_by_the_pinned_compiler_for_an_unprivileged_user() {
    let toolchain = fs::read_to_string(root().join("../rust-toolchain.toml")).unwrap();
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.unwrap().trim_matches('"');
    let file = fs::read_to_string(root().join("kubernetes/Containerfile")).unwrap();

    assert!(file.contains(&format!("/rust:{channel}-")), "{channel}");
    let [pod, _] = pods();
    let user = &pod["securityContext"]["runAsUser"];
    assert!(file.contains(&format!("\nUSER {user}:{user}\n")));
}
