//! SIGKILL during the creation of the database.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use testkit::collector::Postgres;
use testkit::collector::{Program, binary, directory, flags};

use crate::load::Load;
use crate::verify::verify;

/// Number of kills, each later than the one before. At the last one the collector is ready, also on
/// a slow machine.
const KILLS: u32 = 15;
const STEP: Duration = Duration::from_millis(6);
/// Fewer: the server answers later than a file.
const KILLS_ON_POSTGRES: u32 = 8;
const STEP_ON_POSTGRES: Duration = Duration::from_millis(20);

fn a_kill_after(delay: Duration, database: &str) {
    let mut command = Command::new(binary());
    command
        .args(flags(database))
        .current_dir(directory())
        .stdin(Stdio::null())
        .stdout(Stdio::null());

    let mut program = command.spawn().unwrap();
    thread::sleep(delay);
    program.kill().unwrap();
    program.wait().unwrap();

    let program = Program::start(database);
    let mut load = Load::new();
    load.during(program.address, |progress| {
        progress.wait_for_acknowledged(1)
    });
    load.check_all(&program);
    program.kill();
    verify(database);
}

#[test]
fn a_database_half_made_on_sqlite_is_finished_by_the_next_start() {
    for kill in 0..KILLS {
        let directory = TempDir::new().unwrap();
        a_kill_after(
            kill * STEP,
            &format!("sqlite://{}/audit.db", directory.path().display()),
        );
    }
}

#[test]
fn a_database_half_made_on_postgres_is_finished_by_the_next_start() {
    for kill in 0..KILLS_ON_POSTGRES {
        a_kill_after(kill * STEP_ON_POSTGRES, &Postgres::shared().new_database());
    }
}
