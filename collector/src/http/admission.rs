//! Limits of all requests together; a request beyond them is refused before memory grows.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::http::refusal::{Reason, Refusal};

/// Limits of `POST /v1/logs`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of a request body, as sent and after decompression; more is answered with 413.
    /// The filter's buffer holds 12 MiB by default, and a proxy that ends may send all of it in one
    /// batch.
    pub max_body_bytes: usize,
    /// Most requests at once whose bodies have arrived; more are answered with 429.
    pub max_requests: usize,
    /// Most bytes of the bodies of all requests at once that have arrived, also after
    /// decompression; more is answered with 503, and a body that alone needs more with 413. At
    /// least `max_body_bytes`, or a large body is always refused.
    pub max_inflight_bytes: usize,
    /// How long a body may take to arrive; after that it is answered with 408.
    pub body_timeout: Duration,
    /// How long no byte of a body may arrive; after that it is answered with 408.
    pub body_pause: Duration,
    /// Where memory is short, a body of which less than 64 KiB has arrived in this time is answered
    /// with 408.
    pub pace: Duration,
}

impl Limits {
    /// Limits that suit a machine with 1 GiB of memory.
    pub const DEFAULT: Self = Self {
        max_body_bytes: 32 * 1024 * 1024,
        max_requests: 64,
        max_inflight_bytes: 64 * 1024 * 1024,
        body_timeout: Duration::from_secs(30),
        body_pause: Duration::from_secs(5),
        pace: Duration::from_secs(1),
    };
}

/// How long a body waits for memory that slow senders give back.
const PATIENCE: Duration = Duration::from_millis(250);

/// Bytes that a value counts for when it has less on the wire. The filter's attributes are longer,
/// so only a body that is made to cost memory counts for more than its length.
const BYTES_PER_VALUE: usize = 32;

/// Admits requests within [`Limits`]; clones share them.
#[derive(Clone, Debug)]
pub struct Admission {
    limits: Limits,
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    shortage: Arc<Notify>,
}

impl Admission {
    /// As many bodies are decoded at once as the machine has cores.
    pub fn new(limits: Limits) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let limits = Limits {
            max_requests: limits.max_requests.min(Semaphore::MAX_PERMITS),
            max_inflight_bytes: limits.max_inflight_bytes.min(Semaphore::MAX_PERMITS),
            ..limits
        };
        let semaphore = |permits| Arc::new(Semaphore::new(permits));

        Self {
            limits,
            requests: semaphore(limits.max_requests),
            bytes: semaphore(limits.max_inflight_bytes),
            decoders: semaphore(cores),
            shortage: Arc::default(),
        }
    }

    /// The limits within which requests are admitted.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Requests that hold a place now.
    pub fn requests(&self) -> usize {
        self.limits
            .max_requests
            .saturating_sub(self.requests.available_permits())
    }

    /// Bytes that are held now.
    pub fn bytes(&self) -> usize {
        self.limits
            .max_inflight_bytes
            .saturating_sub(self.bytes.available_permits())
    }

    /// A place among the requests, held until it is dropped.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let refusal = |_| Refusal::new(Reason::TooManyRequests, "too many requests at once");
        Arc::clone(&self.requests)
            .try_acquire_owned()
            .map_err(refusal)
    }

    /// A reservation of nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            room: Arc::clone(&self.bytes),
            limit: self.limits.max_inflight_bytes,
            held: None,
            shortage: Arc::clone(&self.shortage),
        }
    }

    /// Returns when a body finds no memory.
    pub(crate) async fn shortage(&self) {
        self.shortage.notified().await;
    }

    /// Waits for a core to decode a body on.
    pub(crate) async fn decoder(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.decoders).acquire_owned().await.ok()
    }
}

/// Bytes of a request that count against the limit until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    room: Arc<Semaphore>,
    /// Of all requests together.
    limit: usize,
    held: Option<OwnedSemaphorePermit>,
    shortage: Arc<Notify>,
}

impl Reservation {
    /// Holds at least this many bytes, if there is room for them now.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let missing = self.missing(bytes)?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(missing);
        self.add(more.map_err(|_| {
            self.shortage.notify_waiters();
            no_room()
        })?);
        Ok(())
    }

    /// Holds at least this many bytes. Slow senders give theirs back for it.
    pub(crate) async fn wait_for(&mut self, bytes: usize) -> Result<(), Refusal> {
        if self.grow_to(bytes).is_ok() {
            return Ok(());
        }

        let missing = self.missing(bytes)?;
        let more = Arc::clone(&self.room).acquire_many_owned(missing);
        match timeout(PATIENCE, more).await {
            Ok(Ok(more)) => {
                self.add(more);
                Ok(())
            }
            _ => Err(no_room()),
        }
    }

    /// One call acquires at most `u32::MAX` permits. More than the limit is never free: the sender
    /// must not try again.
    fn missing(&self, bytes: usize) -> Result<u32, Refusal> {
        if bytes > self.limit {
            let message = "body takes more memory than all requests together may";
            return Err(Refusal::too_large(format!(
                "{message}, {} bytes",
                self.limit
            )));
        }
        u32::try_from(bytes.saturating_sub(self.held())).map_err(|_| no_room())
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.held {
            Some(held) => held.merge(more),
            held @ None => *held = Some(more),
        }
    }

    /// Holds at least the bytes that this many values take.
    pub(crate) fn grow_to_values(&mut self, values: usize) -> Result<(), Refusal> {
        self.grow_to(values.saturating_mul(BYTES_PER_VALUE))
    }

    /// Releases the bytes held above this number.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.held().saturating_sub(bytes);
        drop(self.held.as_mut().and_then(|held| held.split(surplus)));
    }

    fn held(&self) -> usize {
        self.held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

fn no_room() -> Refusal {
    Refusal::new(Reason::NoMemory, "too many bytes in requests at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max_requests: usize, max_inflight_bytes: usize) -> Admission {
        Admission::new(Limits {
            max_requests,
            max_inflight_bytes,
            ..Limits::DEFAULT
        })
    }

    #[test]
    fn a_place_is_free_again_when_its_request_ends() {
        let admission = admission(2, 0);
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();

        assert_eq!(
            (
                admission.enter().unwrap_err().reason(),
                admission.requests()
            ),
            (Reason::TooManyRequests, 2)
        );

        drop(first);
        assert!(admission.enter().is_ok());
        assert_eq!(admission.requests(), 1);
    }

    #[test]
    fn bytes_are_held_until_the_request_ends() {
        let admission = admission(1, 100);
        let mut first = admission.reserve();
        first.grow_to(60).unwrap();
        let mut second = admission.reserve();
        assert_eq!(second.grow_to(41).unwrap_err().reason(), Reason::NoMemory);

        first.grow_to(80).unwrap();
        assert_eq!(first.grow_to(101).unwrap_err().reason(), Reason::TooLarge);
        assert_eq!(admission.bytes(), 80, "who is refused keeps what it had");

        first.grow_to(10).unwrap();
        first.shrink_to(30);
        assert_eq!(admission.bytes(), 30);

        first.grow_to_values(3).unwrap();
        assert_eq!(admission.bytes(), 3 * BYTES_PER_VALUE);

        drop(first);
        assert_eq!(admission.bytes(), 0);
        assert_eq!(
            second.grow_to(usize::MAX).unwrap_err().reason(),
            Reason::TooLarge
        );
    }

    #[tokio::test]
    async fn a_body_waits_for_what_others_give_back() {
        let admission = admission(1, 100);
        let mut first = admission.reserve();
        first.grow_to(60).unwrap();
        let mut second = admission.reserve();
        assert!(second.wait_for(41).await.is_err(), "none is given back");
        let refusal = second.wait_for(101).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::TooLarge);

        let slow = async {
            admission.shortage().await;
            drop(first);
        };
        let ((), grown) = tokio::join!(slow, second.wait_for(41));
        grown.unwrap();
        assert_eq!(admission.bytes(), 41);
    }
}
