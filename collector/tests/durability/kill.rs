//! SIGKILL under load, many times, on one database.

use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::collector::Postgres;
use testkit::collector::Program;

use crate::load::{Load, Progress};
use crate::verify::verify;

const ROUNDS: usize = 16;
/// Fewer: a start takes longer on PostgreSQL, and the effect of a kill is the same.
const ROUNDS_ON_POSTGRES: usize = 6;

/// Every other round waits for a fixed time, the rest until one more batch is acknowledged. At that
/// moment the batches of the other senders are being committed.
fn await_moment(round: usize, rounds: usize, progress: &Progress) {
    // Neighbouring rounds are far apart, and no two are equal.
    let spread = round * 7 % rounds;
    if round.is_multiple_of(2) {
        thread::sleep(Duration::from_micros(500 + 12_300 * spread as u64));
    } else {
        progress.wait_for_acknowledged(1 + 5 * spread);
    }
}

fn rounds_of_kills(database: &str, rounds: usize) {
    let mut load = Load::new();
    let mut cut_rounds = 0;
    for round in 0..rounds {
        let program = Program::start(database);
        load.check_new(&program);
        let cut = load.during(program.address, |progress| {
            await_moment(round, rounds, progress);
            program.kill();
        });
        cut_rounds += usize::from(cut > 0);
        verify(database);
    }

    let program = Program::start(database);
    let records = load.check_all(&program);
    println!("{rounds} kills, {cut_rounds} of them amid a batch, {records} acknowledged records");

    assert!(
        records > 400 * rounds as u64,
        "only {records} records were acknowledged: that was no load"
    );
    assert!(
        cut_rounds > rounds / 2,
        "only {cut_rounds} kills came amid a batch"
    );
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_on_sqlite() {
    let directory = TempDir::new().unwrap();
    rounds_of_kills(
        &format!("sqlite://{}/audit.db", directory.path().display()),
        ROUNDS,
    );
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_on_postgres() {
    rounds_of_kills(&Postgres::shared().new_database(), ROUNDS_ON_POSTGRES);
}
