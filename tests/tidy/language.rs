//! Comments use the field's terms: code is not a person.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that no comment has; CONTRIBUTING.md has the terms to use.
const WORDS: [&str; 29] = [
    "tell",
    "tells",
    "told",
    "telling",
    "untold",
    "say",
    "says",
    "said",
    "saying",
    "ask",
    "asks",
    "asked",
    "asking",
    "hear",
    "hears",
    "heard",
    "who",
    "whom",
    "whoever",
    "nobody",
    "somebody",
    "everybody",
    "anybody",
    "heir",
    "heirs",
    "kin",
    "seat",
    "seats",
    "estate",
];

/// Folders with Rust code.
const FOLDERS: [&str; 8] = [
    "src",
    "tests",
    "benches",
    "envoy/demo",
    "testkit",
    "collector/src",
    "collector/tests",
    "tools",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The comment of a line, if it has one.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//")
        .or_else(|| line.split_once(" // ").map(|(_, comment)| comment))
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_ascii_lowercase)
}

#[test]
fn comments_personify_nothing() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        rust_files(&root().join(folder), &mut files);
    }
    assert!(files.len() > 400, "the sources were not found");
    // The list itself is no comment.
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(comment(line).unwrap_or_default());
            let banned = words.filter(|word| WORDS.contains(&word.as_str()));
            found.extend(banned.map(|word| format!("{}:{number}: {word}", file.display())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_comment_is_found_and_a_string_is_none() {
    assert_eq!(comment("    /// It says so."), Some("/ It says so."));
    assert_eq!(comment("let x = 1; // why"), Some("why"));
    assert_eq!(comment(r#"let x = "http://host";"#), None);
}
