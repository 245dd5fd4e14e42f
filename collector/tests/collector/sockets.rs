//! The program's sockets: number of connections, their time limits, how they end, and the log lines
//! about them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{batch, record, uids};
use crate::export_clients::{FORMATS, records as large_records};
use crate::process::{DEADLINE, Program, answer, command};

const HEAD: &str = "POST /v1/logs HTTP/1.1\r\nhost: c\r\ncontent-type: application/json\r\n";

/// Sends a request on a connection that stays open. Returns the head of the answer and its `{}`.
fn keep_alive(stream: &mut TcpStream) -> String {
    write!(stream, "{HEAD}content-length: 2\r\n\r\n{{}}").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"{}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until the peer closes; fails if it does not within this time.
fn until_closed(mut stream: TcpStream, seconds: u64) {
    stream
        .set_read_timeout(Some(Duration::from_secs(seconds)))
        .unwrap();

    let result = stream.read_to_end(&mut Vec::new());
    assert!(
        result
            .as_ref()
            .map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true),
        "{result:?}"
    );
}

#[test]
fn a_connection_above_the_limit_waits_for_its_turn() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--max-connections", "1"]);
    let mut first = program.connect();
    keep_alive(&mut first);

    let mut second = program.connect();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n")
        .unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();

    assert_eq!(
        second.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );

    drop(first);
    second.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(answer(second), (200, json!({"status": "ok"})));
}

#[test]
fn headers_that_do_not_end_and_idle_connections_are_closed() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut slow = program.connect();
    slow.write_all(b"POST /v1/logs HTTP/1.1\r\nhost:").unwrap();
    let mut idle = program.connect();
    keep_alive(&mut idle);
    for stream in [slow, idle, program.connect()] {
        until_closed(stream, 20);
    }
}

#[test]
fn a_body_shorter_than_its_content_length_is_refused() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let body = batch(&[record("aud_1", &[])]);
    let mut stream = program.connect();
    write!(
        stream,
        "{HEAD}content-length: {}\r\n\r\n{body}",
        body.len() + 1
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();

    let (status, answer) = answer(stream);
    assert_eq!(
        (status, answer),
        (
            400,
            json!({"code": 3, "message": "body ended before it was complete"})
        )
    );
    assert!(program.records().is_empty());
}

#[test]
fn a_wrong_content_length_is_refused() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let body = batch(&[record("aud_1", &[])]);
    let lengths = [
        "-1",
        "many",
        "1e3",
        "99999999999999999999999",
        "2\r\ncontent-length: 3",
        "2, 3",
    ];

    for length in lengths {
        let mut stream = program.connect();
        write!(stream, "{HEAD}content-length: {length}\r\n\r\n{body}").unwrap();
        assert_eq!(answer(stream).0, 400, "{length}");
    }
    let mut stream = program.connect();
    // The bytes after the declared length are parsed as the next request, and they are not one.
    write!(stream, "{HEAD}content-length: 2\r\n\r\n{{}}{body}").unwrap();

    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200 ") && text.contains("HTTP/1.1 400 "),
        "{text}"
    );
    assert!(program.records().is_empty());
}

/// A client that still writes when the peer has closed may never see the answer.
#[test]
fn a_refusal_waits_for_what_its_sender_still_writes() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--max-body-bytes", "1000000"]);
    let mut stream = program.connect();
    write!(
        stream,
        "{HEAD}connection: close\r\ncontent-length: 1000001\r\n\r\n"
    )
    .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();

    assert_eq!(
        stream.peek(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );

    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&vec![b' '; 1_000_001]).unwrap();
    assert_eq!(answer(stream).0, 413);
}

#[test]
fn kept_connections_are_closed_at_the_end() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut idle = program.connect();
    keep_alive(&mut idle);

    let mut busy = program.connect();
    write!(
        busy,
        "{HEAD}expect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    )
    .unwrap();
    busy.read_exact(&mut [0; 25]).unwrap();
    program.signal("TERM");
    until_closed(idle, 4);
    busy.write_all(b"{}").unwrap();

    let mut text = String::new();
    // Read to the end: this connection is closed too, although its client did not request that.
    busy.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn refusals_are_logged_once_and_without_the_body() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--log-format", "json"]);
    for _ in 0..5 {
        assert_eq!(
            program
                .exchange("POST /v1/logs?s3cr3t=1", r#"{"resourceLogs":"s3cr3t"}"#)
                .0,
            400
        );
    }

    let log = program.log();
    assert!(!log.contains("s3cr3t"), "{log}");

    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let refused: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "requests refused")
        .collect();
    assert_eq!(refused.len(), 1, "{log}");

    assert_eq!(
        (&refused[0]["level"], &refused[0]["reason"]),
        (&json!("WARN"), &json!("invalid"))
    );
    assert_eq!(
        (&refused[0]["status"], &refused[0]["count"]),
        (&json!(400), &json!(1))
    );

    let told: Vec<_> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["started", "requests refused", "stopping", "stopped"]);
}

#[test]
fn the_program_requires_the_tokens_of_its_files() {
    let directory = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ingest, read) = (file("ingest", "wr1te\n"), file("read", "re4d\n"));
    let program = Program::start(
        &directory,
        &["--ingest-token-file", &ingest, "--read-token-file", &read],
    );
    let body = batch(&[record("aud_1", &[])]);
    assert_eq!(program.post(&body).0, 401);
    assert_eq!(program.exchange("POST /v1/logs", &body).0, 401);

    let with = |token: &str, head: &str, body: &str| {
        program.exchange(
            &format!("{head} HTTP/1.1\r\nauthorization: Bearer {token}\r\nx-rest:"),
            body,
        )
    };
    assert_eq!(with("wr1te", "POST /v1/logs", &body).0, 200);

    let (status, answer) = with("re4d", "GET /api/records", "");
    assert_eq!(
        (status, uids(answer["records"].as_array().unwrap())),
        (200, vec!["aud_1"])
    );
    assert_eq!(program.exchange("GET /healthz", "").0, 200);
}

#[test]
fn flags_that_do_not_go_together_and_files_that_hold_nothing_are_refused() {
    let directory = TempDir::new().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();

    let empty = empty.to_str().unwrap();
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();

    let cases: [(&[&str], &str); 6] = [
        (
            &["--ingest-token-file", empty],
            "--ingest-token-file: the file is empty",
        ),
        (
            &["--read-token-file", missing],
            "--read-token-file: No such file or directory",
        ),
        (
            &["--tls-cert", empty, "--tls-key", empty],
            "--tls-cert: there is no certificate in the file",
        ),
        (
            &["--tls-cert", missing, "--tls-key", missing],
            "--tls-cert: ",
        ),
        (
            &["--max-inflight-bytes", "1000"],
            "--max-inflight-bytes must be at least --max-body-bytes, or a large body would never be taken",
        ),
        (&["--max-requests", "0"], "must be at least 1"),
    ];

    for (flags, sentence) in cases {
        let output = command(&["--listen", "127.0.0.1:0"])
            .args(flags)
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {message}");
        assert!(message.contains(sentence), "{flags:?}: {message}");
    }

    for flags in [
        ["--tls-cert", empty],
        ["--tls-key", empty],
        ["--client-ca", empty],
        ["--log-format", "xml"],
    ] {
        assert_eq!(
            command(&flags).output().unwrap().status.code(),
            Some(2),
            "{flags:?}"
        );
    }
}

/// Begins an export.
fn begin_export(program: &Program, format: &str) -> TcpStream {
    let mut client = program.connect();
    let head = format!(
        "GET /api/records?format={format} HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).unwrap();
    client
}

/// Waits until records are listed: the exports use all connections of the database until what they
/// send fills the buffers of their sockets.
fn until_listed(program: &Program) {
    for _ in 0..DEADLINE.as_millis() / 50 {
        if program.exchange("GET /api/records?limit=1", "").0 == 200 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no record is listed while exports wait");
}

/// One of them goes on after all, and the others are there when the program ends.
#[test]
fn clients_that_read_nothing_do_no_harm() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    for some in large_records(900).chunks(100) {
        assert_eq!(program.post(&batch(some)).0, 200);
    }

    let stalled: Vec<_> = FORMATS
        .iter()
        .cycle()
        .take(15)
        .map(|format| begin_export(&program, format))
        .collect();
    let mut slow = begin_export(&program, "ndjson");
    assert_eq!(program.post(&batch(&large_records(1))), (200, json!({})));
    until_listed(&program);

    let mut whole = Vec::new();
    slow.read_to_end(&mut whole).unwrap();
    assert!(whole.len() > 900 * 20_000);
    assert!(whole.ends_with(b"0\r\n\r\n"), "the export is complete");

    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    drop(stalled);
}
