//! Bytes on a TCP connection, for requests that no HTTP library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CallError, CallOptions, connect, within};

/// Sends `bytes` and returns all that comes back until the peer closes or the deadline is over.
///
/// A peer that keeps the connection open costs the whole [`CallOptions::timeout`]: ask for `connection: close`.
///
/// # Errors
/// When the connection cannot be made, or nothing at all can be written.
pub async fn raw_exchange(addr: SocketAddr, bytes: &[u8], options: &CallOptions) -> Result<Vec<u8>, CallError> {
    let mut stream = within(options.timeout, connect(addr, options.source_ip)).await?;
    stream.write_all(bytes).await.map_err(CallError::Connect)?;
    let mut received = Vec::new();
    // What has been read up to a reset or the deadline is the result.
    let _ = timeout(options.timeout, read_all(&mut stream, &mut received)).await;
    Ok(received)
}

async fn read_all(stream: &mut TcpStream, received: &mut Vec<u8>) {
    while let Ok(1..) = stream.read_buf(received).await {}
}
