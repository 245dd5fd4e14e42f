//! The PostgreSQL server crashes under load and restarts: the collector reconnects, and loses no
//! acknowledged record.

use std::thread;
use std::time::Duration;

use testkit::collector::Postgres;
use testkit::collector::Program;

use crate::load::Load;
use crate::verify::verify;

const ROUNDS: u64 = 3;

#[test]
fn nothing_acknowledged_is_lost_by_a_crash_of_the_server() {
    let mut server = Postgres::start();
    let database = server.new_database();
    let program = Program::start(&database);
    let mut load = Load::new();

    for round in 0..ROUNDS {
        load.during(program.address, |progress| {
            thread::sleep(Duration::from_millis(50 + 70 * round));
            server.crash();
            progress.wait_for_refused(10);
            let probe = |path| program.client().get(path).unwrap().status;
            assert_eq!((probe("/readyz"), probe("/livez")), (503, 200));
            server.start_again();
            progress.wait_for_acknowledged(10);
        });
        assert_eq!(program.client().get("/readyz").unwrap().status, 200);
        load.check_new(&program);
        verify(&database);
    }

    let records = load.check_all(&program);
    assert!(
        records > 1000,
        "only {records} records were acknowledged: that was no load"
    );
}
