//! The body of a request: read within its limits, and inflated within them.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::http::admission::{Limits, Reservation};
use crate::http::refusal::{Reason, Refusal};

/// Bytes inflated per step; memory for a step is reserved before it.
const STEP: usize = 64 * 1024;

/// A body that is being received.
pub(super) struct Incoming {
    body: Body,
    max_bytes: usize,
    time: Duration,
    /// Whether the client may write all of the body before it reads the answer.
    is_pushed: bool,
}

impl Incoming {
    pub(super) fn new(body: Body, headers: &HeaderMap, limits: &Limits) -> Self {
        let is_pushed = !headers.contains_key(header::EXPECT);
        Self {
            body,
            max_bytes: limits.max_body_bytes,
            time: limits.body_timeout,
            is_pushed,
        }
    }

    /// The length that the client gave, if it is not too large.
    pub(super) fn length(&self) -> Result<Option<usize>, Refusal> {
        let Some(length) = self.body.size_hint().exact() else {
            return Ok(None);
        };
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.max_bytes);
        length.map(Some).ok_or_else(|| self.too_large())
    }

    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Refusal> {
        // Memory for all of it is reserved; growth by doubling would take twice as much at the end.
        let mut sent = Vec::with_capacity(self.length()?.unwrap_or_default());
        while let Some(data) = self.next_data().await? {
            if data.len() > self.max_bytes - sent.len() {
                return Err(self.too_large());
            }
            sent.extend_from_slice(&data);
        }
        Ok(sent)
    }

    /// Discards up to the largest body: a client that still writes when the connection closes may
    /// miss the answer.
    pub(super) async fn discard(mut self) {
        if !self.is_pushed {
            return;
        }

        let time = self.time;
        let all = async {
            let mut seen = 0;
            while seen < self.max_bytes
                && let Ok(Some(data)) = self.next_data().await
            {
                seen += data.len();
            }
        };

        // A client that takes too long misses the answer.
        let _ = timeout(time, all).await;
    }

    /// The refusal of a body that did not arrive in time; the rest of it is not read.
    pub(super) fn too_slow(&mut self) -> Refusal {
        self.is_pushed = false;
        Refusal::new(
            Reason::Timeout,
            format!("body was not sent within {} s", self.time.as_secs_f64()),
        )
    }

    fn too_large(&self) -> Refusal {
        Refusal::too_large(format!("body is larger than {} bytes", self.max_bytes))
    }

    /// The next data of the body, `None` at its end; trailers are skipped.
    async fn next_data(&mut self) -> Result<Option<Bytes>, Refusal> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| Refusal::invalid("body ended before it was complete"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Compression of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compression {
    Identity,
    Gzip,
}

impl Compression {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Identity);
        };

        match value
            .to_str()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "identity" => Ok(Self::Identity),
            // RFC 9110 8.4.1.3.
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(Refusal::unsupported(
                "content-encoding must be gzip, identity or absent",
            )),
        }
    }

    /// The original body. `reservation` grows by the inflated bytes, and holds the body alone at
    /// the end.
    pub(super) fn undo(
        self,
        sent: Vec<u8>,
        max_bytes: usize,
        reservation: &mut Reservation,
    ) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Identity => Ok(sent),
            Self::Gzip => inflate(&sent, max_bytes, reservation),
        }
    }
}

/// Stops one byte after the limit, however large the inflated body would be.
fn inflate(
    sent: &[u8],
    max_bytes: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Refusal> {
    let mut decoder = MultiGzDecoder::new(sent);
    let mut inflated = Vec::new();

    loop {
        let step = STEP.min(max_bytes - inflated.len() + 1);
        reservation.grow_to(sent.len() + inflated.len() + step)?;
        let mut part = decoder.by_ref().take(step as u64);
        let read = part
            .read_to_end(&mut inflated)
            .map_err(|_| Refusal::invalid("body is not valid gzip"))?;

        if inflated.len() > max_bytes {
            return Err(Refusal::too_large(format!(
                "body is larger than {max_bytes} bytes after decompression"
            )));
        }
        if read < step {
            reservation.shrink_to(inflated.len());
            return Ok(inflated);
        }
    }
}
