//! Questions of clients that are gone, that take too long, or that read everything, on the sockets
//! of the program.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::process::{DEADLINE, Program, answer};

/// In place of the records: rows without an end, which match nothing.
const ENDLESS: &str = "ALTER TABLE records RENAME TO kept; CREATE VIEW records AS \
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers) \
    SELECT number AS position, kept.* FROM numbers LEFT JOIN (SELECT at_unix_nano, received_at_unix_nano, \
    time_unix_nano, observed_time_unix_nano, flags, shape_id, user_key, name_key, email_key, session_key, \
    token_key, stream_key, hash, uid, trace_id, span_id, body, attribute_values FROM kept) AS kept";

const PLAIN: &str = "DROP VIEW records; ALTER TABLE kept RENAME TO records";

/// A question that reads all records.
const SCAN: &str = "/api/records?after=0&q=nothing";

fn database(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("audit.db")).unwrap()
}

/// Sends a question and does not read its answer.
fn sent(program: &Program, path: &str) -> TcpStream {
    let mut stream = program.connect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}

fn get(program: &Program, path: &str) -> (u16, Value) {
    answer(sent(program, path))
}

/// Sends scans until one is refused, and yields those that are not.
fn fill(program: &Program, path: &str) -> Vec<TcpStream> {
    let begin = Instant::now();
    let mut taken = Vec::new();
    loop {
        let mut scan = sent(program, path);
        // Longer than a question waits for a place.
        if is_refused(&mut scan, Duration::from_secs(4)) {
            break;
        }
        taken.push(scan);
        assert!(begin.elapsed() < DEADLINE);
    }

    // A busy machine may have refused one only after it was waited for.
    taken.retain_mut(|scan| !is_refused(scan, Duration::from_millis(50)));
    taken
}

/// Whether the answer begins with 503, within this time. A scan that goes on has no answer.
fn is_refused(scan: &mut TcpStream, within: Duration) -> bool {
    scan.set_read_timeout(Some(within)).unwrap();
    let mut line = [0; 12];
    scan.read_exact(&mut line).is_ok() && &line == b"HTTP/1.1 503"
}

#[test]
fn a_question_that_takes_too_long_has_one_clear_answer() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--query-timeout", "300ms"]);
    database(&directory).execute_batch(ENDLESS).unwrap();

    let message = "the question took longer than 300ms; a time or another filter makes it shorter";
    assert_eq!(
        get(&program, SCAN),
        (504, json!({"code": 4, "message": message}))
    );
    assert_eq!(get(&program, "/api/checkpoints").0, 200);
}

#[test]
fn scans_leave_room_for_others_and_end_with_their_clients() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--query-timeout", "1h"]);
    let database = database(&directory);
    database.execute_batch(ENDLESS).unwrap();

    let mut scans = fill(&program, SCAN);
    assert_eq!(scans.len(), 2);
    for path in ["/api/checkpoints", "/api/sessions", "/api/streams"] {
        assert_eq!(get(&program, path).0, 200, "{path}");
    }

    // What begins from now on has an end.
    database.execute_batch(PLAIN).unwrap();
    assert_eq!(get(&program, SCAN).0, 503, "both scans go on");

    let begin = Instant::now();
    drop(scans.pop());
    assert_eq!(get(&program, SCAN).0, 200);
    println!(
        "the scan of a client that is gone ended after at most {:?}",
        begin.elapsed()
    );
}

#[test]
fn an_export_ends_with_its_client() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--query-timeout", "1ms"]);
    let database = database(&directory);
    database.execute_batch(ENDLESS).unwrap();
    let scans = fill(&program, "/api/records?after=0&q=nothing&format=ndjson");
    assert_eq!(scans.len(), 2);

    database.execute_batch(PLAIN).unwrap();
    drop(scans);
    let path = "/api/records?after=0&q=nothing&format=csv";
    assert_eq!(get(&program, path).0, 200);
}

#[test]
fn a_cursor_of_a_megabyte_is_refused_and_others_are_served() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut stream = program.connect();
    // The program closes before it has read all of it.
    let cursor = "1".repeat(1_000_000);
    let _ = write!(
        stream,
        "GET /api/records?cursor={cursor} HTTP/1.1\r\nhost: c\r\n\r\n"
    );

    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 431");
    assert_eq!(get(&program, "/api/records?q=%25").0, 200);
}

/// A quick answer, or a refusal where the machine is too busy for one; never a broken connection.
#[test]
fn a_client_that_closes_its_side_gets_an_answer() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let stream = sent(&program, "/livez");
    stream.shutdown(Shutdown::Write).unwrap();

    let (status, body) = answer(stream);
    if status == 200 {
        assert_eq!(body, json!({"status": "ok"}));
    } else {
        assert_eq!(status, 408, "{body}");
    }
}
