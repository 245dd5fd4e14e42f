//! One gRPC call over HTTP/2 cleartext, without protobuf types: messages are bytes.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

use super::{CallError, CallOptions, GrpcAnswer, broken, connect, within};
use crate::headers::Headers;
use crate::script_body::{ScriptBody, Step};

/// Flag byte and big-endian length in front of every message.
const FRAMING_BYTES: usize = 5;

/// Options of a gRPC call in addition to [`CallOptions`].
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// Source address and deadline.
    pub call: CallOptions,
    /// The request messages, without framing; default one empty message.
    pub messages: Vec<Bytes>,
    /// Request trailers; empty: none are sent.
    pub trailers: Headers,
    /// Cancel the call (RST_STREAM) after the first response message; the answer then has no
    /// trailers.
    pub cancel_after_first_message: bool,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            call: CallOptions::default(),
            messages: vec![Bytes::new()],
            trailers: Headers::new(),
            cancel_after_first_message: false,
        }
    }
}

/// Calls `path` (`/pkg.Service/Method`) on a new connection, see [`GrpcConnection::call`].
///
/// # Errors
/// When there is no complete answer, see [`CallError`].
pub async fn grpc_call(
    addr: SocketAddr,
    path: &str,
    headers: impl Into<Headers>,
    options: &GrpcOptions,
) -> Result<GrpcAnswer, CallError> {
    let headers = headers.into();
    let exchange = async {
        let connection = GrpcConnection::connect(addr, &options.call).await?;
        let answer = connection.exchange(path, &headers, options).await;
        connection.close().await;
        answer
    };

    within(options.call.timeout, exchange).await
}

/// A connection for any number of calls, in sequence or concurrent. Dropping it and all calls
/// closes it.
#[derive(Debug)]
pub struct GrpcConnection {
    addr: SocketAddr,
    sender: http2::SendRequest<ScriptBody>,
    task: JoinHandle<hyper::Result<()>>,
}

impl GrpcConnection {
    /// Connects.
    ///
    /// # Errors
    /// When the connection cannot be made before the deadline.
    pub async fn open(addr: SocketAddr, options: &CallOptions) -> Result<Self, CallError> {
        within(options.timeout, Self::connect(addr, options)).await
    }

    /// Calls `path` (`/pkg.Service/Method`).
    ///
    /// `content-type: application/grpc` and `te: trailers` are added when the headers have none; a
    /// `host` field becomes the `:authority`. Every gRPC status is an answer; an error means that
    /// there was no complete answer.
    ///
    /// # Errors
    /// When there is no complete answer, see [`CallError`].
    pub async fn call(
        &self,
        path: &str,
        headers: impl Into<Headers>,
        options: &GrpcOptions,
    ) -> Result<GrpcAnswer, CallError> {
        within(
            options.call.timeout,
            self.exchange(path, &headers.into(), options),
        )
        .await
    }

    async fn connect(addr: SocketAddr, options: &CallOptions) -> Result<Self, CallError> {
        let stream = connect(addr, options.source_ip).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| broken(None, &error))?;
        Ok(Self {
            addr,
            sender,
            task: tokio::spawn(connection),
        })
    }

    async fn exchange(
        &self,
        path: &str,
        headers: &Headers,
        options: &GrpcOptions,
    ) -> Result<GrpcAnswer, CallError> {
        let request = build(self.addr, path, headers, options)?;
        let mut sender = self.sender.clone();

        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(None, &error))?;
        read_answer(response, options.cancel_after_first_message).await
    }

    /// Writes the remaining frames, including a cancelling RST_STREAM. The connection ends once the
    /// sender is dropped.
    async fn close(self) {
        drop(self.sender);
        let _ = self.task.await;
    }
}

fn build(
    addr: SocketAddr,
    path: &str,
    headers: &Headers,
    options: &GrpcOptions,
) -> Result<Request<ScriptBody>, CallError> {
    let authority = headers.text("host").unwrap_or_else(|| addr.to_string());
    let mut steps: Vec<Step> = options
        .messages
        .iter()
        .map(|message| Step::Data(frame(message)))
        .collect();
    if !options.trailers.is_empty() {
        steps.push(Step::Trailers(options.trailers.to_map()?));
    }

    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{authority}{path}"))
        .body(ScriptBody::new(steps))?;

    let mut fields = headers.to_map()?;
    fields.remove("host");
    fields
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/grpc"));
    fields
        .entry(TE)
        .or_insert(HeaderValue::from_static("trailers"));
    *request.headers_mut() = fields;
    Ok(request)
}

async fn read_answer(
    response: Response<Incoming>,
    cancel_after_first_message: bool,
) -> Result<GrpcAnswer, CallError> {
    let (parts, mut body) = response.into_parts();
    let (mut bytes, mut messages, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());

    while let Some(frame) = body.frame().await {
        match frame
            .map_err(|error| broken(Some(parts.status), &error))?
            .into_data()
        {
            Ok(data) => bytes.put(data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
        messages.extend(std::iter::from_fn(|| take_message(&mut bytes)));
        if cancel_after_first_message && !messages.is_empty() {
            break;
        }
    }

    Ok(GrpcAnswer {
        http_status: parts.status.as_u16(),
        headers: Headers::from(&parts.headers),
        messages,
        trailers: Headers::from(&trailers),
    })
}

fn frame(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(FRAMING_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Takes one complete message off the front; `None` until all of it has arrived.
fn take_message(bytes: &mut BytesMut) -> Option<Bytes> {
    let mut framing = bytes.get(..FRAMING_BYTES)?;
    framing.advance(1);
    let length = usize::try_from(framing.get_u32()).ok()?;
    if bytes.len() < FRAMING_BYTES.checked_add(length)? {
        return None;
    }
    bytes.advance(FRAMING_BYTES);
    Some(bytes.split_to(length).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_only_when_complete() {
        let mut bytes = BytesMut::from(&frame(&Bytes::from_static(b"abc"))[..]);
        bytes.extend_from_slice(&[0, 0, 0, 0, 2, b'd']);
        assert_eq!(take_message(&mut bytes).unwrap(), &b"abc"[..]);
        assert_eq!(take_message(&mut bytes), None);
        bytes.extend_from_slice(b"e");
        assert_eq!(take_message(&mut bytes).unwrap(), &b"de"[..]);
    }
}
