//! The files under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::tools;
use yaml_rust2::{Yaml, YamlLoader};

/// With this variable, files that are generated are written.
pub const WRITE: &str = "WRITE_MONITORING";

/// A file of `deploy/monitoring`.
pub fn path(name: &str) -> PathBuf {
    tools::root().join("deploy/monitoring").join(name)
}

/// The text of a file of the repository.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = tools::root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails unless a generated file has this text.
#[track_caller]
pub fn assert_generated(name: &str, expected: &str) {
    let path = path(name);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, expected).unwrap();
    }
    assert!(
        text(&path) == expected,
        "{name} is not what it is generated from: {WRITE}=1 cargo test --workspace --test monitoring"
    );
}

/// A rule of `alerts.yaml`.
pub struct Rule {
    /// Of an alert.
    pub alert: Option<String>,
    /// Of a recorded series.
    pub record: Option<String>,
    pub expression: String,
    pub severity: String,
    pub summary: String,
    pub description: String,
    pub runbook: String,
}

/// All rules, in order.
pub fn rules() -> Vec<Rule> {
    let documents = YamlLoader::load_from_str(&text(path("alerts.yaml"))).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap());
    rules.map(rule).collect()
}

fn rule(rule: &Yaml) -> Rule {
    let optional = |value: &Yaml| value.as_str().map(str::to_owned);
    let text = |value: &Yaml| value.as_str().unwrap_or_default().to_owned();
    let annotations = &rule["annotations"];
    Rule {
        alert: optional(&rule["alert"]),
        record: optional(&rule["record"]),
        expression: text(&rule["expr"]),
        severity: text(&rule["labels"]["severity"]),
        summary: text(&annotations["summary"]),
        description: text(&annotations["description"]),
        runbook: text(&annotations["runbook"]),
    }
}

/// Runs `promtool` on a file with this content; its output.
pub fn promtool(arguments: &[&str], content: &Value) -> Result<String, String> {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    fs::write(file.path(), content.to_string()).unwrap();
    promtool_on(arguments, file.path())
}

/// Runs `promtool` on a file; its output.
pub fn promtool_on(arguments: &[&str], file: &Path) -> Result<String, String> {
    let program = tools::last_line("collector/tests/support/get-promtool.sh");
    let output = Command::new(program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&output.stdout) + &text(&output.stderr);
    if output.status.success() {
        Ok(all)
    } else {
        Err(all)
    }
}
