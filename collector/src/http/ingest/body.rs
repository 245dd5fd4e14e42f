//! The body of a request: read within its limits, and inflated within them.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep_until, timeout};

use crate::http::admission::{Admission, Limits, Reservation};
use crate::http::refusal::{Reason, Refusal};

/// Bytes inflated per step; memory for a step is reserved before it. Also the bytes that a sender
/// must manage in [`Limits::pace`].
const STEP: usize = 64 * 1024;

/// A body that is being received.
pub(super) struct Incoming {
    body: Body,
    max_bytes: usize,
    time: Duration,
    pause: Duration,
    pace: Pace,
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
            pause: limits.body_pause,
            pace: Pace::new(limits.pace),
            is_pushed,
        }
    }

    /// The length that the client gave, if it is not too large.
    fn length(&self) -> Result<Option<usize>, Refusal> {
        let Some(length) = self.body.size_hint().exact() else {
            return Ok(None);
        };
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.max_bytes);
        length.map(Some).ok_or_else(|| self.too_large())
    }

    /// Reads all of it, and charges its bytes as they arrive: what a sender only announces costs
    /// nothing.
    pub(super) async fn read(
        &mut self,
        admission: &Admission,
        reservation: &mut Reservation,
    ) -> Result<Vec<u8>, Refusal> {
        let length = self.length()?;
        let all = timeout(self.time, self.read_all(length, admission, reservation));
        match all.await {
            Ok(result) => result,
            Err(_) => Err(self.not_sent_within(self.time)),
        }
    }

    async fn read_all(
        &mut self,
        length: Option<usize>,
        admission: &Admission,
        reservation: &mut Reservation,
    ) -> Result<Vec<u8>, Refusal> {
        let mut sent = Vec::new();
        while let Some(data) = self.arriving(admission).await? {
            if data.len() > self.max_bytes - sent.len() {
                return Err(self.too_large());
            }

            let bytes = sent.len() + data.len();
            reservation.wait_for(bytes).await?;
            grow(&mut sent, bytes, length);
            sent.extend_from_slice(&data);
            self.pace.add(data.len());
        }
        Ok(sent)
    }

    /// The next data, unless its sender is too slow.
    async fn arriving(&mut self, admission: &Admission) -> Result<Option<Bytes>, Refusal> {
        let latest = Instant::now() + self.pause;
        loop {
            tokio::select! {
                biased;
                data = self.next_data() => return data,
                () = sleep_until(latest) => return Err(self.not_sent_within(self.pause)),
                () = admission.shortage() => {}
            }
            if self.pace.is_slow() {
                let message = "body arrives too slowly while memory is short";
                return Err(self.too_slow(message.to_owned()));
            }
        }
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

    fn not_sent_within(&mut self, time: Duration) -> Refusal {
        let seconds = time.as_secs_f64();
        self.too_slow(format!("body was not sent within {seconds} s"))
    }

    /// The refusal of a body that did not arrive in time; the rest of it is not read.
    fn too_slow(&mut self, message: String) -> Refusal {
        self.is_pushed = false;
        Refusal::new(Reason::Timeout, message)
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

/// How fast a body arrives.
struct Pace {
    /// In which a step must arrive.
    time: Duration,
    since: Instant,
    bytes: usize,
}

impl Pace {
    fn new(time: Duration) -> Self {
        Self {
            time,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= STEP {
            *self = Self::new(self.time);
        }
    }

    fn is_slow(&self) -> bool {
        self.since.elapsed() > self.time
    }
}

/// Makes room for `bytes` in all, and for no more than the announced `length`: by doubling alone,
/// twice the memory would be held at the end.
fn grow(sent: &mut Vec<u8>, bytes: usize, length: Option<usize>) {
    if bytes > sent.capacity() {
        let doubled = sent.capacity().saturating_mul(2);
        let capacity = length.map_or(doubled, |length| doubled.min(length));
        sent.reserve_exact(capacity.max(bytes) - sent.len());
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
