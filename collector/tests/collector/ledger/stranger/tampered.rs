//! Every kind of tampering is named, and both agree that the ledger is not sound.

use audit_collector::db::Kind;
use audit_collector::ledger::store::table::RECORDS;

use super::{Case, PACKAGES, assert_named, assert_sound, filled};
use crate::ledger::fixture::{Fixture, entries};
use crate::ledger::tree::append;
use crate::process::command;

#[tokio::test]
async fn a_change_in_each_stored_column_is_named() {
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    let others = ["position", "hash"];
    for column in RECORDS
        .columns
        .iter()
        .filter(|column| !others.contains(&column.name))
    {
        let name = column.name;
        let (value, other_type) = match column.kind {
            Kind::Text => ("'forged'", "x'00'"),
            Kind::Bytes => ("x'00666f72676564'", "7"),
            Kind::Integer | Kind::Small => ("7777", "x'00'"),
        };
        let change = format!("UPDATE records SET {name} = {value} WHERE position = 14");
        let found = case.by_both(&case.change(&fixture, &[&change]));
        assert_named(&found, &named(name), &change);

        let change = format!("UPDATE records SET {name} = {other_type} WHERE position = 14");
        let found = case.by_both(&case.change(&fixture, &[&change]));
        assert_named(&found, &format!("records 14 {name}: holds "), &change);
    }
}

/// How a line begins that names a changed column.
fn named(column: &str) -> String {
    let is_key = column.ends_with("_key");
    let column = match column {
        "shape_id" | "attribute_values" | "at_unix_nano" => column,
        _ if is_key => column,
        _ => "hash",
    };
    format!("records 14 {column}: ")
}

/// What is changed, and how the line begins that names it.
const TAMPERED: &[(&[&str], &str)] = &[
    (
        &["DELETE FROM records WHERE position = 14"],
        "records 14-14 position: the rows are missing",
    ),
    (
        &["DELETE FROM records WHERE position > 14"],
        "head 18 position: the chain ends at 14",
    ),
    (
        &[
            "DELETE FROM records WHERE position > 14",
            "UPDATE head SET position = 14, hash = (SELECT hash FROM records WHERE position = 14)",
        ],
        "checkpoints 18 position: the chain ends at 14",
    ),
    (
        &[
            "UPDATE records SET position = 100 WHERE position = 13",
            "UPDATE records SET position = 13 WHERE position = 15",
            "UPDATE records SET position = 15 WHERE position = 100",
        ],
        "records 13 hash: does not match the row (aud_16)",
    ),
    (
        &[
            "UPDATE records SET position = position + 100 WHERE position > 13",
            "UPDATE records SET position = position - 99 WHERE position > 100",
        ],
        "records 14-14 position: the rows are missing",
    ),
    (
        &[
            "DELETE FROM records WHERE position = 14",
            "UPDATE records SET position = position + 100 WHERE position > 14",
            "UPDATE records SET position = position - 101 WHERE position > 100",
        ],
        "records 14 hash: does not match the row (aud_16)",
    ),
    (
        &["UPDATE records SET hash = x'00' WHERE position = 14"],
        "records 14 hash: is not 32 bytes long",
    ),
    (
        &["UPDATE records SET hash = zeroblob(32) WHERE position = 14"],
        "records 14 hash: does not match",
    ),
    (
        &["UPDATE checkpoints SET hash = zeroblob(32) WHERE position = 14"],
        "checkpoints 14 hash: differs from that of the row",
    ),
    (
        &["UPDATE checkpoints SET position = 15 WHERE position = 14"],
        "checkpoints 15 hash: differs from that of the row",
    ),
    (
        &["UPDATE checkpoints SET position = 99 WHERE position = 14"],
        "checkpoints 99 position: the chain ends at 18",
    ),
    (
        &["UPDATE head SET hash = zeroblob(32)"],
        "head 18 hash: differs from that of the last row",
    ),
    (
        &[r#"UPDATE records SET attribute_values = '"\ud800"' WHERE position = 14"#],
        "records 14 attribute_values: does not fit shape",
    ),
    (
        &["UPDATE texts SET text = '\"forged\"'"],
        "records 11 hash: does not match the row (aud_10)",
    ),
    (
        &["DELETE FROM texts"],
        "records 11 attribute_values: does not fit shape",
    ),
    (
        &["DELETE FROM shapes"],
        "records 11 shape_id: segment 0 has no such shape",
    ),
    (
        &["UPDATE shapes SET template = substr(template, 1, 40)"],
        "records 11 attribute_values: does not fit shape",
    ),
    (
        &["UPDATE shapes SET severity_number = 7"],
        "records 11 hash: does not match the row (aud_10)",
    ),
    (
        &["UPDATE shapes SET action = 'forged'"],
        "records 11 shape_id: action of shape",
    ),
    (
        &["UPDATE segments SET last_at_unix_nano = 0"],
        "records 11 at_unix_nano: is not among the times of segment 0",
    ),
    (
        &["UPDATE records SET uid = x'00780a736f756e64' WHERE position = 14"],
        r"records 14 hash: does not match the row (x\nsound)",
    ),
    (
        &["UPDATE head SET position = 17"],
        "head 17 position: the chain ends at 18",
    ),
    (
        &["DELETE FROM head"],
        "head 0 position: the chain ends at 18",
    ),
    (
        &["DELETE FROM cuts"],
        "records 1-10 position: the rows are missing",
    ),
    (
        &[
            "UPDATE cuts SET statement = replace(statement, 'hash_before\":\"0', 'hash_before\":\"1')",
        ],
        "cuts 1 statement: does not continue the chain before it",
    ),
    (
        &[
            "UPDATE cuts SET statement = replace(statement, 'last_position\":10', 'last_position\":11')",
        ],
        "records 11 position: lies within a cut",
    ),
    (
        &["UPDATE cuts SET statement = replace(statement, 'hash_after\":\"', 'hash_after\":\"0')"],
        "cuts 1 statement: is not one of a cut",
    ),
    (
        &["UPDATE cuts SET statement = x'00'"],
        "cuts 1 statement: holds bytes, not str",
    ),
    (
        &["UPDATE checkpoints SET hash = x'00' WHERE position = 14"],
        "checkpoints 14 hash: is not 32 bytes long",
    ),
    (
        &["UPDATE checkpoints SET made_at_unix_nano = 'forged' WHERE position = 14"],
        "checkpoints 14 made_at_unix_nano: holds str, not int",
    ),
    (
        &["UPDATE checkpoints SET position = 0 WHERE position = 14"],
        "checkpoints 0 position: a chain begins at 1",
    ),
    (
        &["UPDATE head SET hash = x'00'"],
        "head 18 hash: is not 32 bytes long",
    ),
    (
        &["UPDATE cuts SET statement = '{}'"],
        "cuts 1 statement: is not one of a cut",
    ),
    (
        &["UPDATE cuts SET first_position = 2"],
        "cuts 2 statement: is not one of a cut",
    ),
    (
        &["UPDATE checkpoints SET root = zeroblob(32) WHERE position = 14"],
        "checkpoints 14 root: differs from that of the rows",
    ),
    (
        &["UPDATE checkpoints SET root = x'00' WHERE position = 14"],
        "checkpoints 14 root: is not 32 bytes long",
    ),
    (
        &["UPDATE tree SET hash = zeroblob(32) WHERE last_position = 8"],
        "checkpoints 10 root: differs from that of the rows",
    ),
    (
        &["DELETE FROM tree WHERE last_position = 8"],
        "tree 1-10 level: the nodes of these deleted rows are missing",
    ),
    (
        &["UPDATE tree SET level = 2 WHERE last_position = 8"],
        "tree 1-10 level: the nodes of these deleted rows are missing",
    ),
    (
        &["UPDATE tree SET hash = 'forged' WHERE last_position = 8"],
        "tree 8 hash: holds str, not bytes",
    ),
    (
        &["INSERT INTO tree SELECT 1, 12, hash FROM head"],
        "tree 12 level: a node of level 1 is surplus",
    ),
    (
        &["INSERT INTO tree SELECT 8, 256, hash FROM head"],
        "tree 256 level: a node of level 8 is surplus",
    ),
    (
        &["INSERT INTO tree SELECT 'forged', 8, hash FROM head"],
        "tree 8 level: holds str, not int",
    ),
    (
        &["INSERT INTO views (id, position) VALUES (1, 19)"],
        "views 19 position: it is beyond that of the head",
    ),
];

/// The same for what only a signature shows.
const FORGED: &[(&[&str], &str)] = &[
    (
        &["UPDATE checkpoints SET signature = zeroblob(64) WHERE position = 14"],
        "checkpoints 14 signature: not of a trusted key",
    ),
    (
        &["UPDATE checkpoints SET made_at_unix_nano = 7 WHERE position = 14"],
        "checkpoints 14 signature: not of a trusted key",
    ),
    (
        &["UPDATE checkpoints SET root = NULL WHERE position = 14"],
        "checkpoints 14 signature: not of a trusted key",
    ),
    (
        &["UPDATE checkpoints SET key_id = 'another' WHERE position = 14"],
        "checkpoints 14 signature: not of a trusted key, but of another",
    ),
    (
        &["UPDATE cuts SET signature = zeroblob(64)"],
        "cuts 1 signature: not of a trusted key",
    ),
    (
        &["UPDATE cuts SET key_id = 'another'"],
        "cuts 1 signature: not of a trusted key",
    ),
    (
        &["UPDATE cuts SET statement = replace(statement, '[0,9,', '[0,13,')"],
        "cuts 1 signature: not of a trusted key",
    ),
];

#[tokio::test]
async fn each_kind_of_tampering_is_named() {
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    let forged = FORGED.iter().filter(|_| PACKAGES.is_some());
    for (changes, line) in TAMPERED.iter().chain(forged) {
        let found = case.by_both(&case.change(&fixture, changes));
        assert_named(&found, line, &changes.join("; "));
    }
}

#[tokio::test]
async fn a_shortened_ledger_contradicts_checkpoints_from_elsewhere() {
    let fixture = filled().await;
    let mut case = Case::of(&fixture).await;
    let checkpoints = command(&["checkpoints", "--database", &fixture.url]).output();
    let elsewhere = case.file("elsewhere.ndjson");
    std::fs::write(&elsewhere, checkpoints.unwrap().stdout).unwrap();

    let shortened = [
        "DELETE FROM records WHERE position > 14",
        "UPDATE head SET position = 14, hash = (SELECT hash FROM records WHERE position = 14)",
        "DELETE FROM checkpoints WHERE position > 14",
    ];
    let file = case.change(&fixture, &shortened);
    let found = case.by_page(&[&file]);
    assert!(found.1.contains("faults: 0\n"), "{}", found.1);
    assert_eq!(case.by_both(&file).0, Some(1), "the number 12 is missing");

    case.flags = vec!["--checkpoints".to_owned(), elsewhere.display().to_string()];
    let found = case.by_both(&file);
    let line = "checkpoints 18 position: the chain ends at 14";
    assert_named(&found, line, "a shortened ledger");
    assert_sound(&case.by_both(&case.change(&fixture, &[])));
}

#[tokio::test]
async fn a_changed_node_over_rows_is_named() {
    let fixture = Fixture::sqlite();
    append(&fixture, entries(0..600)).await;
    let case = Case::of(&fixture).await;
    assert_sound(&case.by_both(&case.change(&fixture, &[])));
    for (change, line) in [
        (
            "UPDATE tree SET hash = zeroblob(32) WHERE last_position = 512",
            "tree 512 hash: the node of level 8 differs from that of the rows",
        ),
        (
            "DELETE FROM tree WHERE last_position = 256",
            "tree 256 level: the node of level 8 is missing",
        ),
        (
            "INSERT INTO tree SELECT 16, 512, hash FROM head",
            "tree 512 level: a node of level 16 is surplus",
        ),
        (
            "INSERT INTO tree SELECT 8, 768, hash FROM head",
            "tree 768 level: a node of level 8 is surplus",
        ),
        (
            "UPDATE records SET hash = zeroblob(32) WHERE position = 300",
            "tree 512 hash: the node of level 8 differs from that of the rows",
        ),
    ] {
        assert_named(
            &case.by_both(&case.change(&fixture, &[change])),
            line,
            change,
        );
    }
}
