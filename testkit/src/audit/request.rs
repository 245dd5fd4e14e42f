//! An HTTP/1.1 request in Envoy's form: a body has a `content-length`.

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use crate::headers::Headers;

/// One complete request.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
}

impl Request {
    /// Reads the next request; `None` if the peer has closed, or sends other bytes.
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let path = read_line(stream).await?.split(' ').nth(1)?.to_owned();
        let headers = read_headers(stream).await?;
        let length = headers
            .text("content-length")
            .map_or(Some(0), |digits| digits.parse().ok())?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;

        Some(Self {
            path,
            headers,
            body: body.into(),
        })
    }
}

async fn read_headers(stream: &mut BufReader<TcpStream>) -> Option<Headers> {
    let mut headers = Headers::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(": ")?;
        headers = headers.with(name, value);
    }
}

/// A line without its line break.
async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}
