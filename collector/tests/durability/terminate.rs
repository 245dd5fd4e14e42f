//! SIGTERM under load: accepted requests are answered, and acknowledged records are kept.

use tempfile::TempDir;
use testkit::collector::Postgres;
use testkit::collector::Program;

use crate::load::Load;
use crate::verify::verify;

const ROUNDS: usize = 4;

fn rounds_of_ends(database: &str) {
    let mut load = Load::new();
    for round in 0..ROUNDS {
        let program = Program::start(database);
        load.check_new(&program);
        let mut exit_code = None;
        load.during(program.address, |progress| {
            progress.wait_for_acknowledged(1 + 20 * round);
            exit_code = program.terminate();
        });
        assert_eq!(exit_code, Some(0));
        verify(database);
    }

    assert!(load.check_all(&Program::start(database)) > 1000);
}

#[test]
fn nothing_acknowledged_is_lost_by_an_orderly_end_on_sqlite() {
    let directory = TempDir::new().unwrap();
    rounds_of_ends(&format!("sqlite://{}/audit.db", directory.path().display()));
}

#[test]
fn nothing_acknowledged_is_lost_by_an_orderly_end_on_postgres() {
    rounds_of_ends(&Postgres::shared().new_database());
}
