//! A tunnel through a proxy: an upgrade or CONNECT over HTTP/1.1, a CONNECT (plain or extended)
//! over HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CallError, CallOptions, broken, connect, within};
use crate::headers::Headers;

/// Largest head of an HTTP/1.1 answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// A tunnel, or the answer that refuses it; dropping it closes the connection.
#[derive(Debug)]
pub struct Tunnel {
    status: u16,
    headers: Headers,
    stream: Option<Stream>,
    options: CallOptions,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Http2(Box<TokioIo<Upgraded>>),
}

impl Tunnel {
    /// Sends the head of an HTTP/1.1 request unchanged, and waits for the head of the answer.
    ///
    /// # Errors
    /// When no answer comes, or it is not HTTP.
    pub async fn open_http1(
        addr: SocketAddr,
        head: &str,
        options: &CallOptions,
    ) -> Result<Self, CallError> {
        let opening = async {
            let mut stream = connect(addr, options.source_ip).await?;
            stream
                .write_all(head.as_bytes())
                .await
                .map_err(CallError::Connect)?;

            let (status, headers) = read_head(&mut stream).await?;
            Ok(Self {
                status,
                headers,
                stream: Some(Stream::Tcp(stream)),
                options: *options,
            })
        };

        within(options.timeout, opening).await
    }

    /// Sends CONNECT over HTTP/2: to `authority`, or with a `protocol` (RFC 8441) and a path.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn open_http2(
        addr: SocketAddr,
        authority: &str,
        extended: Option<(&'static str, &str)>,
        headers: impl Into<Headers>,
        options: &CallOptions,
    ) -> Result<Self, CallError> {
        let mut request = Request::builder()
            .method("CONNECT")
            .body(Empty::<Bytes>::new())?;
        let uri = extended.map_or_else(
            || authority.to_owned(),
            |(_, path)| format!("http://{authority}{path}"),
        );
        *request.uri_mut() = uri.parse().map_err(hyper::http::Error::from)?;
        *request.headers_mut() = headers.into().to_map()?;

        if let Some((protocol, _)) = extended {
            request
                .extensions_mut()
                .insert(Protocol::from_static(protocol));
        }
        within(options.timeout, connect_http2(addr, request, options)).await
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Sends bytes through the tunnel.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let writing = async {
            match &mut self.stream {
                None => Ok(()),
                Some(Stream::Tcp(stream)) => stream.write_all(bytes).await,
                Some(Stream::Http2(stream)) => stream.write_all(bytes).await,
            }
        };

        within(self.options.timeout, async {
            writing.await.map_err(CallError::Connect)
        })
        .await
    }

    /// The next bytes that come; empty when the peer has ended or broken the tunnel.
    ///
    /// # Errors
    /// When nothing comes before the deadline.
    pub async fn receive(&mut self) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::with_capacity(4096);
        let reading = async {
            // A broken tunnel counts as ended.
            let _ = match &mut self.stream {
                None => Ok(0),
                Some(Stream::Tcp(stream)) => stream.read_buf(&mut bytes).await,
                Some(Stream::Http2(stream)) => stream.read_buf(&mut bytes).await,
            };
            Ok(())
        };

        within(self.options.timeout, reading).await?;
        Ok(bytes)
    }

    /// Ends this side in order: FIN, or END_STREAM.
    pub async fn finish(&mut self) {
        let _ = match &mut self.stream {
            None => Ok(()),
            Some(Stream::Tcp(stream)) => stream.shutdown().await,
            Some(Stream::Http2(stream)) => stream.shutdown().await,
        };
    }

    /// Breaks the tunnel: RST, or RST_STREAM.
    pub fn reset(self) {
        if let Some(Stream::Tcp(stream)) = &self.stream {
            let _ = stream.set_zero_linger();
        }
    }
}

async fn connect_http2(
    addr: SocketAddr,
    request: Request<Empty<Bytes>>,
    options: &CallOptions,
) -> Result<Tunnel, CallError> {
    let stream = TokioIo::new(connect(addr, options.source_ip).await?);
    let handshake = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(None, &error))?;
    // Ends when sender and tunnel are dropped.
    tokio::spawn(connection);
    // RFC 8441 requires the peer's SETTINGS first. hyper does not expose them, and Envoy accepts
    // the request without waiting for them.
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| broken(None, &error))?;

    let (status, headers) = (response.status(), Headers::from(response.headers()));
    let stream = match status.is_success() {
        false => None,
        true => Some(
            hyper::upgrade::on(response)
                .await
                .map_err(|error| broken(Some(status), &error))?,
        ),
    };
    let stream = stream.map(|stream| Stream::Http2(Box::new(TokioIo::new(stream))));

    Ok(Tunnel {
        status: status.as_u16(),
        headers,
        stream,
        options: *options,
    })
}

/// Reads up to the empty line, and no further; returns status and headers.
async fn read_head(stream: &mut TcpStream) -> Result<(u16, Headers), CallError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(
            stream
                .read_u8()
                .await
                .map_err(|error| broken(None, &error))?,
        );
    }

    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| CallError::Broken {
        status: None,
        reason: format!("no HTTP answer: {head}"),
    })?;

    let fields = lines.filter_map(|line| line.split_once(':'));
    Ok((
        status,
        fields.fold(Headers::new(), |headers, (name, value)| {
            headers.with(name, value.trim())
        }),
    ))
}
