//! A TCP stream that shows whether its peer has closed, also while nothing is read from it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How often an open request looks for the end of its client: often enough to free a connection to
/// the database within 100 ms. The first look is as late, so that a client that closes its side of
/// the connection right after its request still gets a quick answer.
const STEP: Duration = Duration::from_millis(25);

/// See the module. Clones are the same stream.
#[derive(Clone)]
pub(super) struct Socket(Arc<TcpStream>);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// Returns when the peer has closed its side or reset the connection.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let stream = Arc::clone(&self.0);
        async move {
            loop {
                sleep(STEP).await;
                match stream.ready(Interest::READABLE).await {
                    Ok(ready) if !ready.is_read_closed() => {}
                    _ => return,
                }
            }
        }
    }
}

/// Repeats `attempt` until it does not block.
fn attempt<T>(
    mut is_ready: impl FnMut() -> Poll<io::Result<()>>,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(is_ready())?;
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(attempt(
            || self.0.poll_read_ready(cx),
            || self.0.try_read(buffer.initialize_unfilled()),
        ))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        attempt(|| self.0.poll_write_ready(cx), || self.0.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        attempt(
            || self.0.poll_write_ready(cx),
            || self.0.try_write_vectored(parts),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// By a second descriptor, since `tokio` needs the stream itself to do so.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let descriptor = self.0.as_fd().try_clone_to_owned()?;
        Poll::Ready(std::net::TcpStream::from(descriptor).shutdown(Shutdown::Write))
    }
}
