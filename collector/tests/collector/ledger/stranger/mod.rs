//! `docs/verify.py` knows the ledger from `docs/ledger.md` alone. It accepts what is sound, names each
//! kind of tampering by table, position and column, and agrees with `audit-collector verify`.

mod lines;
mod proof;
mod tampered;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use audit_collector::db;
use audit_collector::ledger::entry::Entry;
use audit_collector::ledger::retention::Policy;
use serde_json::json;
use tempfile::TempDir;

use crate::ledger::fixture::{Fixture, NOW, SECOND, entries, entry_at, eventually, rows};
use crate::process::command;
use crate::tools::packages;

const DAY: i64 = 24 * 3600 * SECOND;

fn later() -> i64 {
    NOW + 100 * DAY
}

/// A loss that explains the numbers 12 and 13, in the row with the number 16.
fn loss() -> Entry {
    let lost = [
        ("audit.loss.reason", json!("buffer_full")),
        ("audit.loss.first_number", json!(12)),
        ("audit.loss.last_number", json!(13)),
    ];
    let mut entry = entry_at(later(), "aud_16", 16, &lost);
    entry.event_name = "audit.loss".to_owned();
    entry
}

/// Rows 1 to 10 are cut; rows 11 to 18 have the numbers 10, 11 and 14 to 19. Checkpoints are at rows
/// 10, 14 and 18.
async fn filled() -> Fixture {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    ledger.append(entries(0..10)).await.unwrap();
    ledger.close().await.unwrap();

    let policy = Policy {
        retain: Duration::from_secs(3600),
        holds: Vec::new(),
        export: Some(fixture.directory.path().to_owned()),
    };
    let ledger = fixture.ledger_with_retention(policy, later).await;
    eventually(async || rows(&ledger).await.is_empty()).await;
    let new = |number: i64| entry_at(later(), &format!("aud_{number}"), number, &[]);
    let appended = ledger.append([10, 11, 14, 15].map(new).to_vec()).await;
    appended.unwrap();
    ledger.close().await.unwrap();

    let ledger = fixture.ledger().await;
    let last = vec![loss(), new(17), new(18), new(19)];
    ledger.append(last).await.unwrap();
    ledger.close().await.unwrap();
    fixture
}

/// A ledger, and how it is verified.
struct Case {
    directory: TempDir,
    key: String,
    flags: Vec<String>,
}

/// Exit code and output.
type Outcome = (Option<i32>, String);

impl Case {
    async fn of(fixture: &Fixture) -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            key: fixture.key().public().to_hex(),
            flags: Vec::new(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A copy of the database with these changes.
    fn change(&self, fixture: &Fixture, changes: &[&str]) -> String {
        let (original, copy) = (fixture.directory.path(), self.file("copy.db"));
        fs::copy(original.join("audit.db"), &copy).unwrap();
        let opened = db::open(&format!("sqlite://{}", copy.display())).unwrap();
        let mut connection = opened.database.connect().unwrap();
        for change in changes {
            let changed = connection.execute(change, &[]).unwrap();
            assert!(changed > 0, "{change}");
        }
        copy.display().to_string()
    }

    /// By the page.
    fn by_page(&self, files: &[&str]) -> Outcome {
        let mut python = python(PACKAGES.as_deref());
        let key = ["--public-key", &self.key];
        // Without the package, a key cannot be used.
        let key = key.iter().filter(|_| PACKAGES.is_some());
        outcome(python.args(files).args(key).args(&self.flags))
    }

    /// By both, which must agree.
    fn by_both(&self, file: &str) -> Outcome {
        let page = self.by_page(&[file]);
        let database = format!("sqlite://{file}");
        let verify = ["verify", "--public-key", &self.key, "--database", &database];
        let program = outcome(command(&verify).args(&self.flags));
        assert_eq!(page.0, program.0, "{page:?}\n{program:?}");
        page
    }
}

/// The package for signatures.
static PACKAGES: LazyLock<Option<PathBuf>> = LazyLock::new(|| packages("cryptography"));

/// The page, with these packages.
fn python(packages: Option<&Path>) -> Command {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify.py");
    let mut python = Command::new("python3");
    python.arg(page).stdin(Stdio::null());
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.envs(packages.map(|packages| ("PYTHONPATH", packages)));
    python
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn assert_sound(outcome: &Outcome) {
    let is_sound = outcome.1.lines().any(|line| line == "sound");
    assert!(outcome.0 == Some(0) && is_sound, "{}", outcome.1);
}

/// Asserts that a line begins like this.
#[track_caller]
fn assert_named(outcome: &Outcome, line: &str, change: &str) {
    let is_named = outcome.1.lines().any(|found| found.starts_with(line));
    assert!(
        outcome.0 == Some(1) && is_named,
        "{change}: no line {line:?} in\n{}",
        outcome.1
    );
}

#[tokio::test]
async fn a_sound_ledger_is_sound_and_left_as_it_was() {
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    let file = case.change(&fixture, &[]);
    let before = fs::read(&file).unwrap();

    let found = case.by_both(&file);
    assert_sound(&found);
    for line in [
        "rows: 8, 10 deleted by retention",
        "checkpoints: 3, rows after the last one: 0",
        "streams: 1, numbers reported as lost: 2, open: 0, missing: 0",
        "faults: 0",
    ] {
        assert!(found.1.contains(line), "{line}: {}", found.1);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(case.directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_gap_is_named_and_a_number_on_its_way_is_no_fault() {
    let fixture = Fixture::sqlite();
    let ledger = fixture.ledger().await;
    let numbers = [0, 1, 4, 4, 9].into_iter().zip(0..);
    let entries = numbers.map(|(number, uid)| entry_at(NOW, &format!("aud_{uid}"), number, &[]));
    ledger.append(entries.collect()).await.unwrap();
    ledger.close().await.unwrap();

    let mut case = Case::of(&fixture).await;
    let file = case.change(&fixture, &[]);
    let found = case.by_both(&file);
    for line in [
        "stream s sequence_number: 2 to 3 missing",
        "stream s sequence_number: 5 to 8 missing",
        "records 4 sequence_number: an earlier row has 4 of stream s, too",
    ] {
        assert_named(&found, line, "gaps");
    }

    case.flags = vec!["--grace".to_owned(), "4000000000".to_owned()];
    let found = case.by_page(&[&file]);
    assert_named(&found, "stream s sequence_number: 2 to 3 open", "young");
    assert!(found.1.contains("open: 6, missing: 0"), "{}", found.1);
}

#[tokio::test]
async fn signatures_that_cannot_be_checked_are_reported() {
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    let file = case.change(&fixture, &[]);
    let found = outcome(python(None).arg(&file));
    assert_eq!(found.0, Some(0), "{}", found.1);
    let unchecked = "signatures: NOT checked, no --public-key";
    assert!(found.1.contains(unchecked), "{}", found.1);

    let modules = TempDir::new().unwrap();
    let none = modules.path().join("cryptography.py");
    fs::write(none, "raise ImportError").unwrap();
    let mut python = python(Some(modules.path()));
    let found = outcome(python.args([&file, "--public-key", &case.key]));
    let unchecked = "signatures: NOT checked, the package cryptography is missing";
    assert!(found.1.contains(unchecked), "{}", found.1);
    assert_eq!(found.0, Some(2), "what was wanted is not proved");
}

#[tokio::test]
async fn what_cannot_be_read_is_neither_sound_nor_unsound() {
    let fixture = filled().await;
    let case = Case::of(&fixture).await;
    let write = |name: &str, content: &str| {
        fs::write(case.file(name), content).unwrap();
        case.file(name).display().to_string()
    };
    let other = case.file("other.db").display().to_string();
    let opened = rusqlite::Connection::open(&other).unwrap();
    opened.execute_batch("CREATE TABLE t (c)").unwrap();

    let sound = case.change(&fixture, &[]);
    let no_checkpoint = write("checkpoints", "{\"position\": 1}\n");
    for arguments in [
        vec![case.file("missing").display().to_string()],
        vec![other],
        vec![write("text", "no ledger\n")],
        vec![write("line", "{\"position\":1,\"hash\":\"00\"}\n")],
        vec![write("twice", "{\"body\":\"a\",\"body\":\"b\"}\n")],
        vec![sound.clone(), "--checkpoints".to_owned(), no_checkpoint],
        vec![sound.clone(), "--public-key".to_owned(), "3f".to_owned()],
        vec![sound.clone(), "--partial".to_owned()],
        vec![sound.clone(), sound],
    ] {
        let found = outcome(python(None).args(&arguments));
        assert_eq!(found.0, Some(2), "{arguments:?}: {}", found.1);
        assert!(!found.1.contains("Traceback"), "{}", found.1);
    }
}
