//! House rules beyond the compiler: imports between modules, access to clocks and proxies, length
//! of files.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test; the lint's exception covers test functions only, not their helpers"
)]

mod circles;
mod language;
mod links;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file before its tests.
const MAX_LINES: usize = 400;

/// Test-only files: they may import any module, and have no limit of lines.
const TEST_FILES: [&str; 5] = [
    "config/tests/mod.rs",
    "pipeline/tests/mod.rs",
    "recorder/fake.rs",
    "recorder/identity/response_json/tests/mod.rs",
    "recorder/tests/mod.rs",
];

/// Allowed imports with `crate::` for each top-level module, besides itself: modules, or single
/// items of a module.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("allocator", &[]),
    ("time", &[]),
    ("copy", &[]),
    ("quota", &[]),
    ("writer", &["copy"]),
    ("json", &["copy", "writer"]),
    ("host", &[]),
    ("instance", &["host"]),
    ("record", &["copy"]),
    ("stats", &["record"]),
    (
        "recorder",
        &["host", "json", "quota", "record", "stats", "time", "writer"],
    ),
    ("wire", &["copy", "json", "record", "time", "writer"]),
    (
        "pipeline",
        &["host", "json", "quota", "record", "stats", "time", "wire"],
    ),
    (
        "config",
        &["json", "pipeline", "record", "recorder", "time", "wire"],
    ),
    (
        "adapter",
        &[
            "config", "host", "instance", "pipeline", "quota", "record", "recorder", "stats",
            "time", "wire",
        ],
    ),
    // The crate's root only lists the modules.
    ("lib", &[]),
];

/// The files that join the parts of the pipeline. The others do not name `Pipeline`.
const JOINING_FILES: [&str; 4] = [
    "pipeline/batches.rs",
    "pipeline/lifecycle.rs",
    "pipeline/mod.rs",
    "pipeline/slots.rs",
];

/// Words that only the adapter may use.
const OUTSIDE_WORLD: [&str; 6] = [
    "extern \"C\"",
    "getrandom",
    "SystemTime::now",
    "Instant::now",
    "std::env",
    "Uuid::new_v4",
];

struct Source {
    /// Below `src/`, with `/` as separator.
    path: String,
    text: String,
}

impl Source {
    /// The part before `#[cfg(test)] mod tests {`.
    fn code(&self) -> &str {
        let inner_tests = self.text.find("#[cfg(test)]\nmod tests {");
        let inner_tests =
            inner_tests.or_else(|| self.text.find("#[cfg(test)]\npub(super) mod tests {"));
        self.text.split_at(inner_tests.unwrap_or(self.text.len())).0
    }

    /// Code lines without comments.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.code()
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
    }

    fn room(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    /// A test file, or a part of one in its folder.
    fn is_test(&self) -> bool {
        let is_part = |file: &str| {
            self.path
                .strip_prefix(module_of(file))
                .is_some_and(|rest| rest.starts_with('/'))
        };
        TEST_FILES
            .iter()
            .any(|file| *file == self.path || is_part(file))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module of a file, with `/` as separator: `a/b` for `a/b.rs` and `a/b/mod.rs`.
fn module_of(file: &str) -> &str {
    let module = file.strip_suffix(".rs").unwrap_or(file);
    module.strip_suffix("/mod").unwrap_or(module)
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            found.push(Source {
                path: below,
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// Every path after `crate::` in the code, with groups expanded: `crate::a::{B, c::D}` is `a::B`
/// and `a::c::D`.
fn imports(source: &Source) -> Vec<String> {
    let code: String = source.lines().collect::<Vec<_>>().join("\n");
    let rest_of = |(at, found): (usize, &str)| expand("", &code[at + found.len()..]);
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with('$'))
        .flat_map(rest_of)
        .collect()
}

fn expand(prefix: &str, text: &str) -> Vec<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let path = format!("{prefix}{path}");
    let Some(group) = rest
        .strip_prefix('{')
        .filter(|_| path.is_empty() || path.ends_with("::"))
    else {
        return vec![path];
    };

    members(group)
        .into_iter()
        .flat_map(|member| expand(&path, member.trim()))
        .collect()
}

/// The comma-separated members of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }

    found
        .into_iter()
        .filter(|member| !member.trim().is_empty())
        .collect()
}

fn is_allowed(import: &str, allowed: &[&str]) -> bool {
    allowed.iter().any(|entry| {
        import == *entry
            || import
                .strip_prefix(entry)
                .is_some_and(|rest| rest.starts_with("::"))
    })
}

#[test]
fn rooms_import_only_what_flows_to_them() {
    let rules: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut seen = 0;

    for source in sources().iter().filter(|source| !source.is_test()) {
        let room = source.room();
        let allowed = rules
            .get(room)
            .unwrap_or_else(|| panic!("{}: no rule for the room {room}", source.path));

        for import in imports(source) {
            seen += 1;
            let is_own = is_allowed(&import, &[room]);
            assert!(
                is_own || is_allowed(&import, allowed),
                "{}: must not import crate::{import}",
                source.path
            );
        }
    }

    assert!(seen > 50, "only {seen} imports were read");
}

#[test]
fn only_the_adapter_knows_the_world() {
    let mut adapter_uses = 0;
    for source in sources() {
        for word in OUTSIDE_WORLD {
            let uses = source.lines().filter(|line| has_word(line, word)).count();
            if source.room() == "adapter" {
                adapter_uses += uses;
            } else {
                assert_eq!(uses, 0, "{}: {word} is for the adapter", source.path);
            }
        }
    }

    assert!(
        adapter_uses >= 5,
        "only {adapter_uses} uses were found where there are more"
    );
}

#[test]
fn parts_of_the_pipeline_do_not_name_it() {
    let mut joining_uses = 0;
    for source in sources() {
        if source.room() != "pipeline" || source.is_test() {
            continue;
        }

        let words = source
            .lines()
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        let count = words.filter(|word| *word == "Pipeline").count();

        if JOINING_FILES.contains(&&*source.path) {
            assert!(count > 0, "{}: joins nothing", source.path);
            joining_uses += count;
        } else {
            assert_eq!(count, 0, "{}: a part names Pipeline", source.path);
        }
    }

    assert!(
        joining_uses > 5,
        "the search found nothing where it must find something"
    );
}

/// Whether `word` stands in a line, not as the end of a longer word (`dialog::`).
fn has_word(line: &str, word: &str) -> bool {
    let is_start = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| is_start(at))
}

#[test]
fn every_file_has_a_summary_and_is_short() {
    for source in sources() {
        let first = source.text.lines().next().unwrap_or_default();
        let sentence = first.strip_prefix("//! ").unwrap_or_default();
        assert!(
            sentence.len() > 10,
            "{}: must start with a sentence",
            source.path
        );

        let lines = source.code().lines().count();
        assert!(
            source.is_test() || lines < MAX_LINES,
            "{}: {lines} lines before its tests",
            source.path
        );
    }
}

#[test]
fn no_file_is_exempt_silently() {
    let sources = sources();

    for path in TEST_FILES {
        assert!(
            sources.iter().any(|source| source.path == path),
            "{path} is exempt and does not exist"
        );
        let (folder, module) = module_of(path).rsplit_once('/').unwrap();
        let parents = [format!("{folder}/mod.rs"), format!("{folder}.rs")];
        let parent = sources
            .iter()
            .find(|source| parents.contains(&source.path))
            .unwrap();
        let is_test_only = ["", "pub(crate) "].iter().any(|visibility| {
            parent
                .text
                .contains(&format!("#[cfg(test)]\n{visibility}mod {module};"))
        });
        assert!(is_test_only, "{path} is exempt and not for tests only");
    }

    for source in sources
        .iter()
        .filter(|source| module_of(&source.path).ends_with("tests"))
    {
        assert!(
            source.is_test(),
            "{}: add it to the list of test files",
            source.path
        );
    }
}

#[test]
fn groups_are_written_out() {
    let read = |text: &str| {
        imports(&Source {
            path: "x.rs".to_owned(),
            text: text.to_owned(),
        })
    };
    assert_eq!(read("use crate::a::B;"), ["a::B"]);
    assert_eq!(
        read("use crate::{pipeline, recorder};"),
        ["pipeline", "recorder"]
    );

    assert_eq!(
        read("use crate::a::{B, c::{D,\n E}, f};\nuse crate::g;"),
        ["a::B", "a::c::D", "a::c::E", "a::f", "g"]
    );
    assert_eq!(
        read("let x = crate::a::b(1);\n// crate::no\nuse std::c;"),
        ["a::b"]
    );
    assert!(is_allowed("record::Loss", &["record"]) && !is_allowed("recorder::path", &["record"]));
}
