//! `audit-collector verify --from clickhouse`, against answers as ClickHouse gives them. Real rows of
//! ClickHouse 26.9 that Rotel has written have the form that [`row`] gives to the golden batch.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::thread;

use serde_json::{Map, Value};

use crate::far_end::{assert_names_golden, golden_lines};
use crate::process::command;

/// A line of the filter as a row: all attributes are text, and there is no name of an event.
fn row(line: &str) -> String {
    let record: Map<String, Value> = serde_json::from_str(line).unwrap();
    let event = record["event_name"].as_str().unwrap().to_owned();
    let is_exchange = record.contains_key("audit.action");
    let absent = [
        "event_name",
        "severity_number",
        "observed_time_unix_nano",
        "trace_id",
        "span_id",
    ];

    let mut row: Map<String, Value> = record
        .into_iter()
        .filter(|(name, _)| !absent.contains(&&**name))
        .map(|(name, value)| match value {
            Value::String(text) => (name, text.into()),
            other => (name, other.to_string().into()),
        })
        .collect();
    let body = if is_exchange {
        "GET /check success".to_owned()
    } else {
        event
    };
    row.insert("body".to_owned(), body.into());
    Value::Object(row).to_string() + "\n"
}

fn rows() -> String {
    golden_lines().iter().map(|line| row(line)).collect()
}

/// Answers one request; returns the address, and the request once it was answered.
fn serve(answer: String) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/?database=otel", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if let Some(digits) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = digits.trim().parse().unwrap();
            }
            head += &line;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        head + &String::from_utf8(body).unwrap()
    });
    (url, served)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn verify(url: &str, flags: &[&str]) -> Output {
    command(&["verify", "--from", "clickhouse", url])
        .args(flags)
        .env("CLICKHOUSE_USER", "auditor")
        .env("CLICKHOUSE_PASSWORD", "secret")
        .output()
        .unwrap()
}

#[test]
fn the_rows_of_a_table_are_read_as_its_user() {
    let (url, served) = serve(answer("200 OK", &rows()));
    let output = verify(&url, &["--table", "otel.audit_logs"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_names_golden(&text);

    let request = served.join().unwrap();
    for expected in [
        "POST /?database=otel HTTP/1.1\r\n",
        "x-clickhouse-user: auditor\r\n",
        "x-clickhouse-key: secret\r\n",
        " FROM otel.audit_logs FORMAT TSVRaw",
    ] {
        assert!(request.contains(expected), "{expected} is not in {request}");
    }
}

#[test]
fn rows_that_are_missing_are_named() {
    let rows = rows();
    let kept: String = rows
        .split_inclusive('\n')
        .filter(|row| !row.contains(r#""audit.sequence.number":"3""#))
        .collect();
    let (url, _served) = serve(answer("200 OK", &kept));
    let output = verify(&url, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && text.contains("    3 to 3 missing\n"),
        "{text}"
    );
}

/// Half of a table is not taken for all of it.
#[test]
fn an_answer_that_is_not_complete_is_an_error() {
    let exception = format!(
        "{}Code: 241. DB::Exception: Memory limit exceeded\n",
        rows()
    );
    let block = "\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 395. DB::Exception:\nout of luck\n41 \
                 abcdefghijklmnop\r\n__exception__\r\n";
    let broken =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"a\":\"1\"}\r\n".to_owned();
    for (answer, expected) in [
        (
            answer("200 OK", &exception),
            "otel_logs: ClickHouse answers: Code: 241. DB::Exception: Memory limit exceeded\n",
        ),
        (
            answer("404 Not Found", "Code: 60. DB::Exception: Unknown table\n"),
            "otel_logs: ClickHouse answers: Code: 60. DB::Exception: Unknown table\n",
        ),
        (
            answer("200 OK", "{\"a\":\"1\"}\n{\"a\"\n"),
            "otel_logs: line 2 is not valid JSON: EOF while parsing an object at column 4\n",
        ),
        (
            answer("200 OK", &(rows() + block)),
            "otel_logs: ClickHouse answers: Code: 395. DB::Exception: out of luck\n",
        ),
        (broken, "otel_logs: line 1: "),
    ] {
        let (url, _served) = serve(answer);
        let output = verify(&url, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{expected} is not in {error}");
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    }

    let (url, flags) = ("http://127.0.0.1:1", ["--table", "a; DROP TABLE b"]);
    let error = String::from_utf8(verify(url, &flags).stderr).unwrap();
    assert!(error.contains("not the name of a table"), "{error}");
}
