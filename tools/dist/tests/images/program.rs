//! The image of a static program. Any file stands for the collector, whose build takes minutes.

use std::fs;
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::json;

const PROGRAM: &[u8] = b"\x7fELF";

fn dist(folder: &TempDir, file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dist"))
        .args([
            "program",
            "--name",
            "audit-collector",
            "--out",
            "out",
            "--file",
            file,
        ])
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn it_has_the_program_and_an_unprivileged_user() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("program"), PROGRAM).unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let digest = String::from_utf8(dist(&folder, "program").stdout).unwrap();

    let layout = folder.path().join("out/images/audit-collector");
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        layout.join("blobs").join(digest.replace(':', "/"))
    };
    let index = json(&layout.join("index.json"));
    assert_eq!(index["manifests"][0]["digest"], digest.trim_end());
    let manifest = json(&blob(&index["manifests"][0]));
    let config = json(&blob(&manifest["config"]));
    assert_eq!(
        config["config"],
        json!({"Entrypoint": ["/audit-collector"], "ExposedPorts": {"4318/tcp": {}}, "User": "65532:65532"})
    );

    let layer = fs::File::open(blob(&manifest["layers"][0])).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    let modes: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let header = entry.unwrap().header().clone();
            let name = header.path().unwrap().to_str().unwrap().to_owned();
            (
                name,
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
            )
        })
        .collect();
    assert_eq!(modes, [("audit-collector".to_owned(), 0o755, 0, 0)]);
}

#[test]
fn a_missing_file_is_named() {
    let folder = TempDir::new().unwrap();
    let output = dist(&folder, "nowhere/audit-collector");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("dist: nowhere/audit-collector: "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
}
