//! Log lines: one for each change of state, and one in ten seconds while trouble lasts.

use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use testkit::collector::Postgres;
use testkit::now;

use crate::common::{batch, record};
use crate::process::Program;

/// Of lines about trouble that lasts.
const INTERVAL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

fn post(program: &Program, uid: &str) -> u16 {
    program.post(&batch(&[record(uid, &[])])).0
}

fn poll(mut has_happened: impl FnMut() -> bool) {
    let attempt = |_| {
        sleep(PAUSE);
        has_happened()
    };
    assert!((0..1000).any(attempt), "not in time");
}

#[test]
fn a_server_that_is_down_makes_one_line_in_ten_seconds() {
    let mut server = Postgres::start();
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("audit.key");
    let program = Program::start_on(
        &server.new_database(),
        &["--signing-key", key.to_str().unwrap()],
    );
    assert_eq!(post(&program, "aud_1"), 200);

    let begin = now();
    server.crash();
    for index in 0..50 {
        assert_eq!(post(&program, &format!("aud_lost_{index}")), 503);
    }
    server.start_again();
    poll(|| post(&program, "aud_2") == 200);
    let most = 1 + begin.elapsed().as_secs() / INTERVAL.as_secs();

    let log = program.log();
    let lines = |text| log.matches(text).count() as u64;
    assert!(
        (1..=most).contains(&lines("cannot reconnect to the database")),
        "{log}"
    );
    assert!(
        (1..=most).contains(&lines("reason=\"store_failed\"")),
        "{log}"
    );
    assert_eq!(lines("connected to the database again"), 1, "{log}");
    assert_eq!(lines("ledger maintenance"), 0, "{log}");
}

#[test]
fn retention_logs_what_it_deletes() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    for uid in ["aud_1", "aud_2"] {
        assert_eq!(post(&program, uid), 200);
    }
    assert!(!program.log().contains("retention"));

    // The first pass begins at once.
    let expired = now() + Duration::from_secs(1);
    poll(|| now() > expired);
    let program = Program::start(&directory, &["--retain", "1s"]);
    poll(|| program.records().is_empty());
    let log = program.log();
    let line = "retention deleted records rows=2 last_position=2 count=2";
    assert_eq!(log.matches(line).count(), 1, "{log}");
}
