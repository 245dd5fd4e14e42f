//! `audit-collector verify --from ndjson`: completeness of what came out at the far end of a
//! pipeline.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::database_url;
use crate::process::{Program, command};

/// The stream of the golden batch.
const STREAM: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// The golden batch.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

pub(crate) fn golden_lines() -> Vec<String> {
    let text = fs::read_to_string(fixture("batch.ndjson")).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

fn output(place: &[&str], flags: &[&str], stdin: &str) -> Output {
    let mut child = command(&["verify", "--from", "ndjson"])
        .args(place)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Fails where the program refuses its flags first.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code and output for these lines.
fn verify(lines: &[String], flags: &[&str]) -> (Option<i32>, String) {
    let output = output(&["-"], flags, &lines.join("\n"));
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

/// The findings on the golden batch, in a form that has lost some columns.
#[track_caller]
pub(crate) fn assert_names_golden(text: &str) {
    assert!(
        text.starts_with("records: 14, repeated: 0, without a stream: 0\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "complete, 0 to 13, ended\n    5 to 9 reported as lost: 3 records, buffer_full\n"
        ),
        "{text}"
    );
}

#[track_caller]
fn assert_golden(place: &str) {
    let output = output(&[place], &[], "");
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "records: 14, repeated: 0, without a stream: 0\n\
         streams: 1\n  stream {STREAM} (shop \"eins\"): complete, 0 to 13, ended\n    \
         5 to 9 reported as lost: 3 records, buffer_full\n\
         conflicts: 0\nexplained losses: 0\nopen numbers: 0\nunexplained gaps: 0\n\
         silent streams: 0\ncomplete\n"
    );
    assert_eq!((output.status.code(), text), (Some(0), expected), "{place}");
}

#[test]
fn the_golden_batch_is_complete_in_each_form() {
    assert_golden(fixture("batch.ndjson").to_str().unwrap());
    assert_golden(fixture("otlp-batch.json").to_str().unwrap());

    // As the collector writes it.
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let batch = fs::read_to_string(fixture("otlp-batch.json")).unwrap();
    assert_eq!(program.post(&batch).0, 200);
    let written = command(&["export", "--database", &database_url(&directory)])
        .output()
        .unwrap();
    let file = directory.path().join("records.ndjson");
    fs::write(&file, written.stdout).unwrap();
    assert_golden(file.to_str().unwrap());
}

#[test]
fn what_is_missing_is_named_and_the_exit_code_is_1() {
    let mut lines = golden_lines();
    lines.drain(2..4);
    lines.truncate(10);
    let (code, text) = verify(&lines, &[]);
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "    2 to 3 missing\n",
        "    12 to 13 missing\n",
        "    5 to 9 reported as lost: 3 records, buffer_full\n",
        "    open end: no more than 10000 records that were made after 2026-07-03T10:00:00.",
        "unexplained gaps: 4\nsilent streams: 1\nNOT COMPLETE\n",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }

    let (_, text) = verify(&lines, &["--format", "json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["completeness"]["unexplained_numbers"], 4);
    assert_eq!(found["records"], 10);

    // As long as they may still come.
    let (code, text) = verify(&lines, &["--grace", "1000y"]);
    assert!(code == Some(0) && text.contains("2 to 3 open"), "{text}");
}

#[test]
fn records_that_begin_later_than_their_stream_are_complete_on_demand() {
    let late = golden_lines().split_off(6);
    let (code, text) = verify(&late, &[]);
    assert!(
        code == Some(1) && text.contains("    0 to 4 missing\n"),
        "{text}"
    );
    let (code, text) = verify(&late, &["--partial"]);
    assert!(code == Some(0) && text.ends_with("\ncomplete\n"), "{text}");

    // What is missing behind the first one, or behind the start.
    let mut lines = late;
    lines.remove(5);
    let (code, text) = verify(&lines, &["--partial"]);
    assert!(
        code == Some(1) && text.contains("    11 to 11 missing\n"),
        "{text}"
    );
    let mut lines = golden_lines();
    lines.drain(1..3);
    let (code, text) = verify(&lines, &["--partial"]);
    assert!(
        code == Some(1) && text.contains("    1 to 2 missing\n"),
        "{text}"
    );
}

#[test]
fn repeats_count_once_and_contradictions_are_named() {
    let mut lines = golden_lines();
    lines.extend(golden_lines());
    let (code, text) = verify(&lines, &[]);
    let counts = "records: 28, repeated: 14, without a stream: 0\n";
    assert!(code == Some(0) && text.starts_with(counts), "{text}");

    let mut forged: Value = serde_json::from_str(&lines[1]).unwrap();
    forged["url.path"] = json!("/other");
    lines.push(forged.to_string());
    let (code, text) = verify(&lines, &[]);
    let conflict = format!(
        "conflicts: 1\n  stream {STREAM}: 1 came with two contents, as aud_019f2c4d-8f00-7000-8000-000000000001\n"
    );
    assert!(code == Some(1) && text.contains(&conflict), "{text}");
}

#[test]
fn several_files_are_one_set_of_records_in_any_order() {
    let directory = TempDir::new().unwrap();
    let lines = golden_lines();
    let parts = [&lines[9..], &lines[..9]].map(|part| {
        let file = directory.path().join(format!("{}.ndjson", part.len()));
        // The last line has no end, as in an object of its own.
        fs::write(&file, part.join("\n")).unwrap();
        file.to_str().unwrap().to_owned()
    });

    let output = output(&[&parts[0], &parts[1]], &[], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("\ncomplete\n"), "{text}");
}

#[test]
fn what_proves_nothing_is_not_called_complete() {
    let (code, text) = verify(&[], &[]);
    let empty = "complete, but EMPTY: no record was read\n";
    assert!(code == Some(0) && text.ends_with(empty), "{text}");

    // As a store that changes names leaves them.
    let renamed = golden_lines()
        .iter()
        .map(|line| line.replace("audit.", "audit_"))
        .collect::<Vec<_>>();
    let (code, text) = verify(&renamed, &[]);
    let nothing = "NOT PROVED: no record has audit.stream.id and audit.sequence.number\n";
    assert!(code == Some(1) && text.ends_with(nothing), "{text}");

    let without = |name: &str| {
        let mut record: Value = serde_json::from_str(&golden_lines()[1]).unwrap();
        record.as_object_mut().unwrap().remove(name);
        record.to_string()
    };
    let mut lines = golden_lines();
    lines[1] = without("audit.stream.id");
    let (code, text) = verify(&lines, &[]);
    let damaged = "without the other one, or with a negative number: 1\n";
    assert!(code == Some(1) && text.contains(damaged), "{text}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_the_exit_code_is_2() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("records.ndjson");
    let lines = golden_lines();
    fs::write(&file, format!("{}\n\n{}\n{{\"cut\"", lines[0], lines[1])).unwrap();
    let file = file.to_str().unwrap();

    for (place, flags, expected) in [
        (
            file,
            &[][..],
            format!("{file}: line 4 is not valid JSON: EOF while parsing an object at column 6"),
        ),
        (
            "nowhere",
            &[],
            "nowhere: No such file or directory (os error 2)".to_owned(),
        ),
        (
            "/",
            &[],
            "/: line 1: Is a directory (os error 21)".to_owned(),
        ),
        (
            file,
            &["--database", "sqlite://x"],
            "the argument '--from <KIND>' cannot be used with '--database <URL>'".to_owned(),
        ),
        (
            file,
            &["--no-signatures"],
            "the argument '--from <KIND>' cannot be used with '--no-signatures'".to_owned(),
        ),
    ] {
        let output = output(&[place], flags, "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&expected), "{expected} is not in {error}");
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    }
}
