//! Bills of materials: valid by the published schema, and exactly what is linked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Registry;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{MODULES, digests, json, released};

/// The folder of the schemas. Without it one line names what is skipped.
fn schemas() -> Option<PathBuf> {
    let root = testkit::tools::root();
    let output = Command::new("bash")
        .arg(root.join("collector/tests/analyse/get-tool.sh"))
        .arg("cyclonedx")
        .arg(root.join("tools/dist/tests/images"))
        .output()
        .unwrap();

    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        let reason = error.lines().last().unwrap_or_default();
        // Not by a macro, since the output of a test that succeeds is not shown.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: bills of materials by their schema ({reason})"
        );
        return None;
    }
    let folder = String::from_utf8(output.stdout).unwrap();
    Some(Path::new(folder.trim_end()).join("cyclonedx/schema/_res"))
}

fn bill(file: &str) -> Value {
    json(&released().join(format!("{file}.cdx.json")))
}

/// Messages of the published schema about a bill.
fn mistakes(folder: &Path, bill: &Value) -> Vec<String> {
    let schema = |name: &str| json(&folder.join(format!("{name}.SNAPSHOT.schema.json")));
    let name = |name: &str| format!("http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json");
    let registry = ["spdx", "jsf-0.82"]
        .into_iter()
        .fold(Registry::new(), |registry, part| {
            registry.add(name(part), schema(part)).unwrap()
        })
        .prepare()
        .unwrap();

    let validator = jsonschema::options()
        .with_registry(&registry)
        .build(&schema("bom-1.5"))
        .unwrap();
    let errors = validator.iter_errors(bill);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn bills_are_valid() {
    let Some(folder) = schemas() else { return };
    for (file, _) in MODULES {
        let bill = bill(file);
        assert_eq!(mistakes(&folder, &bill), [""; 0], "{file}");

        let mut unknown = bill;
        unknown["components"][0]["type"] = "crate".into();
        assert_eq!(mistakes(&folder, &unknown).len(), 1, "the schema judges");
    }
}

/// What cargo links, by another command than the one that the bill is made from.
fn linked() -> BTreeMap<String, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .current_dir(testkit::tools::root())
        .args([
            "tree",
            "--locked",
            "--package",
            "audit-filter",
            "--target",
            "wasm32-wasip1",
        ])
        .args([
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p}|{l}",
        ])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");

    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines
        .map(|line| {
            let (package, licence) = line.split_once('|').unwrap();
            let mut words = package.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            let version = version.trim_start_matches('v');
            (format!("{name}@{version}"), licence.replace('/', " OR "))
        })
        .collect()
}

#[test]
fn a_bill_lists_what_is_linked_and_nothing_else() {
    let mut expected = linked();
    assert!(expected.len() > 20, "{expected:?}");
    let toolchain = fs::read_to_string(testkit::tools::root().join("rust-toolchain.toml")).unwrap();
    let compiler = toolchain
        .split("channel = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    expected.insert(format!("std@{compiler}"), "MIT OR Apache-2.0".to_owned());

    for (file, _) in MODULES {
        let bill = bill(file);
        let about = &bill["metadata"]["component"];
        let components = bill["components"].as_array().unwrap().iter().chain([about]);
        let listed: BTreeMap<String, String> = components
            .map(|component| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let licence = text(&component["licenses"][0]["expression"]);
                (text(&component["bom-ref"]), licence)
            })
            .collect();
        assert_eq!(listed, expected, "{file}");

        let purls = bill["components"].as_array().unwrap().iter();
        assert!(
            purls.clone().all(|component| component["purl"].is_string()),
            "{file}"
        );
    }
}

#[test]
fn a_bill_names_its_file_and_neither_time_nor_place() {
    for (file, _) in MODULES {
        let bill = bill(file);
        let module = fs::read(released().join(file)).unwrap();
        let sum = &bill["metadata"]["component"]["hashes"][0];
        assert_eq!(sum["alg"], "SHA-256");
        assert_eq!(sum["content"], hex::encode(Sha256::digest(&module)));
        assert_eq!(
            sum["content"],
            digests(released())[&("file".to_owned(), file.to_owned())]
        );

        assert!(bill["serialNumber"].is_null());
        assert!(bill["metadata"]["timestamp"].is_null());
        let root = testkit::tools::root().canonicalize().unwrap();
        assert!(!bill.to_string().contains(root.to_str().unwrap()));
    }
}

#[test]
fn a_package_that_was_not_built_has_no_bill() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let module = released().join("audit_filter.wasm");
    let output = Command::new(env!("CARGO_BIN_EXE_dist"))
        .args([
            "sbom",
            "--package",
            "audit-filter",
            "--target",
            "wasm32-wasip1",
        ])
        .args(["--compiler", "1.0.0", "--out", "unwritten"])
        .args(["--build".as_ref(), empty.path().as_os_str()])
        .args(["--file".as_ref(), module.as_os_str()])
        .output()
        .unwrap();

    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "dist: audit-filter was not built\n");
}
