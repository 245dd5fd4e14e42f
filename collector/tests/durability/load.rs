//! Several senders at once, as fast as they can, while something happens to the collector.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::sender::Sender;
use crate::support::http::Client;
use crate::support::program::Program;

const SENDERS: usize = 4;
/// No step takes longer.
const DEADLINE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_micros(200);

/// What the senders have reached, and the word that they shall stop.
#[derive(Default)]
pub(crate) struct Progress {
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Progress {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until this many more batches were acknowledged than when it was called.
    pub(crate) fn wait_for_acknowledged(&self, more: usize) {
        self.wait(&self.acknowledged, more, "acknowledged");
    }

    /// The same for batches that were answered with 503.
    pub(crate) fn wait_for_refused(&self, more: usize) {
        self.wait(&self.refused, more, "refused");
    }

    fn wait(&self, counter: &AtomicUsize, more: usize, what: &str) {
        let goal = counter.load(Ordering::Relaxed) + more;
        for _ in 0..DEADLINE.as_micros() / STEP.as_micros() {
            if counter.load(Ordering::Relaxed) >= goal || self.is_over() {
                return;
            }
            thread::sleep(STEP);
        }
        self.is_over.store(true, Ordering::Relaxed);
        panic!(
            "{} of {goal} batches were {what} in time",
            counter.load(Ordering::Relaxed)
        );
    }
}

/// The senders of one database, over the lives of many collectors.
pub(crate) struct Load {
    senders: Vec<Sender>,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            senders: (0..SENDERS).map(|_| Sender::new()).collect(),
        }
    }

    /// Sends from all senders while `happen` runs; returns how many of them were cut off in the middle of a batch.
    pub(crate) fn during(&mut self, address: SocketAddr, happen: impl FnOnce(&Progress)) -> usize {
        let progress = Progress::default();
        thread::scope(|scope| {
            for sender in &mut self.senders {
                let progress = &progress;
                scope.spawn(move || {
                    let _over = OverOnPanic(progress);
                    // An error is the end of the collector; what is not acknowledged by then is sent to the next one.
                    let _ = Client::connect(address)
                        .and_then(|mut client| sender.send(&mut client, progress));
                });
            }
            let _over = Over(&progress);
            happen(&progress);
        });
        self.senders.iter().filter(|sender| sender.is_cut()).count()
    }

    /// Looks at what the last rounds have sent.
    pub(crate) fn check_new(&mut self, program: &Program) {
        let mut client = program.client();
        self.senders
            .iter_mut()
            .for_each(|sender| sender.check_new(&mut client));
    }

    /// Looks at every batch there ever was, and returns the number of acknowledged records.
    pub(crate) fn check_all(&self, program: &Program) -> u64 {
        let mut client = program.client();
        self.senders
            .iter()
            .for_each(|sender| sender.check_all(&mut client));
        self.senders.iter().map(Sender::acknowledged_records).sum()
    }
}

/// Ends the load also when a check beside it fails, which otherwise would wait for the senders for ever.
struct Over<'a>(&'a Progress);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Lets nobody wait for a sender whose check failed.
struct OverOnPanic<'a>(&'a Progress);

impl Drop for OverOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.is_over.store(true, Ordering::Relaxed);
        }
    }
}
