//! `docs/platforms.md`: each cell has evidence, and what is named there exists.

use std::collections::BTreeMap;
use std::fs;

use testkit::tools;

const DOCUMENT: &str = "docs/platforms.md";
/// Columns of the tables by platform, the first one included.
const COLUMNS: usize = 7;

fn read(file: &str) -> Option<String> {
    fs::read_to_string(tools::root().join(file)).ok()
}

fn section(text: &str, heading: &str) -> String {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The cells below the head of a table.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let inner = line.trim_matches(['|', ' ']);
        inner.split(" | ").map(str::to_owned).collect()
    };
    lines.skip(1).map(cells).collect()
}

/// The numbers in the last parentheses of a cell.
fn numbers(cell: &str) -> Vec<usize> {
    let last = cell
        .rsplit_once('(')
        .map(|(_, last)| last.trim_end_matches(')'));
    let list = last.into_iter().flat_map(|list| list.split(", "));
    list.filter_map(|number| number.parse().ok()).collect()
}

/// The items of the list, with their numbers.
fn evidence(text: &str) -> BTreeMap<usize, String> {
    let section = section(text, "Evidence");
    let mut items: BTreeMap<usize, String> = BTreeMap::new();
    for line in section.lines() {
        let start = line
            .split_once(". ")
            .and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        if let Some((number, rest)) = start {
            items.insert(number, rest.to_owned());
        } else if let Some(mut item) = items.last_entry() {
            item.get_mut().push_str(line);
        }
    }
    items
}

/// Whether a module or a function of a test program exists.
fn exists(name: &str) -> bool {
    let path = name.replace("::", "/");
    let file = |path: &str| {
        read(&format!("tests/{path}.rs")).or_else(|| read(&format!("tests/{path}/mod.rs")))
    };
    let of_function = || {
        let (module, function) = path.rsplit_once('/')?;
        file(module).filter(|text| text.contains(&format!("fn {function}(")))
    };
    file(&path).or_else(of_function).is_some()
}

/// Names in code marks that are neither a test nor part of a source.
fn unknown(item: &str) -> Vec<&str> {
    let matrix = read("tests/faults/matrix.rs").unwrap();
    let is_known = |name: &str| match name.split_once(": ") {
        Some(("faults", row)) => matrix.contains(&format!("\"{row}\"")),
        _ if name.contains("::") => exists(name),
        _ => name == "protocols" || name.contains('/') || name.starts_with("release-"),
    };
    let names = item.split('`').skip(1).step_by(2);
    names.filter(|name| !is_known(name)).collect()
}

#[test]
fn each_cell_has_evidence() {
    let text = read(DOCUMENT).unwrap();
    let evidence = evidence(&text);
    let mut checked = 0;
    for heading in ["Guarantees", "What can be lost"] {
        for row in rows(&section(&text, heading)) {
            assert_eq!(row.len(), COLUMNS, "{row:?}");
            for cell in &row[1..] {
                let numbers = numbers(cell);
                assert!(
                    cell == "untried" || !numbers.is_empty(),
                    "{}: {cell}",
                    row[0]
                );
                for number in numbers {
                    assert!(evidence.contains_key(&number), "{}: {cell}", row[0]);
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "only {checked} cells were found");
}

#[test]
fn each_test_that_is_named_exists() {
    let evidence = evidence(&read(DOCUMENT).unwrap());
    assert!(evidence.len() > 30, "{evidence:#?}");
    for (number, item) in &evidence {
        assert_eq!(unknown(item), Vec::<&str>::new(), "{number}");
    }
    assert!(!exists("platforms::waypoint::nothing") && !unknown("`faults: none such`").is_empty());
}

#[test]
fn each_event_of_the_operations_is_there() {
    let operations = read("docs/operations.md").unwrap();
    let events = rows(&section(&operations, "What can be lost"));
    let platforms = rows(&section(&read(DOCUMENT).unwrap(), "What can be lost"));
    assert!(platforms.len() >= events.len(), "{} events", events.len());
}
