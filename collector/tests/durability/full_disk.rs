//! Disk full: 503 with `retry-after`, nothing is stored in part, and service resumes when there is
//! room.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use testkit::collector::{Program, binary, flags};

use crate::load::Load;
use crate::verify::verify;

const ENOUGH: usize = 20;
/// How often a probe is repeated, and after how long.
const ATTEMPTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// Reached after a few seconds of load. SQLite moves its log into the database file at about 4 MB,
/// so the log hits this limit.
const MAX_FILE_BYTES: &str = "3000000";
/// Mounts an 8 MB disk, half full, in a private mount namespace, and executes the collector.
const ON_SMALL_DISK: &str =
    r#"mount -t tmpfs -o size=8m audit "$0" && head -c 4m /dev/zero >"$0/ballast" && exec "$@""#;
/// A write beyond the limit must fail instead of ending the process.
const WITH_SMALL_FILES: &str = r#"trap "" XFSZ; exec prlimit --fsize="$0": "$@""#;

/// Load until the disk is full, a check of the stored records, more room, and load again.
fn full_and_room_again(load: &mut Load, program: &Program, make_room: impl FnOnce()) {
    load.during(program.address, |progress| {
        progress.wait_for_refused(ENOUGH)
    });
    load.check_new(program);
    assert_eq!(probe(program, "/readyz"), 503);
    assert_eq!(probe(program, "/livez"), 200);

    make_room();
    // Without a batch: where a probe fails, none is sent.
    let is_ready = || {
        sleep(PAUSE);
        probe(program, "/readyz") == 200
    };
    assert!((0..ATTEMPTS).any(|_| is_ready()));
    load.during(program.address, |progress| {
        progress.wait_for_acknowledged(ENOUGH)
    });
    load.check_all(program);
}

fn probe(program: &Program, path: &str) -> u16 {
    program.client().get(path).unwrap().status
}

fn shell(namespace: &[&str], script: &str, argument: &str, database: &str) -> Command {
    let mut command = Command::new("env");
    command
        .args(namespace)
        .args(["sh", "-c", script, argument])
        .arg(binary())
        .args(flags(database));
    command
}

fn is_permitted(namespace: &[&str], directory: &Path) -> bool {
    let script = r#"mount -t tmpfs audit "$0""#;
    let mut command = Command::new("env");
    command
        .args(namespace)
        .args(["sh", "-c", script])
        .arg(directory)
        .stderr(Stdio::null());
    command.status().unwrap().success()
}

#[test]
fn a_full_disk_is_503_until_there_is_room() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    let namespace = ["unshare", "--map-root-user", "--mount"];
    if !is_permitted(&namespace, directory.path()) {
        println!("skipped: this machine lets nobody mount a disk of his own");
        return;
    }

    let program = Program::start_by(&mut shell(
        &namespace,
        ON_SMALL_DISK,
        path,
        &format!("sqlite://{path}/audit.db"),
    ));
    let ballast = format!("/proc/{}/root{path}/ballast", program.id());
    full_and_room_again(&mut Load::new(), &program, || {
        fs::remove_file(ballast).unwrap()
    });
}

#[test]
fn a_file_that_must_not_grow_is_503_until_it_may() {
    let directory = TempDir::new().unwrap();
    let database = format!("sqlite://{}/audit.db", directory.path().display());
    let mut load = Load::new();
    let program = Program::start_by(&mut shell(&[], WITH_SMALL_FILES, MAX_FILE_BYTES, &database));

    full_and_room_again(&mut load, &program, || {
        let id = program.id().to_string();
        let status = Command::new("prlimit")
            .args(["--pid", &id, "--fsize=unlimited:"])
            .status()
            .unwrap();
        assert!(status.success());
    });
    program.kill();
    verify(&database);
    load.check_all(&Program::start(&database));
}

#[test]
fn a_kill_while_the_disk_is_full_loses_nothing_acknowledged() {
    let directory = TempDir::new().unwrap();
    let database = format!("sqlite://{}/audit.db", directory.path().display());
    let mut load = Load::new();
    let program = Program::start_by(&mut shell(&[], WITH_SMALL_FILES, MAX_FILE_BYTES, &database));
    load.during(program.address, |progress| {
        progress.wait_for_refused(ENOUGH);
        program.kill();
    });
    verify(&database);

    let program = Program::start(&database);
    load.check_all(&program);
    load.during(program.address, |progress| {
        progress.wait_for_acknowledged(ENOUGH)
    });
    load.check_all(&program);
}
