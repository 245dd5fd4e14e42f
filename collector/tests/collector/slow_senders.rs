//! Senders whose bodies do not end, without a length: they delay no other one, and one that goes on
//! is stored.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::common::{batch, record};
use crate::process::{Program, answer};

const HEALTHY: usize = 120;
const BATCHES: usize = 3;
const SLOW: usize = 80;

const HEAD: &[u8] = b"POST /v1/logs HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n\
    content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

/// A request of which the first chunk has arrived; its batch has this many bytes more.
fn begin(program: &Program, body: &str) -> TcpStream {
    let mut stream = program.connect();
    stream.write_all(HEAD).unwrap();
    let (first, _) = body.split_at(1);
    write!(stream, "1\r\n{first}\r\n").unwrap();
    stream
}

fn finish(mut stream: TcpStream, body: &str) -> u16 {
    let (_, rest) = body.split_at(1);
    write!(stream, "{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).unwrap();
    answer(stream).0
}

#[test]
fn healthy_senders_are_all_answered_beside_slow_ones() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--max-requests", "200"]);
    let body = |name: &str| batch(&[record(name, &[])]);
    let slow: Vec<_> = (0..SLOW)
        .map(|index| body(&format!("aud_slow_{index}")))
        .map(|body| (begin(&program, &body), body))
        .collect();

    thread::scope(|scope| {
        for sender in 0..HEALTHY {
            let (program, body) = (&program, &body);
            scope.spawn(move || {
                for index in 0..BATCHES {
                    let sent = body(&format!("aud_{sender}_{index}"));
                    assert_eq!(program.post(&sent), (200, json!({})));
                }
            });
        }
    });

    // None of them had to give way.
    for (stream, body) in slow {
        assert_eq!(finish(stream, &body), 200);
    }
    let stored = program.exchange("GET /api/streams", "").1["records"].clone();
    assert_eq!(stored, json!(HEALTHY * BATCHES + SLOW));
}

/// It stops in the middle, and its connection ends or stays open: nothing of it is stored.
#[test]
fn a_sender_that_stops_in_the_middle_has_one_answer() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let body = batch(&[record("aud_1", &[])]);

    let ended = begin(&program, &body);
    ended.shutdown(std::net::Shutdown::Write).unwrap();
    let message = "body ended before it was complete";
    assert_eq!(answer(ended), (400, json!({"code": 3, "message": message})));

    let silent = begin(&program, &body);
    let message = "body was not sent within 5 s";
    assert_eq!(
        answer(silent),
        (408, json!({"code": 4, "message": message}))
    );
    assert!(program.records().is_empty());
}
