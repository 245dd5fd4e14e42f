//! An auditor may read the database and nothing more: verifies and exports it, and leaves no file.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::ledger::fixture::{Fixture, blocking, entries};
use crate::process::command;

/// A user that owns nothing.
const NOBODY: u32 = 65534;

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(directory: &TempDir) -> BTreeSet<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Exit code, output and errors of a command, as an unprivileged user where that is possible.
async fn run(arguments: &[&str], url: &str) -> (Option<i32>, String, String) {
    let mut command = command(arguments);
    command.args(["--database", url]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY);
    }
    let output = blocking(move || command.output().unwrap()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

async fn assert_can_audit(url: &str, rows: usize) {
    let (code, text, error) = run(&["verify", "--no-signatures"], url).await;
    assert_eq!(code, Some(0), "{text}{error}");
    assert!(text.contains(&format!("chain: {rows} rows")), "{text}");

    let (code, text, error) = run(&["export"], url).await;
    assert_eq!((code, text.lines().count()), (Some(0), rows), "{error}");
    let (code, _, error) = run(&["checkpoints"], url).await;
    assert_eq!(code, Some(0), "{error}");
}

#[tokio::test]
async fn a_stopped_ledger_can_be_audited_without_the_right_to_write() {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();
    ledger.close().await.unwrap();
    drop(ledger);

    // With the right to write, too.
    let directory = fixture.directory.path();
    let left = names(&fixture.directory);
    allow(&directory.join("audit.db"), 0o666);
    allow(directory, 0o777);
    assert_can_audit(&fixture.url, 3).await;
    assert_eq!(names(&fixture.directory), left);

    allow(&directory.join("audit.db"), 0o444);
    assert_can_audit(&fixture.url, 3).await;
    assert_eq!(names(&fixture.directory), left);

    allow(directory, 0o555);
    assert_can_audit(&fixture.url, 3).await;
    assert_eq!(names(&fixture.directory), left);

    // The right to write is still needed where something is written.
    let (code, _, error) = run(&["rebuild-views"], &fixture.url).await;
    assert_eq!(code, Some(2), "{error}");
    allow(directory, 0o755);
}

#[tokio::test]
async fn a_running_ledger_can_be_audited_without_the_right_to_write() {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();
    allow(fixture.directory.path(), 0o555);
    assert_can_audit(&fixture.url, 3).await;

    allow(fixture.directory.path(), 0o755);
    ledger.append(entries(3..5)).await.unwrap();
    assert_can_audit(&fixture.url, 5).await;
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_copy_with_changes_in_its_log_alone_is_refused_with_the_remedy() {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();

    let copy = TempDir::new().unwrap();
    for name in ["audit.db", "audit.db-wal"] {
        fs::copy(fixture.directory.path().join(name), copy.path().join(name)).unwrap();
    }
    allow(copy.path(), 0o555);
    let url = format!("sqlite://{}/audit.db", copy.path().display());
    let (code, text, error) = run(&["verify", "--no-signatures"], &url).await;
    assert_eq!((code, text.as_str()), (Some(2), ""));
    assert!(error.contains("copy both to a directory"), "{error}");

    allow(copy.path(), 0o777);
    for name in ["audit.db", "audit.db-wal"] {
        allow(&copy.path().join(name), 0o666);
    }
    assert_can_audit(&url, 3).await;
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_only_select_can_audit() {
    let fixture = Fixture::postgres();
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..3)).await.unwrap();
    ledger.close().await.unwrap();
    for sql in [
        "CREATE ROLE auditor LOGIN PASSWORD 'reads'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor",
    ] {
        fixture.change(sql).await;
    }

    let (server, rest) = fixture.url.split_once("://").unwrap();
    let place = rest.split_once('@').map_or(rest, |(_, place)| place);
    let url = format!("{server}://auditor:reads@{place}");
    assert_can_audit(&url, 3).await;
    let (code, _, error) = run(&["rebuild-views"], &url).await;
    assert_eq!(code, Some(2), "{error}");
}
