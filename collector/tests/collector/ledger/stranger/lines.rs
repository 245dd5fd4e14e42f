//! Lines of an export prove the chain of their rows. Holes are named, since lines have no cuts.

use std::fs;

use serde_json::json;

use super::{Case, assert_named, assert_sound, filled};
use crate::ledger::fixture::{Fixture, NOW, entries, entry, entry_at};
use crate::process::command;

/// What a command prints about the ledger, as a file of the case.
fn printed(case: &Case, fixture: &Fixture, name: &str) -> String {
    let output = command(&[name, "--database", &fixture.url]).output();
    let file = case.file(name);
    fs::write(&file, output.unwrap().stdout).unwrap();
    file.display().to_string()
}

/// A case that is verified with the checkpoints of its ledger, and the file with its lines.
async fn exported(fixture: &Fixture) -> (Case, String) {
    let mut case = Case::of(fixture).await;
    let checkpoints = printed(&case, fixture, "checkpoints");
    case.flags = vec!["--checkpoints".to_owned(), checkpoints];
    let file = printed(&case, fixture, "export");
    (case, file)
}

/// Ten rows of all kinds that the hash depends on.
async fn ten_rows() -> Fixture {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    let odd = [
        ("audit.duration_ms", json!(1e-7)),
        ("url.path", json!("/\u{7}\"\\\u{2028}\u{7f}/\u{1f}\r\n\t")),
        ("audit.action", json!("é".repeat(200))),
        (
            "list",
            json!([1.0, 2e300, -0.0, null, {"b": 1, "a": u64::MAX}]),
        ),
        ("\u{10ffff}", json!(1)),
        ("\u{ffff}", json!(true)),
    ];
    let mut rows = entries(0..6);
    rows.push(entry("aud_6", 6, &odd));
    // Its time is not believed, so the time of receipt orders it.
    rows.push(entry_at(NOW, "aud_7", 7, &[]));
    rows[7].flags = 1;
    rows[7].at = NOW;
    rows[7].body = None;
    // A derived uid is no attribute.
    rows.push(entry("", 8, &[]));
    rows[8].attributes = rows[8].attributes.replace("\"log.record.uid\":\"\",", "");
    rows.push(entry("sha256:sent", 9, &[]));
    ledger.append(rows).await.unwrap();
    ledger.close().await.unwrap();
    fixture
}

#[tokio::test]
async fn lines_of_a_whole_ledger_are_sound() {
    let fixture = ten_rows().await;
    let (case, file) = exported(&fixture).await;
    let found = case.by_page(&[&file]);
    assert_sound(&found);
    assert!(found.1.contains("rows: 10, 0 deleted"), "{}", found.1);
}

#[tokio::test]
async fn a_change_in_each_value_of_a_line_is_named() {
    let fixture = ten_rows().await;
    let (case, file) = exported(&fixture).await;
    let lines = fs::read_to_string(&file).unwrap();
    let fourth: serde_json::Value = serde_json::from_str(lines.lines().nth(3).unwrap()).unwrap();

    for name in fourth.as_object().unwrap().keys() {
        let mut changed = fourth.clone();
        changed[name] = match &fourth[name] {
            serde_json::Value::String(text) if name == "hash" => {
                text.chars().rev().collect::<String>().into()
            }
            serde_json::Value::String(_) if name == "flags" => "clock_skew".into(),
            serde_json::Value::String(text) if text.parse::<i64>().is_ok() => "7777".into(),
            serde_json::Value::String(_) => "forged".into(),
            _ => 7777.into(),
        };
        let mut all: Vec<_> = lines.lines().map(ToOwned::to_owned).collect();
        all[3] = changed.to_string();
        let tampered = case.file("tampered.ndjson");
        fs::write(&tampered, all.join("\n")).unwrap();

        let line = match name.as_str() {
            "position" => "records 4-7776 position:",
            "time" => "records 4 time:",
            _ => "records 4 hash:",
        };
        assert_named(
            &case.by_page(&[&tampered.display().to_string()]),
            line,
            name,
        );
    }
}

#[tokio::test]
async fn lines_that_were_moved_or_removed_are_named() {
    let fixture = ten_rows().await;
    let (case, file) = exported(&fixture).await;
    let lines = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = lines.lines().collect();

    let mut swapped = lines.clone();
    swapped.swap(3, 6);
    for (some, line) in [
        (
            [&lines[..3], &lines[4..]].concat(),
            "records 4-4 position: the rows are missing",
        ),
        (
            lines[..9].to_vec(),
            "checkpoints 10 position: the chain ends at 9",
        ),
        (swapped, "records 4 position: lies within"),
    ] {
        let tampered = case.file("tampered.ndjson");
        fs::write(&tampered, some.join("\n")).unwrap();
        assert_named(
            &case.by_page(&[&tampered.display().to_string()]),
            line,
            line,
        );
    }
}

#[tokio::test]
async fn rows_that_retention_has_deleted_are_missing_unless_the_lines_are_partial() {
    let fixture = filled().await;
    let (mut case, file) = exported(&fixture).await;
    let line = "records 1-10 position: the rows are missing";
    assert_named(&case.by_page(&[&file]), line, "retention");

    case.flags.push("--partial".to_owned());
    let found = case.by_page(&[&file]);
    assert_sound(&found);
    assert!(
        found
            .1
            .contains("rows: 8, 0 deleted by retention, 10 left out"),
        "{}",
        found.1
    );

    // The lines that retention has written before close the hole.
    case.flags.pop();
    let mut names = fs::read_dir(fixture.directory.path()).unwrap();
    let before = names.find_map(|entry| {
        let path = entry.unwrap().path().display().to_string();
        path.ends_with(".ndjson").then_some(path)
    });
    let found = case.by_page(&[&before.unwrap(), &file]);
    assert_sound(&found);
    assert!(found.1.contains("rows: 18, 0 deleted"), "{}", found.1);
}
