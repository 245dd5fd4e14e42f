//! The database file is removed, moved or replaced while the collector runs: nothing more is
//! acknowledged, and no connection makes another file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::{batch, database_url, record, uids};
use crate::process::{Program, command};

/// A name, and what is done to the files of `audit.db`.
type Incident = (&'static str, fn(&TempDir));

const INCIDENTS: [Incident; 7] = [
    ("all removed", |directory| {
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(file(directory, suffix)).unwrap();
        }
    }),
    ("database removed", |directory| {
        fs::remove_file(file(directory, "")).unwrap();
    }),
    ("database moved", |directory| {
        fs::rename(file(directory, ""), directory.path().join("old.db")).unwrap();
    }),
    ("database replaced", |directory| {
        let copy = directory.path().join("copy.db");
        fs::copy(file(directory, ""), &copy).unwrap();
        fs::rename(copy, file(directory, "")).unwrap();
    }),
    ("database truncated", |directory| {
        fs::write(file(directory, ""), "").unwrap();
    }),
    ("log removed", |directory| {
        fs::remove_file(file(directory, "-wal")).unwrap();
    }),
    ("shared memory removed", |directory| {
        fs::remove_file(file(directory, "-shm")).unwrap();
    }),
];

fn file(directory: &TempDir, suffix: &str) -> PathBuf {
    directory.path().join(format!("audit.db{suffix}"))
}

fn names(directory: &TempDir) -> BTreeSet<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn post(program: &Program, uid: &str) -> u16 {
    program.post(&batch(&[record(uid, &[])])).0
}

#[test]
fn nothing_is_acknowledged_after_the_file_is_gone() {
    for (incident, happens) in INCIDENTS {
        let directory = TempDir::new().unwrap();
        let program = Program::start(&directory, &[]);
        assert_eq!(post(&program, "aud_1"), 200);
        assert_eq!(program.records().len(), 1);

        happens(&directory);
        let left = names(&directory);
        assert_eq!(post(&program, "aud_2"), 503, "{incident}");
        for path in ["GET /readyz", "GET /api/records", "GET /api/streams"] {
            assert_eq!(program.exchange(path, "").0, 503, "{incident}: {path}");
        }
        assert_eq!(program.exchange("GET /livez", "").0, 200, "{incident}");
        assert_eq!(post(&program, "aud_3"), 503, "{incident}");
        assert_eq!(names(&directory), left, "{incident}: a file was created");

        let log = program.log();
        let place = "was removed, moved, replaced or cut while it was in use";
        assert!(log.contains(place), "{incident}: {log}");
        assert_eq!(log.matches("ERROR").count(), 1, "{incident}: {log}");
    }
}

#[test]
fn a_file_that_is_put_back_is_used_again() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let aside = directory.path().join("aside.db");
    assert_eq!(post(&program, "aud_1"), 200);

    fs::rename(file(&directory, ""), &aside).unwrap();
    assert_eq!(post(&program, "aud_2"), 503);
    fs::rename(&aside, file(&directory, "")).unwrap();

    assert_eq!(post(&program, "aud_2"), 200);
    assert_eq!(program.exchange("GET /healthz", "").0, 200);
    program.signal("KILL");
    assert_eq!(program.exit_code(), None);
    let restarted = Program::start(&directory, &[]);
    assert_eq!(uids(&restarted.records()), ["aud_2", "aud_1"]);
}

/// What was acknowledged before a move is in the moved file and its log, also after the stop.
#[test]
fn a_moved_database_keeps_its_log() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    assert_eq!(post(&program, "aud_1"), 200);
    fs::rename(file(&directory, ""), directory.path().join("old.db")).unwrap();
    assert_eq!(post(&program, "aud_2"), 503);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));

    fs::rename(directory.path().join("old.db"), file(&directory, "")).unwrap();
    assert_eq!(uids(&Program::start(&directory, &[]).records()), ["aud_1"]);
}

/// SQLite would delete the log with its next connection, or at the stop.
#[test]
fn a_database_that_was_emptied_keeps_its_log() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    post_many(&program, "aud", 50);
    let before = fs::read(file(&directory, "")).unwrap();

    fs::write(file(&directory, ""), "").unwrap();
    for path in ["GET /readyz", "GET /api/records", "GET /api/streams"] {
        assert_eq!(program.exchange(path, "").0, 503, "{path}");
    }
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));

    fs::write(file(&directory, ""), before).unwrap();
    assert_eq!(Program::start(&directory, &[]).records().len(), 50);
}

/// The checkpoints of the collector itself change the file, while questions are answered.
#[test]
fn own_changes_of_the_file_are_none_of_another_program() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let length = || fs::metadata(file(&directory, "")).unwrap().len();
    let before = length();
    for round in 0..60 {
        post_many(&program, &format!("aud_{round}"), 500);
        assert_eq!(program.exchange("GET /readyz", "").0, 200);
    }
    assert!(length() > before, "there was a checkpoint");
}

/// SQLite would delete the log, and with it all that only the log has.
#[test]
fn a_log_without_its_database_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    assert_eq!(post(&program, "aud_1"), 200);
    program.signal("KILL");
    assert_eq!(program.exit_code(), None);
    let aside = directory.path().join("aside.db");
    let database = database_url(&directory);
    fs::rename(file(&directory, ""), &aside).unwrap();

    // An address of no interface: the program never serves.
    let serve = vec!["--listen", "192.0.2.1:1"];
    for (is_empty, arguments, code) in [
        (false, serve.clone(), 1),
        (true, serve, 1),
        (true, vec!["verify", "--no-signatures"], 2),
    ] {
        if is_empty {
            fs::write(file(&directory, ""), "").unwrap();
        }
        let left = names(&directory);
        let mut refused = command(&arguments);
        let output = refused.args(["--database", &database]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains("put the database back"), "{message}");
        assert_eq!(names(&directory), left);
    }

    fs::rename(&aside, file(&directory, "")).unwrap();
    assert_eq!(uids(&Program::start(&directory, &[]).records()), ["aud_1"]);
}

#[test]
fn a_moved_file_is_reported_without_a_batch() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    fs::rename(file(&directory, ""), directory.path().join("old.db")).unwrap();
    assert_eq!(program.exchange("GET /healthz", "").0, 503);
    let log = program.log();
    assert!(log.contains("nothing is stored any more"), "{log}");
}

#[test]
fn a_new_database_beside_an_old_key_is_warned_of() {
    const WARNING: &str = "the database is new, but its key";
    let directory = TempDir::new().unwrap();
    assert!(!Program::start(&directory, &[]).log().contains(WARNING));
    assert!(!Program::start(&directory, &[]).log().contains(WARNING));

    fs::remove_file(file(&directory, "")).unwrap();
    let log = Program::start(&directory, &[]).log();
    assert!(log.contains(WARNING), "{log}");
    assert!(!Program::start(&directory, &[]).log().contains(WARNING));
}

/// Ends a collector as a crash does, so that its log stays.
fn kill(program: Program) {
    program.signal("KILL");
    assert_eq!(program.exit_code(), None);
}

fn post_many(program: &Program, name: &str, number: usize) {
    let record = |index| record(&format!("{name}_{index}"), &[]);
    let records: Vec<_> = (0..number).map(record).collect();
    assert_eq!(program.post(&batch(&records)).0, 200);
}

/// The log of another ledger, and that of a later state of the same one.
#[test]
fn a_log_of_another_database_is_refused_and_left_alone() {
    let (directory, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let program = Program::start(&directory, &[]);
    post_many(&program, "aud", 100);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    fs::copy(file(&directory, ""), file(&other, "")).unwrap();

    let program = Program::start(&other, &[]);
    post_many(&program, "aud_later", 300);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    let program = Program::start(&other, &[]);
    post_many(&program, "aud_last", 1);
    kill(program);

    let another = TempDir::new().unwrap();
    let program = Program::start(&another, &[]);
    post_many(&program, "aud_another", 100);
    kill(program);

    for from in [&other, &another] {
        fs::copy(file(from, "-wal"), file(&directory, "-wal")).unwrap();
        let read = || ["", "-wal"].map(|suffix| fs::read(file(&directory, suffix)).unwrap());
        let before = read();
        for (arguments, code) in [
            (vec!["--listen", "192.0.2.1:1"], 1),
            (vec!["verify", "--no-signatures"], 2),
        ] {
            let mut refused = command(&arguments);
            let database = database_url(&directory);
            let output = refused.args(["--database", &database]).output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{message}");
            assert!(
                message.contains("does not belong to its database"),
                "{message}"
            );
            assert_eq!(message.lines().count(), 1, "{message}");
            assert!(read() == before, "nothing is changed");
        }
    }

    for suffix in ["-wal", "-shm"] {
        fs::remove_file(file(&directory, suffix)).unwrap();
    }
    assert_eq!(Program::start(&directory, &[]).records().len(), 100);
    let restarted = Program::start(&other, &[]);
    assert_eq!(
        uids(&restarted.records())[0],
        "aud_last_0",
        "its own log is used"
    );
}

/// Half a database, without a log.
#[test]
fn a_database_that_was_cut_off_is_refused_in_one_sentence() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    post_many(&program, "aud", 300);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    let whole = fs::read(file(&directory, "")).unwrap();
    let half = &whole[..whole.len() / 8192 * 4096];
    fs::write(file(&directory, ""), half).unwrap();

    let database = database_url(&directory);
    for arguments in [
        vec!["--listen", "192.0.2.1:1"],
        vec!["verify", "--no-signatures"],
    ] {
        let mut refused = command(&arguments);
        let output = refused.args(["--database", &database]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            message.contains("database disk image is malformed"),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(fs::read(file(&directory, "")).unwrap() == half);
    }
}
