//! Bytes on a TCP connection, for requests that no HTTP library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CallError, CallOptions, connect, within};

/// A connection that is written piece by piece; dropping it closes it.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    options: CallOptions,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When the connection cannot be made.
    pub async fn open(addr: SocketAddr, options: &CallOptions) -> Result<Self, CallError> {
        let stream = within(options.timeout, connect(addr, options.source_ip)).await?;
        Ok(Self {
            stream,
            options: *options,
        })
    }

    /// Sends `bytes`.
    ///
    /// # Errors
    /// When not all of them can be written before the deadline.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let writing = async {
            self.stream
                .write_all(bytes)
                .await
                .map_err(CallError::Connect)
        };
        within(self.options.timeout, writing).await
    }

    /// Returns all that comes back until the peer closes or the deadline is over.
    ///
    /// A peer that keeps the connection open costs the whole [`CallOptions::timeout`]: send
    /// `connection: close`.
    pub async fn receive(mut self) -> Vec<u8> {
        let mut received = Vec::new();
        // The result is the bytes read up to a reset or the deadline.
        let _ = timeout(
            self.options.timeout,
            read_all(&mut self.stream, &mut received),
        )
        .await;
        received
    }
}

/// Sends `bytes` on a new connection and returns the answer, see [`RawConnection::receive`].
///
/// # Errors
/// When the connection cannot be made, or the bytes cannot be written.
pub async fn raw_exchange(
    addr: SocketAddr,
    bytes: &[u8],
    options: &CallOptions,
) -> Result<Vec<u8>, CallError> {
    let mut connection = RawConnection::open(addr, options).await?;
    connection.send(bytes).await?;
    Ok(connection.receive().await)
}

async fn read_all(stream: &mut TcpStream, received: &mut Vec<u8>) {
    while let Ok(1..) = stream.read_buf(received).await {}
}
