//! A stream whose end is reported only when all requests on it are answered.
//!
//! A proxy that ends sends its last batch and closes at once. `h2` drops requests that were received
//! together with the end of their connection, and the batch would be lost.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

/// How often a stream at its end looks for open requests.
const STEP: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct HalfClose<S> {
    stream: S,
    /// Number of open requests.
    open: watch::Receiver<usize>,
    /// Set at the end of the stream.
    ended: Option<Pin<Box<Sleep>>>,
}

impl<S> HalfClose<S> {
    pub(super) fn new(stream: S, open: watch::Receiver<usize>) -> Self {
        Self {
            stream,
            open,
            ended: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HalfClose<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ended.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }

        // The first step gives requests that came with the end the time to become open ones.
        let ended = this.ended.get_or_insert_with(|| Box::pin(sleep(STEP)));
        loop {
            ready!(ended.as_mut().poll(cx));
            if *this.open.borrow() == 0 {
                return Poll::Ready(Ok(()));
            }
            ended.as_mut().reset(Instant::now() + STEP);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfClose<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
