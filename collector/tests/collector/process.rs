//! The program itself, as a process with a socket.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::database_url;

/// Deadline of each step. A program that hangs fails the test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    pub(crate) fn start(directory: &TempDir, flags: &[&str]) -> Self {
        Self::start_on(&database_url(directory), flags)
    }

    /// Starts it on this database.
    pub(crate) fn start_on(database: &str, flags: &[&str]) -> Self {
        let mut command = command(&["--listen", "127.0.0.1:0", "--database", database]);
        command.args(flags);
        Self::start_by(command)
    }

    /// Starts it by this command.
    pub(crate) fn start_by(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();

        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();

        let url = line.strip_prefix("listening on ").unwrap().trim_end();
        let address = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"))
            .unwrap()
            .parse()
            .unwrap();
        Self { child, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    pub(crate) fn exchange(&self, head: &str, body: &str) -> (u16, Value) {
        let mut stream = self.connect();
        let length = body.len();
        write!(stream, "{head} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\ncontent-type: application/json\r\n")
            .unwrap();
        write!(stream, "content-length: {length}\r\n\r\n{body}").unwrap();
        answer(stream)
    }

    pub(crate) fn post(&self, body: &str) -> (u16, Value) {
        self.exchange("POST /v1/logs", body)
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let (status, body) = self.exchange("GET /api/records", "");
        assert_eq!(status, 200);
        body["records"].as_array().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        for _ in 0..DEADLINE.as_millis() / 10 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program did not end");
    }

    /// Stops the program, and returns its log.
    pub(crate) fn log(mut self) -> String {
        self.signal("TERM");
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the program has already ended, which is the normal case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-collector"));
    command
        .args(flags)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn answer(mut stream: impl Read) -> (u16, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}
