//! One request over HTTP/1.1 or HTTP/2 with any body; the client may leave at any point of the
//! answer.

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;

use super::{CallError, CallOptions, Version, broken, connect, within};
use crate::headers::Headers;
use crate::script_body::{ScriptBody, Step};

/// The request.
#[derive(Clone, Debug)]
pub struct Message {
    /// The request method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The request headers; `host` becomes the `:authority` of HTTP/2.
    pub headers: Headers,
    /// The whole body, as sent.
    pub body: Bytes,
    /// Request trailers, over HTTP/2 only; empty: none are sent.
    pub trailers: Headers,
    /// HTTP/2 stream window: unread bytes of the answer's body in flight; `None`: the library's
    /// default.
    pub window: Option<u32>,
}

impl Message {
    /// A request without a body.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        let (method, path) = (method.into(), path.into());
        Self {
            method,
            path,
            headers: Headers::new(),
            body: Bytes::new(),
            trailers: Headers::new(),
            window: None,
        }
    }

    /// The message with one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers = self.headers.with(name, value);
        self
    }

    /// The message with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// When the client leaves: it closes an HTTP/1.1 connection, and resets an HTTP/2 stream (CANCEL).
#[derive(Debug)]
pub enum Leave {
    /// Never.
    Never,
    /// When this is sent, unless the answer's headers have come by then.
    OnSignal(oneshot::Receiver<()>),
    /// When this many bytes of the body have come; 0: when the headers have come.
    AfterBytes(usize),
}

/// How an exchange ended, as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is complete.
    Complete,
    /// The client has left.
    Left,
    /// The connection or stream broke; the text is the library's.
    Broken(String),
}

/// The answer as the client received it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status, when the response headers have come.
    pub status: Option<u16>,
    /// The response headers.
    pub headers: Headers,
    /// The received part of the body.
    pub body: Bytes,
    /// The response trailers.
    pub trailers: Headers,
    /// How it ended.
    pub end: End,
}

impl Reply {
    /// Nothing has come.
    #[must_use]
    pub fn none(end: End) -> Self {
        Self {
            status: None,
            headers: Headers::new(),
            body: Bytes::new(),
            trailers: Headers::new(),
            end,
        }
    }
}

/// Sends a message on a new connection. A broken exchange also yields a [`Reply`].
///
/// # Errors
/// When the connection cannot be made, the message cannot be written as HTTP, or the deadline is
/// over.
pub async fn exchange(
    addr: SocketAddr,
    version: Version,
    message: Message,
    leave: Leave,
    options: &CallOptions,
) -> Result<Reply, CallError> {
    let exchanging = async {
        let stream = TokioIo::new(connect(addr, options.source_ip).await?);
        match version {
            Version::Http1 => over_http1(stream, addr, &message, leave).await,
            Version::Http2 => over_http2(stream, addr, &message, leave).await,
        }
    };

    within(options.timeout, exchanging).await
}

type Stream = TokioIo<tokio::net::TcpStream>;

async fn over_http1(
    stream: Stream,
    addr: SocketAddr,
    message: &Message,
    leave: Leave,
) -> Result<Reply, CallError> {
    let mut request = build(message, &message.path)?;
    if !request.headers().contains_key(HOST) {
        let host = addr.to_string().parse().map_err(hyper::http::Error::from)?;
        request.headers_mut().insert(HOST, host);
    }

    let (mut sender, connection) = http1::handshake(stream)
        .await
        .map_err(|error| broken(None, &error))?;
    let task = tokio::spawn(connection);
    let reply = read(sender.send_request(request), leave).await;

    // Closes the connection at once, even if bytes are still unread.
    task.abort();
    let _ = task.await;
    Ok(reply)
}

async fn over_http2(
    stream: Stream,
    addr: SocketAddr,
    message: &Message,
    leave: Leave,
) -> Result<Reply, CallError> {
    let authority = message
        .headers
        .text("host")
        .unwrap_or_else(|| addr.to_string());
    let mut request = build(message, &format!("http://{authority}{}", message.path))?;
    request.headers_mut().remove(HOST);

    let mut client = http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(message.window);
    let (mut sender, connection) = client
        .handshake(stream)
        .await
        .map_err(|error| broken(None, &error))?;
    let task = tokio::spawn(connection);
    let reply = read(sender.send_request(request), leave).await;

    // The connection ends when the sender is dropped and everything is written, including
    // RST_STREAM.
    drop(sender);
    let _ = task.await;
    Ok(reply)
}

fn build(message: &Message, uri: &str) -> Result<Request<ScriptBody>, CallError> {
    let mut steps = Vec::new();
    if !message.body.is_empty() {
        steps.push(Step::Data(message.body.clone()));
    }
    if !message.trailers.is_empty() {
        steps.push(Step::Trailers(message.trailers.to_map()?));
    }

    let request = Request::builder().method(message.method.as_str()).uri(uri);
    let mut request = request.body(ScriptBody::new(steps))?;
    *request.headers_mut() = message.headers.to_map()?;
    Ok(request)
}

async fn read(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    leave: Leave,
) -> Reply {
    let (signal, limit) = match leave {
        Leave::Never => (None, None),
        Leave::OnSignal(signal) => (Some(signal), None),
        Leave::AfterBytes(limit) => (None, Some(limit)),
    };

    // Dropped when the client leaves: hyper then resets the stream.
    let mut response = Box::pin(response);
    let response = tokio::select! {
        response = &mut response => response,
        () = pin!(sent(signal)) => return Reply::none(End::Left),
    };

    match response {
        Ok(response) => read_body(response, limit).await,
        Err(error) => Reply::none(End::Broken(broken(None, &error).to_string())),
    }
}

/// Waits for the signal; forever when there is none, or its sender is dropped.
async fn sent(signal: Option<oneshot::Receiver<()>>) {
    if let Some(signal) = signal
        && signal.await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn read_body(response: Response<Incoming>, limit: Option<usize>) -> Reply {
    let (parts, mut body) = response.into_parts();
    let (mut bytes, mut trailers, mut end) = (Vec::new(), Headers::new(), End::Complete);

    loop {
        if limit.is_some_and(|limit| bytes.len() >= limit) {
            end = End::Left;
            break;
        }
        match body.frame().await {
            None => break,
            Some(Err(error)) => {
                end = End::Broken(broken(Some(parts.status), &error).to_string());
                break;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => {
                    trailers = frame
                        .trailers_ref()
                        .map_or_else(Headers::new, Headers::from)
                }
            },
        }
    }

    let headers = Headers::from(&parts.headers);
    Reply {
        status: Some(parts.status.as_u16()),
        headers,
        body: bytes.into(),
        trailers,
        end,
    }
}
