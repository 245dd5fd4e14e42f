//! The table in `docs/protocols.md`, for users.

use std::fs;
use std::path::PathBuf;

use testkit::tools;

use crate::row::{Row, Table};

const BEGIN: &str = "<!-- table: written by `cargo test --test protocols -- --write` -->";
const END: &str = "<!-- end of the table -->";

const HEAD: &str = "\
| client speaks | filters, client to upstream | ending | client got | records | event | outcome | HTTP | RPC status | source | dialect | termination |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// Compares the document with the table; yields the difference, if any.
pub fn check(table: &Table) -> Option<String> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let Some((_, old, _)) = parts(&text) else {
        return Some("docs/protocols.md has no table".to_owned());
    };
    (old != markdown(table))
        .then(|| "the table in docs/protocols.md is not up to date: run with --write".to_owned())
}

/// Replaces the table in the document.
pub fn write(table: &Table) {
    let text = fs::read_to_string(path()).unwrap();
    let (before, _, after) =
        parts(&text).expect("docs/protocols.md has the two marks of the table");
    fs::write(path(), format!("{before}{}{after}", markdown(table))).unwrap();
}

fn path() -> PathBuf {
    tools::root().join("docs/protocols.md")
}

/// The text up to the table, the table, and the rest.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text.get(begin..)?.find(END)?;
    Some((&text[..begin], &text[begin..end], &text[end..]))
}

fn markdown(table: &Table) -> String {
    let rows = table.rows.iter().map(|row| line(table, row));
    format!("\n\n{HEAD}{}\n", rows.collect::<String>())
}

fn line(table: &Table, row: &Row) -> String {
    let [
        records,
        event,
        outcome,
        http,
        rpc,
        source,
        dialect,
        termination,
    ] = row.expected.columns();
    let order = table.orders[row.order].label();

    let cells = [
        row.protocol,
        &order,
        row.ending,
        row.client,
        &records,
        &event,
        &outcome,
        &http,
        &rpc,
        &source,
        &dialect,
        &termination,
    ];
    format!("| {} |\n", cells.join(" | "))
}
