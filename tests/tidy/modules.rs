//! In the collector, a module with a folder is the `mod.rs` of that folder.
//!
//! This is clippy's `self_named_module_files`, which takes no exception. It replaces this file when
//! the last of the listed modules has moved.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that are still beside their folder.
const BESIDE: [&str; 3] = ["otlp", "otlp/ndjson", "otlp/protobuf"];

fn folders(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders(&path, found);
            found.push(path);
        }
    }
}

#[test]
fn modules_of_the_collector_are_in_their_folders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("collector/src");
    let mut found = Vec::new();
    folders(&root, &mut found);
    assert!(found.len() > 10, "the sources were not found");

    let beside = found
        .iter()
        .filter(|folder| folder.with_extension("rs").exists());
    let mut names: Vec<_> = beside
        .map(|folder| folder.strip_prefix(&root).unwrap().to_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, BESIDE, "modules beside their folders");
}
