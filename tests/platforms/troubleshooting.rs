//! The lines that `docs/operations.md` promises for each mistake.

use std::fs;
use std::path::Path;

use testkit::{Mesh, eventually, tools};

const DOCUMENT: &str = "docs/operations.md";
const HEADING: &str = "## Troubleshooting";

/// Rows of the table: the mistake, what appears, and what helps.
fn rows() -> Vec<[String; 3]> {
    let text = fs::read_to_string(tools::root().join(DOCUMENT)).unwrap();
    let (_, section) = text.split_once(HEADING).expect("the section exists");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| {
        let cells: Vec<String> = line
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']).to_owned())
            .collect();
        cells.try_into().ok()
    };
    section
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(cells)
        .collect()
}

/// The first text in code marks, which the log must have for this mistake.
fn promised(mistake: &str) -> String {
    let rows = rows();
    let row = rows.iter().find(|row| row[0] == mistake);
    let row = row.unwrap_or_else(|| panic!("{DOCUMENT} has no row for {mistake:?}"));
    let text = row[1].split('`').nth(1);
    text.expect("a text of the log").to_owned()
}

/// Waits until Envoy has printed what is promised for this mistake, in one line.
pub async fn assert_printed(mesh: &Mesh, mistake: &str) {
    let text = promised(mistake);
    let parts: Vec<&str> = text.split('…').map(str::trim).collect();
    eventually(format!("{mistake}: {text:?} is printed"), || {
        let log = mesh.envoy.log();
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        log.lines().any(has).then_some(())
    })
    .await;
}

/// All files of this program.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap();
    let texts = entries.map(|entry| entry.unwrap().path()).map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            fs::read_to_string(path).unwrap()
        }
    });
    texts.collect()
}

#[test]
fn each_line_of_envoys_log_has_a_scenario() {
    let sources = sources(&tools::root().join("tests/platforms"));
    let rows = rows();
    let of_envoy = rows.iter().filter(|row| row[1].starts_with("Envoy's log"));
    let mistakes: Vec<&String> = of_envoy.map(|row| &row[0]).collect();
    assert!(mistakes.len() > 4, "the table was not found");
    for mistake in mistakes {
        let calls = sources.split("assert_printed(&").skip(1);
        let mut named = calls.filter(|rest| {
            rest.lines()
                .take(4)
                .any(|line| line.contains(mistake.as_str()))
        });
        assert!(named.next().is_some(), "no scenario has {mistake:?}");
    }
}
