//! `audit-collector compare`: equal ledgers, prefixes, and the first row that differs.

use std::fs;

use audit_collector::ledger::entry::Entry;

use crate::ledger::fixture::{Fixture, blocking, entries, entry, eventually, rows};
use crate::ledger::on_both;
use crate::ledger::tree::{append, expire, late, later, policy};
use crate::process::command;

on_both![
    equal_ledgers_and_prefixes_are_found,
    the_first_row_that_differs_is_found,
    a_ledger_is_compared_with_its_backup_after_retention,
    what_cannot_be_compared_is_not_called_equal,
];

/// Exit code, output and errors.
async fn compare(first: &str, second: &str) -> (Option<i32>, String) {
    let mut command = command(&["compare", first, second]);
    let output = blocking(move || command.output().unwrap()).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Compares in both directions; the second answer is that of the exchanged ledgers.
async fn assert_compared(first: &Fixture, second: &Fixture, answers: [(i32, &str); 2]) {
    let ways = [(first, second), (second, first)];
    for ((first, second), (code, line)) in ways.into_iter().zip(answers) {
        let (found, text) = compare(&first.url, &second.url).await;
        assert_eq!(
            (found, text.as_str()),
            (Some(code), format!("{line}\n").as_str())
        );
    }
}

async fn equal_ledgers_and_prefixes_are_found(fixture: Fixture) {
    let other = Fixture::sqlite();
    for empty in [&fixture, &other] {
        empty.opened().await;
    }
    assert_compared(&fixture, &other, [(0, "equal: both end with row 0"); 2]).await;

    append(&other, entries(0..30)).await;
    let prefix = [
        (
            0,
            "the first is a prefix of the second: it ends with row 0, and the second has 30 more",
        ),
        (
            0,
            "the second is a prefix of the first: it ends with row 0, and the first has 30 more",
        ),
    ];
    assert_compared(&fixture, &other, prefix).await;

    append(&fixture, entries(0..30)).await;
    assert_compared(&fixture, &other, [(0, "equal: both end with row 30"); 2]).await;

    append(&fixture, entries(30..1000)).await;
    let prefix = [
        (
            0,
            "the second is a prefix of the first: it ends with row 30, and the first has 970 more",
        ),
        (
            0,
            "the first is a prefix of the second: it ends with row 30, and the second has 970 more",
        ),
    ];
    assert_compared(&fixture, &other, prefix).await;

    // A file and a file with a URL name a ledger, too.
    let file = other
        .directory
        .path()
        .join("audit.db")
        .display()
        .to_string();
    let named = other.directory.path().join("url");
    fs::write(&named, format!("{}\n", fixture.url)).unwrap();
    let (code, text) = compare(&named.display().to_string(), &file).await;
    assert_eq!((code, text.trim_end()), (Some(0), prefix[0].1));
}

async fn the_first_row_that_differs_is_found(fixture: Fixture) {
    append(&fixture, entries(0..200)).await;
    for parting in [0, 1, 99, 198, 199] {
        let other = Fixture::sqlite();
        let mut changed: Vec<Entry> = entries(0..260);
        let index = usize::try_from(parting).unwrap();
        changed[index] = entry(
            &format!("aud_{parting}"),
            parting,
            &[("user.id", "another".into())],
        );
        append(&other, changed).await;

        let line = format!(
            "DIFFERENT from row {} on, equal up to row {parting}",
            parting + 1
        );
        assert_compared(&fixture, &other, [(1, &line); 2]).await;
    }
}

async fn backup(fixture: &Fixture, name: &str) -> String {
    let file = fixture.directory.path().join(name).display().to_string();
    let mut command = command(&["backup", "--database", &fixture.url, "--to", &file]);
    let output = blocking(move || command.output().unwrap()).await;
    assert!(output.status.success());
    file
}

async fn a_ledger_is_compared_with_its_backup_after_retention(fixture: Fixture) {
    append(&fixture, entries(0..300)).await;
    append(&fixture, entries(300..600)).await;
    let file = backup(&fixture, "before.db").await;
    expire(&fixture, Vec::new(), 0).await;
    append(&fixture, late(600..700)).await;

    let (code, text) = compare(&file, &fixture.url).await;
    let line =
        "the first is a prefix of the second: it ends with row 600, and the second has 100 more\n";
    assert_eq!((code, text.as_str()), (Some(0), line));

    // Another history: the end of the cut shows that it differs, and a checkpoint limits where.
    let other = Fixture::sqlite();
    let mut changed = entries(0..650);
    changed[400] = entry("aud_400", 400, &[("user.id", "another".into())]);
    append(&other, changed).await;
    let line = "DIFFERENT from row 600 on, equal up to row 300; the rows between were deleted by retention";
    assert_compared(&fixture, &other, [(1, line); 2]).await;
}

async fn what_cannot_be_compared_is_not_called_equal(fixture: Fixture) {
    append(&fixture, entries(0..100)).await;
    let ledger = fixture
        .ledger_with_retention(policy(Vec::new()), later)
        .await;
    eventually(async || rows(&ledger).await.is_empty()).await;
    ledger.append(late(100..110)).await.unwrap();
    ledger.close().await.unwrap();

    let other = Fixture::sqlite();
    append(&other, entries(0..50)).await;
    let line = "audit-collector: equal up to row 0; up to row 50 nothing can be compared, since retention has deleted the rows";
    assert_compared(&fixture, &other, [(2, line); 2]).await;
    let (code, text) = compare(&fixture.url, "no-such-file").await;
    assert_eq!(code, Some(2), "{text}");
}
