//! A client over one persistent connection. It uses little CPU, since load and the measured program
//! share the machine.

use std::io::{self, BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Deadline of an answer. A server that hangs fails the test.
const DEADLINE: Duration = Duration::from_secs(30);

/// One open connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer with a `content-length`.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whole seconds of the header `retry-after`.
    pub retry_after: Option<u64>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects to the collector at this address.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        })
    }

    /// Waits this long for each answer instead of [`DEADLINE`].
    pub fn patient(self, deadline: Duration) -> io::Result<Self> {
        self.stream.get_ref().set_read_timeout(Some(deadline))?;
        Ok(self)
    }

    /// Sends a `GET`, and reads the answer.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: collector\r\n\r\n").as_bytes())
    }

    /// Sends the bytes of a complete request, see [`post`], and reads the answer.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|digits| digits.parse().ok());
        let mut answer = Answer {
            status: status.ok_or(ErrorKind::InvalidData)?,
            retry_after: None,
            body: Vec::new(),
        };
        let mut length = None;

        loop {
            let line = self.line()?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match name {
                "content-length" => length = value.parse().ok(),
                "retry-after" => answer.retry_after = value.parse().ok(),
                _ => {}
            }
        }

        answer.body.resize(
            length.ok_or_else(|| Error::other("the answer has no length"))?,
            0,
        );
        self.stream.read_exact(&mut answer.body)?;
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// The header of a batch in JSON.
pub const JSON: &str = "content-type: application/json";

/// The bytes of a request that sends this body to the collector. `headers` are whole lines, without
/// the last line break.
pub fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: collector\r\n{headers}");
    let mut request = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}
