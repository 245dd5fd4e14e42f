//! Real SDKs of OpenTelemetry as senders, and a real collector between them and this one. Each
//! sender is run twice: the second run is a replay.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::tools;

use crate::process::Program;
use crate::rotel::{Rotel, poll};

/// Equal records that a sender makes at once.
const EQUAL: usize = 25;

/// A file beside the senders.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdks")
        .join(name)
}

/// The directory of the packages in `package-lock.json`.
fn node_packages() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let output = Command::new(file("get-node.sh")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}

fn python(address: &str, compression: &str) {
    run(Command::new("python3")
        .env("PYTHONPATH", tools::python_packages())
        .arg(file("sender.py"))
        .args([&format!("http://{address}/v1/logs"), compression]));
}

fn node(address: &str, encoding: &str, compression: &str) {
    run(Command::new("node")
        .env("NODE_PACKAGES", node_packages())
        .arg(file("sender.mjs"))
        .args([&format!("http://{address}/v1/logs"), encoding, compression]));
}

/// Waits for so many records.
fn records(program: &Program, number: usize) -> Vec<Value> {
    let arrived = || program.records().len() >= number;
    poll("the records arrive", arrived);
    let records = program.records();
    assert_eq!(records.len(), number);
    records
}

fn assert_pythons(records: &[Value]) {
    let (equal, others): (Vec<_>, Vec<_>) = records
        .iter()
        .partition(|record| record["body"] == "login failed");
    assert_eq!((equal.len(), others.len()), (EQUAL, 1));
    for record in equal {
        assert_eq!(record["time_unix_nano"], "1783072800000000000");
        assert_eq!(record["attempt"], json!(9_007_199_254_740_993_i64));
        assert_eq!(
            (&record["share"], &record["raw"]),
            (&json!(0.5), &json!("AQI="))
        );
        assert_eq!(
            (&record["user.id"], &record["service.name"]),
            (&json!("ann"), &json!("shop"))
        );
    }
    assert_eq!(others[0]["time_unix_nano"], "1783072800000000002");
}

#[test]
fn all_records_of_pythons_sdk_are_kept_once() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let address = program.address.to_string();
    for compression in ["none", "gzip"] {
        python(&address, compression);
        assert_pythons(&records(&program, EQUAL + 1));
    }
}

/// Its clock has milliseconds, and its texts can end within an emoji.
#[test]
fn all_records_of_nodes_sdk_are_kept_once() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let address = program.address.to_string();
    for (encoding, compression) in [
        ("http", "none"),
        ("proto", "none"),
        ("http", "gzip"),
        ("proto", "gzip"),
    ] {
        node(&address, encoding, compression);
        for record in records(&program, EQUAL) {
            assert_eq!(record["user.name"], "Zo\u{fffd}", "{encoding}");
            assert_eq!(record["raw"], "AQI=");
            assert_eq!(record["time_unix_nano"], "1783072800000000000");
        }
    }
}

#[test]
fn records_that_come_through_a_collector_are_kept_once() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let rotel = Rotel::start(&program.address.to_string());
    python(&rotel.address, "gzip");
    assert_pythons(&records(&program, EQUAL + 1));

    // The same once more, without it.
    python(&program.address.to_string(), "none");
    assert_pythons(&records(&program, EQUAL + 1));
}
