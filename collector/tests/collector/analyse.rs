//! The commands of `docs/analyse.md`, with real tools, on an export that misleads tools that infer
//! types from the first lines.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::collector::Postgres;

use crate::common::{batch, database_url};
use crate::process::{Program, command};
use crate::tools::{file, has_program, packages};

/// More than ClickHouse reads to choose types (25,000), and DuckDB (20,480).
const RECORDS: i64 = 26_000;

/// Ten o'clock, in seconds since the Unix epoch.
const TEN: i64 = 1_783_072_800;

/// The same answers for each command, in the order of its questions.
const ANSWERS: [&str; 5] = ["26", "10000000000026000", "51999.75", "3", "1001"];

/// All but the last record are alike, and 1001 are not before ten.
fn record(number: i64) -> Value {
    let is_last = number == RECORDS;
    let text = |text: String| json!({"stringValue": text});
    let mut attributes = vec![
        ("log.record.uid", text(format!("aud_{number}"))),
        ("user.id", text(format!("{:05}", number % 1_000))),
        (
            "session.id",
            text((10_000_000_000_000_000 + number).to_string()),
        ),
        ("audit.duration_ms", json!({"intValue": 2})),
        (
            "audit.request_id",
            text(format!("00000000-0000-4000-8000-{number:012}")),
        ),
    ];
    if is_last {
        attributes[3].1 = json!({"doubleValue": 1.75});
        attributes[4].1 = text("r-2".to_owned());
        attributes.push(("audit.loss.count", json!({"intValue": 3})));
    }

    let attributes: Vec<_> = attributes
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let second = TEN + number - (RECORDS - 1_000);
    json!({"timeUnixNano": format!("{second}000000000"), "eventName": "audit.http", "attributes": attributes})
}

/// A directory with the export in each format.
static EXPORT: LazyLock<PathBuf> = LazyLock::new(|| {
    let ledger = TempDir::new().unwrap();
    let program = Program::start(&ledger, &[]);
    let numbers: Vec<_> = (1..=RECORDS).collect();
    for some in numbers.chunks(2_000) {
        let records: Vec<_> = some.iter().map(|number| record(*number)).collect();
        let (status, answer) = program.post(&batch(&records));
        assert_eq!(status, 200, "{answer}");
    }

    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("analyse");
    fs::create_dir_all(&directory).unwrap();
    export(&ledger, "ndjson", &[], &directory);
    export(&ledger, "csv", &["--raw-formulas"], &directory);
    export(&ledger, "parquet", &[], &directory);
    directory
});

fn export(ledger: &TempDir, format: &str, flags: &[&str], directory: &Path) {
    let out = File::create(directory.join(format!("records.{format}"))).unwrap();
    let url = database_url(ledger);
    let mut export = command(&["export", "--format", format, "--database", &url]);
    let status = export.args(flags).stdout(out).status().unwrap();
    assert!(status.success(), "{format}");
}

/// The blocks of the page for a tool: those whose second word is its name.
fn blocks(tool: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/analyse.md");
    let page = fs::read_to_string(page).unwrap();
    let code = page.split("```").skip(1).step_by(2);
    let blocks: Vec<_> = code
        .filter_map(|block| {
            let (head, body) = block.split_once('\n')?;
            let name = head.split(' ').nth(1)?;
            (name == tool).then(|| body.to_owned())
        })
        .collect();
    assert!(!blocks.is_empty(), "the page has nothing for {tool}");
    blocks
}

/// The numbers in what a tool has printed, whatever stands between them.
fn assert_answers(tool: &str, block: &str, printed: &str) {
    let words: Vec<_> = printed
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words, ANSWERS, "{tool}: {block}\n{printed}");
}

/// Runs each block of a tool with a command that reads it from stdin.
fn check(tool: &str, mut command: impl FnMut() -> Command) {
    for block in blocks(tool) {
        let printed = run(command().current_dir(&*EXPORT), &block);
        assert_answers(tool, &block, &printed);
    }
}

/// What a command prints that reads `text` from stdin. It must succeed.
fn run(command: &mut Command, text: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);

    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn python(packages: &Path, arguments: &[&str]) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages).args(arguments);
    python
}

/// On a new database.
fn psql() -> Command {
    let url = Postgres::shared().new_database();
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", &url]);
    psql
}

#[test]
fn duckdb_answers() {
    if let Some(packages) = packages("duckdb") {
        let script = file("run.py");
        check("duckdb", || {
            python(&packages, &[script.to_str().unwrap(), "duckdb"])
        });
    }
}

#[test]
fn clickhouse_answers() {
    if let Some(packages) = packages("chdb") {
        let script = file("run.py");
        check("clickhouse", || {
            python(&packages, &[script.to_str().unwrap(), "chdb"])
        });
    }
}

#[test]
fn polars_answers() {
    if let Some(packages) = packages("polars") {
        check("polars", || python(&packages, &["-"]));
    }
}

#[test]
fn pandas_answers() {
    if let Some(packages) = packages("pandas") {
        check("pandas", || python(&packages, &["-"]));
    }
}

#[test]
fn postgresql_answers() {
    if has_program("psql") {
        check("postgresql", psql);
    }
}

#[test]
fn sqlite_and_jq_answer() {
    for tool in ["sqlite3", "jq"] {
        if has_program(tool) {
            check(tool, || Command::new("sh"));
        }
    }
}

/// PostgreSQL refuses NUL in every text and in jsonb, and with it the whole file.
#[test]
fn postgresql_takes_what_had_nul_in_every_field() {
    if !has_program("psql") {
        return;
    }
    let ledger = TempDir::new().unwrap();
    let program = Program::start(&ledger, &[]);
    let nul = json!({"stringValue": "\0"});
    let names = [
        "log.record.uid",
        "user.id",
        "user.name",
        "audit.action",
        "url.path",
        "\0",
        "error.message",
    ];
    let attributes: Vec<_> = names.map(|name| json!({"key": name, "value": nul})).into();
    let list = json!({"arrayValue": {"values": [nul, {"kvlistValue": {"values": [{"key": "\0", "value": nul}]}}]}});
    let mut record =
        json!({"timeUnixNano": "1", "eventName": "\0", "severityText": "\0", "body": nul});
    record["attributes"] = attributes.into();
    record["attributes"]
        .as_array_mut()
        .unwrap()
        .push(json!({"key": "list", "value": list}));
    assert_eq!(program.post(&batch(&[record])), (200, json!({})));

    let directory = TempDir::new().unwrap();
    let mut script = String::new();
    for format in ["ndjson", "ocsf", "ecs"] {
        export(&ledger, format, &[], directory.path());
        script += &format!(
            "CREATE TABLE {format} (line jsonb);\n\\copy {format} FROM 'records.{format}' CSV QUOTE E'\\x01' DELIMITER E'\\x02'\n"
        );
    }
    export(&ledger, "csv", &[], directory.path());
    let csv = fs::read_to_string(directory.path().join("records.csv")).unwrap();
    let columns = csv.lines().next().unwrap().replace(',', "\" text, \"");
    script += &format!(
        "CREATE TABLE csv (\"{columns}\" text);\n\\copy csv FROM 'records.csv' CSV HEADER\n"
    );
    script +=
        "SELECT line ->> 'user.id' FROM ndjson; SELECT attributes::jsonb ->> 'user.id' FROM csv;\n";

    let printed = run(psql().current_dir(directory.path()), &script);
    assert_eq!(printed, "\u{fffd}\n\u{fffd}\n");
}

/// The page and this test name the same answers.
#[test]
fn the_page_has_the_answers() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/analyse.md");
    let page = fs::read_to_string(page).unwrap();
    let [answers @ .., last] = ANSWERS.map(|answer| format!("`{answer}`"));
    let sentence = format!("{} and {last}", answers.join(", "));
    assert!(page.contains(&sentence), "{sentence}");
}
