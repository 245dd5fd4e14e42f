//! Answers of the audit cluster to a batch, valid ones and failures.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Status(u16, &'static str),
    /// 200 with this body as `application/x-protobuf`.
    Protobuf(&'static [u8]),
    /// This status with `retry-after`.
    RetryAfter(u16, &'static str),
    /// 200, after this delay.
    Late(Duration),
    /// 200 as soon as the gate is open, which is also when the batch is stored.
    Behind(Gate),
    /// 200 with a body of this many bytes.
    Huge(usize),
    /// No answer.
    Hang,
    /// Headers of a 200 and a part of its body, then a reset; the batch is not stored.
    CutOff,
    /// Bytes that are not HTTP.
    Garbage,
    /// The batch is stored, and the connection closed without an answer.
    Lost,
}

/// Time for the start of an answer to arrive before the reset, which discards bytes that the peer
/// has not read yet.
const BEFORE_RESET: Duration = Duration::from_millis(20);
const OK_BODY: &str = "{}";

/// Holds answers back until the scenario opens it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that lets no answer through yet.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        self.0.close();
    }

    async fn passed(&self) {
        // No permit is ever issued: the error means that the gate is open.
        let _ = self.0.acquire().await;
    }
}

impl Answer {
    /// Whether the audit cluster stores the batch.
    pub fn is_stored(&self) -> bool {
        match self {
            Self::Status(status, _) | Self::RetryAfter(status, _) => (200..300).contains(status),
            Self::Protobuf(_) | Self::Late(_) | Self::Behind(_) | Self::Huge(_) | Self::Lost => {
                true
            }
            Self::Hang | Self::CutOff | Self::Garbage => false,
        }
    }

    /// Waits until the answer may be sent. False: the peer has given up before.
    pub async fn is_awaited(&self, stream: &mut BufReader<TcpStream>) -> bool {
        let Self::Behind(gate) = self else {
            return true;
        };
        tokio::select! {
            () = gate.passed() => true,
            _ = stream.read_u8() => false,
        }
    }

    /// Sends the answer. False: the connection must be closed.
    pub async fn give(&self, stream: &mut BufReader<TcpStream>) -> bool {
        self.try_give(stream).await.unwrap_or(false)
    }

    async fn try_give(&self, stream: &mut BufReader<TcpStream>) -> io::Result<bool> {
        match self {
            Self::Status(status, body) => write(stream, *status, "", body.as_bytes()).await?,
            Self::Protobuf(body) => {
                write_typed(stream, 200, "application/x-protobuf", "", body).await?
            }
            Self::RetryAfter(status, value) => {
                write(stream, *status, &format!("retry-after: {value}\r\n"), &[]).await?;
            }
            Self::Late(delay) => {
                tokio::time::sleep(*delay).await;
                write(stream, 200, "", OK_BODY.as_bytes()).await?;
            }
            Self::Behind(_) => write(stream, 200, "", OK_BODY.as_bytes()).await?,
            Self::Huge(size) => write(stream, 200, "", &vec![b' '; *size]).await?,
            Self::Hang => {
                // Until the peer gives up.
                stream.read_u8().await?;
            }
            Self::CutOff => cut_off(stream).await?,
            Self::Garbage => {
                stream
                    .write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
                    .await?
            }
            Self::Lost => {}
        }

        Ok(!matches!(
            self,
            Self::Hang | Self::CutOff | Self::Garbage | Self::Lost
        ))
    }
}

async fn write(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    header: &str,
    body: &[u8],
) -> io::Result<()> {
    write_typed(stream, status, "application/json", header, body).await
}

async fn write_typed(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    media_type: &str,
    header: &str,
    body: &[u8],
) -> io::Result<()> {
    // A 204 must not have a length.
    let length = if status == 204 {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let head =
        format!("HTTP/1.1 {status} scripted\r\ncontent-type: {media_type}\r\n{header}{length}\r\n");
    stream.write_all(head.as_bytes()).await?;

    stream.write_all(body).await
}

async fn cut_off(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 scripted\r\ncontent-length: 1000\r\n\r\n{\"partial")
        .await?;
    tokio::time::sleep(BEFORE_RESET).await;
    stream.get_ref().set_zero_linger()
}
