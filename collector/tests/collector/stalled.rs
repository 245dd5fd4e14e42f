//! A client that takes nothing of its answer loses its connection, and only that.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tempfile::TempDir;

use crate::http2::frame;
use crate::process::{DEADLINE, Program};

/// The kinds of frames (RFC 9113 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 5;

/// `SETTINGS_INITIAL_WINDOW_SIZE` of 0: the server may send nothing of a body.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

fn get(stream: u8) -> Vec<u8> {
    let mut fields = vec![0x82, 0x86, 0x04, 6];
    fields.extend(b"/livez");
    fields.extend([0x01, 1, b'c']);
    frame(HEADERS, WHOLE, stream, &fields)
}

fn connect(program: &Program) -> TcpStream {
    let stream = program.connect();
    stream.set_read_timeout(Some(3 * DEADLINE)).unwrap();
    stream
}

/// It reads what the connection itself sends, so TCP has nothing to end it for.
#[test]
fn a_stream_of_http2_that_takes_nothing_ends_its_connection() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &[]);
    let mut client = connect(&program);
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    client
        .write_all(&frame(SETTINGS, 0, 0, &NO_WINDOW))
        .unwrap();
    client.write_all(&get(1)).unwrap();
    client.write_all(&get(3)).unwrap();
    client
        .write_all(&frame(WINDOW_UPDATE, 0, 3, &[0, 0, 1, 0]))
        .unwrap();

    let mut read = Vec::new();
    client.read_to_end(&mut read).unwrap();
    let body: &[u8] = br#"{"status":"ok"}"#;
    let bodies = read.windows(body.len()).filter(|part| *part == body);
    assert_eq!(bodies.count(), 1, "that of the other stream");
}

#[test]
fn a_client_that_reads_nothing_loses_its_place() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(&directory, &["--max-connections", "1"]);
    let mut client = connect(&program);
    // More than the buffers of both sockets take.
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: c\r\n\r\n";
    client.write_all(&request.repeat(1000)).unwrap();

    // Waits in the queue of the socket for the only place.
    let mut next = connect(&program);
    next.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    next.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}
