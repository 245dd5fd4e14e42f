//! Kustomizations name what exists, and every file is named.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::configurations::{assert_documented, findings};
use crate::documents::{files, manifests, root};

/// Files and folders that a kustomization names.
fn named(kustomization: &Value) -> Vec<&str> {
    let lists = ["resources", "components", "patches"];
    let items = lists
        .into_iter()
        .filter_map(|key| kustomization[key].as_array())
        .flatten();
    items
        .filter_map(|item| item.as_str().or_else(|| item["path"].as_str()))
        .collect()
}

fn resolved(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}

#[test]
fn each_file_is_named_by_a_kustomization_or_a_readme() {
    let mut known = BTreeSet::new();
    for manifest in manifests("") {
        if !manifest.file.ends_with("kustomization.yaml") {
            continue;
        }
        let folder = Path::new(&manifest.file).parent().unwrap();
        for name in named(&manifest.value) {
            let path = resolved(&folder.join(name));
            assert!(root().join(&path).exists(), "{}: {name}", manifest.file);
            known.insert(path);
        }
    }

    for file in files("", "yaml") {
        let (platform, below) = file.split_once('/').unwrap();
        let readme = fs::read_to_string(root().join(platform).join("README.md")).unwrap();
        let folder = below.strip_suffix("/kustomization.yaml").unwrap_or(below);
        let is_named = below == "kustomization.yaml"
            || known.contains(Path::new(&file))
            || known.contains(Path::new(&file).parent().unwrap())
            || readme.contains(folder);
        assert!(is_named, "{file}");
    }
}

/// What kubectl makes of a folder; `None` without kubectl, with one line about it.
fn built(folder: &str) -> Option<String> {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(root().join(folder))
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: kustomize of {folder} (kubectl is not installed)"
        );
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {error}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn kubectl_builds_each_of_them() {
    for (folder, expected) in [
        ("istio/wasm-plugin", "failStrategy: FAIL_RELOAD"),
        ("istio/wasm-plugin-1.26", "failStrategy: FAIL_CLOSE"),
        ("istio/traffic-extension", "kind: TrafficExtension"),
        ("envoy-gateway", "kind: EnvoyExtensionPolicy"),
        (
            "kubernetes/overlays/sqlite",
            "--database=sqlite:///data/audit.db",
        ),
        ("kubernetes/overlays/postgres", "replicas: 2"),
        ("monitoring", "kind: PrometheusRule"),
    ] {
        let Some(text) = built(folder) else { return };
        assert!(text.contains(expected), "{folder}: {text}");
        if let Some((platform @ ("istio" | "envoy-gateway"), _)) =
            folder.split_once('/').or(Some((folder, "")))
        {
            assert_documented(platform, &findings(&text));
        }
    }
}
