//! A client over one persistent connection. It uses little CPU, since load and the measured program
//! share the machine.

use std::io::{self, BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Deadline of an answer. A server that hangs fails the test.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whole seconds of the header `retry-after`.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: collector\r\n\r\n").as_bytes())
    }

    /// Sends the bytes of a complete request, see [`post`], and reads the answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
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

/// The bytes of a request that sends this body to the collector.
pub(crate) fn post(body: &[u8]) -> Vec<u8> {
    let head = "POST /v1/logs HTTP/1.1\r\nhost: collector\r\ncontent-type: application/json";
    let mut request = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}
