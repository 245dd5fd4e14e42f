//! `docs/records.md` is the reference of what the filter sends: names, types, examples and values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use audit_filter::record::Event;
use audit_filter::wire::Format;
use serde_json::Value;

use crate::records::check;
use crate::{ATTRIBUTES, RESOURCE, SCOPE, batch, one, otlp_records};

const DOCUMENT: &str = "docs/records.md";

/// End of a documented name that has a part from the configuration.
const CONFIGURED: &str = "<name>";

/// Files with the words of enumerations, each as `Self::Variant => "word"`.
const WORDS: [&str; 6] = [
    "src/record/ending.rs",
    "src/record/loss.rs",
    "src/record/values.rs",
    "src/recorder/identity/mod.rs",
    "src/recorder/identity/response_json/mod.rs",
    "src/wire/attributes.rs",
];

/// Type and text of each value, by the name of its attribute.
type Sent = BTreeMap<String, BTreeSet<(String, String)>>;

/// A row of a table: the text of its cells, by the title of their column.
struct Row {
    /// The heading above the table.
    heading: String,
    cells: BTreeMap<String, String>,
}

impl Row {
    fn cell(&self, title: &str) -> &str {
        self.cells.get(title).map_or("", String::as_str)
    }

    /// The code in a cell; `None` for other text.
    fn code(&self, title: &str) -> Option<&str> {
        self.cell(title).strip_prefix('`')?.strip_suffix('`')
    }

    /// Whether this is the row of an attribute.
    fn is_of(&self, name: &str) -> bool {
        let Some(documented) = self.code("name") else {
            return false;
        };
        let end = documented
            .strip_suffix(CONFIGURED)
            .and_then(|start| name.strip_prefix(start));
        documented == name || end.is_some_and(|end| !end.is_empty())
    }

    /// A word of an enumeration, and the name of its attribute.
    fn word(&self) -> Option<(&str, &str)> {
        let name = self.heading.split('`').nth(1)?;
        let word = self.code("value").or_else(|| self.code("event"))?;
        Some((name, word))
    }
}

fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn read(below: &str) -> String {
    fs::read_to_string(path(below)).unwrap()
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(|cell| cell.trim().into()).collect())
}

/// The rows of all tables of the document.
fn rows() -> Vec<Row> {
    let text = read(DOCUMENT);
    let (mut heading, mut titles, mut rows) = ("", Vec::new(), Vec::new());

    for line in text.lines() {
        if line.starts_with('#') {
            heading = line;
        }
        let Some(cells) = cells(line) else {
            titles.clear();
            continue;
        };

        if titles.is_empty() {
            titles = cells;
        } else if !line.starts_with("|---") {
            assert_eq!(cells.len(), titles.len(), "{line}");
            rows.push(Row {
                heading: heading.to_owned(),
                cells: titles.iter().cloned().zip(cells).collect(),
            });
        }
    }

    assert!(rows.len() > 100, "the tables were not found");
    rows
}

/// The values of the golden batch in both JSON formats, and of a recovered batch.
fn sent() -> Sent {
    let mut sent = Sent::new();
    let mut add = |name: &str, kind: &str, value: &Value| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let values = sent.entry(name.to_owned()).or_default();
        values.insert((kind.to_owned(), text));
    };

    let (resource, scope, records) = otlp_records();
    for parent in [resource, scope].iter().chain(&records) {
        for entry in parent["attributes"].as_array().unwrap() {
            let (kind, value) = entry["value"].as_object().unwrap().iter().next().unwrap();
            let kind = kind.strip_suffix("Value").unwrap();
            add(entry["key"].as_str().unwrap(), kind, value);
        }
    }

    let recovered = one(Format::Ndjson, &Event::Exchange(Box::new(check())));
    for bytes in [batch(Format::Ndjson), recovered] {
        for line in String::from_utf8(bytes).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            for (name, value) in line.as_object().unwrap() {
                add(name, kind(value), value);
            }
        }
    }

    sent
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "int",
        Value::Number(_) => "double",
        _ => panic!("{value}"),
    }
}

/// The string literals that directly follow `start`.
fn literals<'t>(text: &'t str, start: &'t str) -> impl Iterator<Item = &'t str> {
    let literal = |rest: &'t str| rest.trim_start().strip_prefix('"')?.split('"').next();
    text.split(start).skip(1).filter_map(literal)
}

/// All names in the code of the wire. One with a part from the configuration ends with
/// [`CONFIGURED`].
fn names_in_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path("src/wire")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        names.extend(literals(&text, "name!(").map(str::to_owned));
    }

    let attributes = read("src/wire/attributes.rs");
    let prefixes = literals(&attributes, ".named(").filter(|prefix| !prefix.is_empty());
    names.extend(prefixes.map(|prefix| format!("{prefix}{CONFIGURED}")));

    let capture = read("src/config/capture.rs");
    let lists = literals(&capture, "names(");
    names.extend(lists.map(|list| format!("audit.capture.{list}.{CONFIGURED}")));

    assert!(names.len() > 60, "the names were not found: {names:?}");
    names
}

fn listed_names() -> impl Iterator<Item = String> {
    let listed = ATTRIBUTES.iter().chain(&RESOURCE).chain(&SCOPE);
    listed.map(|name| (*name).to_owned())
}

#[test]
fn every_name_that_is_sent_has_one_row() {
    let rows = rows();
    let names: BTreeSet<String> = sent()
        .into_keys()
        .chain(listed_names())
        .chain(names_in_the_code())
        .collect();

    for name in names {
        let count = rows.iter().filter(|row| row.is_of(&name)).count();
        assert_eq!(count, 1, "rows of {name} in {DOCUMENT}");
    }
}

#[test]
fn every_row_is_a_name_that_is_sent() {
    let known: BTreeSet<String> = names_in_the_code()
        .into_iter()
        .chain(listed_names())
        .collect();
    for row in rows() {
        if let Some(name) = row.code("name") {
            assert!(known.contains(name), "{name} in {DOCUMENT} is never sent");
        }
    }
}

/// A name without a golden value has no example. An example with `…` is the start of its value.
#[test]
fn types_and_examples_are_those_of_the_golden_files() {
    let sent = sent();
    for row in rows() {
        let Some(documented) = row.code("name") else {
            continue;
        };
        let values: Vec<&(String, String)> = sent
            .iter()
            .filter(|(name, _)| row.is_of(name))
            .flat_map(|(_, values)| values)
            .collect();

        let is_typed = values.iter().all(|(kind, _)| kind == row.cell("type"));
        assert!(is_typed, "type of {documented}: {values:?}");

        let example = row.code("example");
        let is_golden = |example: &str| {
            values.iter().any(|(_, text)| {
                let start = example.strip_suffix('…');
                text == example || start.is_some_and(|start| text.starts_with(start))
            })
        };
        assert_eq!(example.is_none(), values.is_empty(), "{documented}");
        assert!(
            example.is_none_or(is_golden),
            "example of {documented}: {example:?} is none of {values:?}"
        );
    }
}

#[test]
fn enumerations_have_all_words_and_no_others() {
    let rows = rows();
    let documented: BTreeSet<(&str, &str)> = rows.iter().filter_map(Row::word).collect();
    let sent = sent();

    let enumerated: BTreeSet<&str> = documented.iter().map(|(name, _)| *name).collect();
    let golden: BTreeSet<(&str, &str)> = enumerated
        .iter()
        .flat_map(|name| sent[*name].iter().map(|(_, text)| (*name, text.as_str())))
        .collect();
    let missing: Vec<_> = golden.difference(&documented).collect();
    assert!(missing.is_empty(), "not in {DOCUMENT}: {missing:?}");

    let code: String = WORDS.map(read).concat();
    let in_the_code: BTreeSet<&str> = literals(&code, "=> ")
        .chain(literals(&code, "=> Some("))
        .collect();
    let golden = golden.iter().map(|(_, word)| *word);
    let known: BTreeSet<&str> = in_the_code.iter().copied().chain(golden).collect();
    let documented: BTreeSet<&str> = documented
        .iter()
        .map(|(_, word)| *word)
        .chain(rows.iter().filter_map(|row| row.code("text")))
        .collect();

    assert!(in_the_code.len() > 30, "the words were not found");
    assert_eq!(documented, known);
}
