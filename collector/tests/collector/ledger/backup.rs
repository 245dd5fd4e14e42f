//! `audit-collector backup` and `restore`: the copy has every row, checkpoint, cut and conflict, on
//! either database, and is made while a collector writes.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use audit_collector::ledger::retention::Policy;
use serde_json::json;

use crate::ledger::fixture::{
    Fixture, NOW, SECOND, blocking, entries, entry, entry_at, eventually, rows, uids,
};
use crate::ledger::on_both;
use crate::process::command;

const DAY: i64 = 24 * 3600 * SECOND;

on_both![
    a_backup_has_all_and_can_be_restored_to_either_database,
    a_backup_while_a_collector_writes_is_sound,
    a_copy_replaces_nothing,
];

/// Exit code, output and errors.
async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(arguments);
    let output = blocking(move || command.output().unwrap()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

async fn succeed(arguments: &[&str]) -> String {
    let (code, text, error) = run(arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {text}{error}");
    text
}

fn later() -> i64 {
    NOW + 100 * DAY
}

/// Rows of which the first ten are deleted, a conflict, and checkpoints.
async fn fill(fixture: &Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    ledger.close().await.unwrap();

    let policy = Policy {
        retain: Duration::from_secs(3600),
        holds: Vec::new(),
        export: None,
    };
    let ledger = fixture.ledger_with_retention(policy, later).await;
    let kept = (10..15).map(|number| entry_at(later(), &format!("aud_{number}"), number, &[]));
    ledger.append(kept.collect()).await.unwrap();
    eventually(async || rows(&ledger).await.len() == 5).await;
    let other = entry("aud_12", 12, &[("audit.action", json!("another"))]);
    ledger.append(vec![other]).await.unwrap();
    ledger.close().await.unwrap();
}

fn file(fixture: &Fixture, name: &str) -> String {
    let path: PathBuf = fixture.directory.path().join(name);
    path.display().to_string()
}

async fn a_backup_has_all_and_can_be_restored_to_either_database(fixture: Fixture) {
    fill(&fixture).await;
    let backup = file(&fixture, "backup.db");
    let text = succeed(&["backup", "--database", &fixture.url, "--to", &backup]).await;
    assert!(text.contains("copied: 5 rows up to row 15, "), "{text}");
    assert!(
        fs::read_dir(fixture.directory.path())
            .unwrap()
            .all(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                !name.starts_with("backup.db.") && !name.starts_with("backup.db-")
            })
    );

    let key = fixture.key().public().to_hex();
    let state = async |url: &str| {
        let verify = ["verify", "--public-key", &key, "--database", url];
        let with_json = [&verify[..], &["--format", "json"]].concat();
        (
            run(&with_json).await.1,
            succeed(&["export", "--database", url]).await,
            succeed(&["checkpoints", "--database", url]).await,
        )
    };

    let original = state(&fixture.url).await;
    assert!(
        original.0.contains("\"deleted_rows\": 10"),
        "{}",
        original.0
    );
    assert!(original.0.contains("\"conflicts\": 1"), "{}", original.0);
    assert!(original.0.contains("\"fault_count\": 0"), "{}", original.0);
    assert_eq!(state(&format!("sqlite://{backup}")).await, original);

    let checkpoints: Vec<&str> = original.2.lines().collect();
    assert!(checkpoints.len() > 1, "{checkpoints:?}");
    let latest = ["checkpoints", "--latest", "1", "--database", &fixture.url];
    let latest = succeed(&latest).await;
    assert_eq!(Some(&latest.trim_end()), checkpoints.last());

    for target in [Fixture::sqlite(), Fixture::postgres()] {
        succeed(&["restore", "--from", &backup, "--database", &target.url]).await;
        assert_eq!(state(&target.url).await, original);

        let ledger = target.ledger().await;
        let next = vec![entry_at(later(), "aud_15", 15, &[])];
        ledger.append(next).await.unwrap();
        assert_eq!(uids(&rows(&ledger).await).last(), Some(&"aud_15"));
        ledger.close().await.unwrap();
        assert_eq!(target.count("SELECT position FROM head").await, 16);
    }
}

async fn a_backup_while_a_collector_writes_is_sound(fixture: Fixture) {
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..2000)).await.unwrap();
    let write = async {
        for number in 20..60 {
            let batch = entries(number * 100..number * 100 + 100);
            ledger.append(batch).await.unwrap();
        }
    };
    let backup = file(&fixture, "backup.db");
    let arguments = ["backup", "--database", &fixture.url, "--to", &backup];
    let (text, ()) = tokio::join!(succeed(&arguments), write);
    assert!(text.contains("faults: 0"), "{text}");

    let url = format!("sqlite://{backup}");
    succeed(&["verify", "--no-signatures", "--database", &url]).await;
    ledger.close().await.unwrap();
}

async fn a_copy_replaces_nothing(fixture: Fixture) {
    fill(&fixture).await;
    let backup = file(&fixture, "backup.db");
    let to_backup = ["backup", "--database", &fixture.url, "--to", &backup];
    succeed(&to_backup).await;
    let content = fs::read(&backup).unwrap();
    let (code, _, error) = run(&to_backup).await;
    assert_eq!(code, Some(2));
    assert!(error.contains("a copy replaces nothing"), "{error}");
    assert_eq!(fs::read(&backup).unwrap(), content);

    // A database that has records, and the log of another one.
    let restore = ["restore", "--from", &backup, "--database"];
    let log = Fixture::sqlite();
    fs::write(log.directory.path().join("audit.db-wal"), "changes").unwrap();
    for url in [&fixture.url, &log.url] {
        let (code, _, error) = run(&[&restore[..], &[url]].concat()).await;
        assert_eq!(code, Some(2), "{error}");
    }
    assert_eq!(fs::read_dir(log.directory.path()).unwrap().count(), 1);
    assert_eq!(fixture.count("SELECT position FROM head").await, 15);
}
