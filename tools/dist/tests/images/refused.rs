//! Images that neither platform loads: each has its row in the documents.

use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::loading::{INDEX, LAYER, MANIFEST, loaded};

const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The layout of the CNCF for artefacts of WebAssembly.
const PLAIN: &str = "application/wasm";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A layout of the tests.
struct Made(TempDir);

impl Made {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        Self(folder)
    }

    /// A descriptor of the bytes.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex = hex::encode(Sha256::digest(bytes));
        fs::write(self.path().join("blobs/sha256").join(&hex), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    fn manifest(&self, layers: &[Value]) -> Value {
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers});
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    /// An index above a manifest, as tools for several platforms make it.
    fn index(&self, mut manifest: Value, architecture: &str) -> Value {
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        self.blob(INDEX, index.to_string().as_bytes())
    }

    fn tag(&self, descriptor: &Value) {
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn hex(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().unwrap();
    digest.trim_start_matches("sha256:").to_owned()
}

/// The error for an image that is pinned by the digest of what the tag has.
fn refusal(make: impl Fn(&Made) -> Value) -> String {
    let made = Made::new();
    let tagged = make(&made);
    made.tag(&tagged);
    loaded(made.path(), &hex(&tagged)).unwrap_err()
}

fn good(made: &Made) -> Value {
    made.manifest(&[made.blob(LAYER, &archive("plugin.wasm", MODULE))])
}

/// The first column of the documents' table, and the error.
fn refusals() -> Vec<(&'static str, String)> {
    let layer = |media_type: &'static str, bytes: Vec<u8>| {
        refusal(move |made| made.manifest(&[made.blob(media_type, &bytes)]))
    };
    let made = Made::new();
    made.tag(&good(&made));
    let file = hex::encode(Sha256::digest(MODULE));

    vec![
        (
            "an index, pinned by its own digest",
            refusal(|made| made.index(good(made), "amd64")),
        ),
        (
            "an index without linux/amd64",
            refusal(|made| made.index(good(made), "arm64")),
        ),
        (
            "pinned by the sha256 of the file",
            loaded(made.path(), &file).unwrap_err(),
        ),
        (
            "a layer in zstd",
            layer(ZSTD, archive("plugin.wasm", MODULE)),
        ),
        (
            "a last layer without `plugin.wasm`",
            layer(LAYER, archive("audit_filter.wasm", MODULE)),
        ),
        ("the file as the only layer", layer(PLAIN, MODULE.to_vec())),
        (
            "`plugin.wasm` is no module",
            layer(LAYER, archive("plugin.wasm", b"#!/bin/sh")),
        ),
    ]
}

#[test]
fn a_good_image_of_the_tests_is_loaded() {
    let made = Made::new();
    let image = good(&made);
    made.tag(&image);
    assert_eq!(loaded(made.path(), &hex(&image)).unwrap(), MODULE);

    made.tag(&made.index(image.clone(), "amd64"));
    assert_eq!(loaded(made.path(), &hex(&image)).unwrap(), MODULE);
}

/// Whether the parts of a pattern, with `...` between them, come in this order.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split("...").all(|part| {
        let found = rest.split_once(part).map(|(_, after)| after);
        rest = found.unwrap_or_default();
        found.is_some()
    })
}

#[test]
fn each_refusal_has_its_row_in_the_documents() {
    let text = fs::read_to_string(testkit::tools::root().join("docs/releases.md")).unwrap();
    let refusals = refusals();
    for (image, error) in &refusals {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| {image} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {image}: {error}"));
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [_, message, remedy] = cells[..] else {
            panic!("not three cells: {row}");
        };
        assert!(
            is_like(error, message.trim_matches('`')),
            "{image}: {error}: {message}"
        );
        assert!(!remedy.is_empty(), "{row}");
    }

    let section = text.split("## Images that do not load").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .count();
    assert_eq!(rows, refusals.len() + 1, "each row is tested");
}
