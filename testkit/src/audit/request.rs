//! An HTTP/1.1 request in Envoy's form: a body has a `content-length`, or comes in chunks when the
//! audit cluster compresses it.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use crate::headers::Headers;

/// One complete request.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) headers: Headers,
    /// Without its content coding.
    pub(super) body: Bytes,
    /// Length of the body as it came, with its content coding.
    pub(super) coded_bytes: usize,
}

impl Request {
    /// Reads the next request; `None` if the peer has closed, or sends other bytes.
    pub(super) async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let path = read_line(stream).await?.split(' ').nth(1)?.to_owned();
        let headers = read_headers(stream).await?;
        let coded = read_body(stream, &headers).await?;
        let coded_bytes = coded.len();
        let body = match headers.text("content-encoding").as_deref() {
            Some("gzip") => decompressed(&coded)?,
            _ => coded,
        };

        Some(Self {
            path,
            headers,
            body: body.into(),
            coded_bytes,
        })
    }
}

async fn read_body(stream: &mut BufReader<TcpStream>, headers: &Headers) -> Option<Vec<u8>> {
    if headers.text("transfer-encoding").as_deref() == Some("chunked") {
        return read_chunks(stream).await;
    }

    let length = headers
        .text("content-length")
        .map_or(Some(0), |digits| digits.parse().ok())?;
    read_exactly(stream, length).await
}

/// All chunks of a body without trailers (RFC 9112, section 7.1).
async fn read_chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&read_line(stream).await?, 16).ok()?;
        body.extend(read_exactly(stream, length).await?);
        read_line(stream).await?;
        if length == 0 {
            return Some(body);
        }
    }
}

async fn read_exactly(stream: &mut BufReader<TcpStream>, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

fn decompressed(coded: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    GzDecoder::new(coded).read_to_end(&mut body).ok()?;
    Some(body)
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
