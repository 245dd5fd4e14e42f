//! The program as a process: the line it prints, its answers over a socket, shutdown and exit
//! codes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Output;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::common::{batch, database_url, record, uids};
use crate::process::{DEADLINE, Program, answer, command};

fn refused_start(database: &str) -> (Option<i32>, String) {
    let Output {
        status,
        stderr,
        stdout,
    } = command(&["--listen", "127.0.0.1:0", "--database", database])
        .output()
        .unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn records_outlive_a_restart() {
    let directory = TempDir::new().unwrap();
    let sent = batch(&[record("aud_1", &[]), record("aud_2", &[])]);
    for signal in ["TERM", "INT"] {
        let program = Program::start(&directory, &[]);
        assert_eq!(
            program.exchange("GET /healthz", ""),
            (200, json!({"status": "ok"}))
        );
        assert_eq!(program.post(&sent), (200, json!({})));
        assert_eq!(uids(&program.records()), ["aud_2", "aud_1"]);
        program.signal(signal);
        assert_eq!(program.exit_code(), Some(0), "{signal}");
    }

    let program = Program::start(&directory, &[]);
    assert_eq!(uids(&program.records()), ["aud_2", "aud_1"]);
}

#[test]
fn records_outlive_a_kill() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    assert_eq!(program.post(&batch(&[record("aud_1", &[])])).0, 200);
    program.signal("KILL");
    assert_eq!(program.exit_code(), None);
    assert_eq!(uids(&Program::start(&directory, &[]).records()), ["aud_1"]);
}

#[test]
fn the_time_of_receipt_is_that_of_a_clock() {
    const YEAR_2025: i64 = 1_735_689_600_000_000_000;
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    program.post(&batch(&[record("aud_1", &[]), record("aud_2", &[])]));

    let received: Vec<i64> = program
        .records()
        .iter()
        .map(|record| {
            record["received_at_unix_nano"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();

    assert!(received[0] > YEAR_2025, "{received:?}");
    assert_eq!(
        received[0], received[1],
        "one request is received at one time"
    );
}

#[test]
fn bad_input_does_not_end_the_program() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--max-body-bytes", "1000"]);
    assert_eq!(program.post("oops").0, 400);
    assert_eq!(program.post(&" ".repeat(5000)).0, 413);

    let mut garbage = program.connect();
    garbage
        .write_all(b"\x16\x03\x01 this is not http\r\n\r\n")
        .unwrap();
    drop(garbage);

    let mut half = program.connect();
    half.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: c\r\ncontent-length: 9\r\n\r\n{")
        .unwrap();
    drop(half);
    assert_eq!(program.post(&batch(&[record("aud_1", &[])])).0, 200);
    assert_eq!(uids(&program.records()), ["aud_1"]);
}

#[test]
fn an_accepted_request_is_finished_after_the_signal() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let body = batch(&[record("aud_1", &[])]);
    let mut stream = program.connect();
    let length = body.len();

    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\nhost: c\r\ncontent-type: application/json\r\n"
    )
    .unwrap();
    write!(
        stream,
        "expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();

    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    program.signal("TERM");
    until_refused(program.address);
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(answer(stream), (200, json!({})));
    assert_eq!(program.exit_code(), Some(0));
    assert_eq!(uids(&Program::start(&directory, &[]).records()), ["aud_1"]);
}

/// A proxy that shuts down does the same: it sends the request and closes the connection.
#[test]
fn a_request_whose_sender_has_closed_is_stored() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);

    for index in 0..20 {
        let body = batch(&[record(&format!("aud_{index}"), &[])]);
        let mut stream = program.connect();
        let head = format!(
            "host: c\r\ncontent-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        stream
            .write_all(format!("POST /v1/logs HTTP/1.1\r\n{head}\r\n\r\n{body}").as_bytes())
            .unwrap();
        drop(stream);
    }

    for _ in 0..DEADLINE.as_millis() / 10 {
        if program.records().len() == 20 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }

    panic!(
        "only {} of 20 requests were stored",
        program.records().len()
    );
}

/// Waits until connections are refused.
fn until_refused(address: SocketAddr) {
    for _ in 0..DEADLINE.as_millis() / 10 {
        if TcpStream::connect(address).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the program still accepts connections");
}

#[test]
fn a_hung_client_does_not_hold_the_shutdown() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut hung = program.connect();
    hung.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: c\r\ncontent-type: application/json\r\n")
        .unwrap();
    hung.write_all(b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        .unwrap();
    hung.read_exact(&mut [0; 25]).unwrap();
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn a_database_that_cannot_be_used_is_refused_in_one_sentence() {
    let cases = [
        (
            "mysql://user:pw@localhost/audit",
            "unknown database scheme \"mysql\", expected sqlite://FILE or postgres://...",
        ),
        (
            "audit.db",
            "unknown database scheme \"\", expected sqlite://FILE or postgres://...",
        ),
        (
            "sqlite::memory:",
            "an in-memory database keeps nothing, use sqlite://FILE",
        ),
    ];

    for (database, sentence) in cases {
        let expected = (
            Some(2),
            format!("audit-collector: --database: {sentence}\n"),
        );
        assert_eq!(refused_start(database), expected, "{database}");
    }
}

#[test]
fn a_database_that_cannot_be_opened_and_a_taken_port_end_the_start() {
    let directory = TempDir::new().unwrap();
    let missing = format!("sqlite://{}/missing/audit.db", directory.path().display());
    let (code, message) = refused_start(&missing);
    assert_eq!(code, Some(1));
    assert!(
        message.starts_with("audit-collector: --database: the database could not be opened: "),
        "{message}"
    );

    let program = Program::start(&directory, &[]);
    let taken = program.address.to_string();
    let database = database_url(&directory);
    let output = command(&["--listen", &taken, "--database", &database])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));

    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.starts_with(&format!("audit-collector: cannot listen on {taken}: ")),
        "{message}"
    );
}

#[test]
fn a_name_is_resolved_to_an_address() {
    let directory = TempDir::new().unwrap();
    let database = database_url(&directory);
    let program = Program::start_by(command(&[
        "--listen",
        "localhost:0",
        "--database",
        &database,
    ]));
    assert!(program.address.ip().is_loopback());
    assert_eq!(program.exchange("GET /readyz", "").0, 200);

    let unknown = [
        "--listen",
        "no-such-name.invalid:0",
        "--database",
        &database,
    ];
    let output = command(&unknown).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    let begin = "audit-collector: cannot listen on no-such-name.invalid:0: ";
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.starts_with(begin) && message.lines().count() == 1,
        "{message}"
    );
}

#[test]
fn bad_flags_are_refused() {
    for flags in [
        ["--listen", "nowhere"],
        ["--listen", "localhost"],
        ["--listen", "localhost:http"],
        ["--listen", ":4318"],
        ["--max-body-bytes", "many"],
        ["--colour", "red"],
    ] {
        assert_eq!(
            command(&flags).output().unwrap().status.code(),
            Some(2),
            "{flags:?}"
        );
    }
}
