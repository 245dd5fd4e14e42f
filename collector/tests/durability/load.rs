//! Several senders at full speed while the collector is disturbed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use testkit::collector::Client;
use testkit::collector::Program;

use crate::sender::Sender;

const SENDERS: usize = 4;
/// Deadline of each step.
const DEADLINE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_micros(200);

/// Counters of the senders, and the flag that stops them.
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

    /// Waits until this many more batches are acknowledged, counted from the call.
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

/// The senders of one database, across restarts of the collector.
pub(crate) struct Load {
    senders: Vec<Sender>,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            senders: (0..SENDERS).map(|_| Sender::new()).collect(),
        }
    }

    /// Sends from all senders while `happen` runs. Returns how many of them were interrupted during
    /// a batch.
    pub(crate) fn during(&mut self, address: SocketAddr, happen: impl FnOnce(&Progress)) -> usize {
        let progress = Progress::default();
        thread::scope(|scope| {
            for sender in &mut self.senders {
                let progress = &progress;
                scope.spawn(move || {
                    let _over = OverOnPanic(progress);
                    // An error means that the collector has ended. Unacknowledged batches go to the
                    // next one.
                    let _ = Client::connect(address)
                        .and_then(|mut client| sender.send(&mut client, progress));
                });
            }
            let _over = Over(&progress);
            happen(&progress);
        });

        self.senders.iter().filter(|sender| sender.is_cut()).count()
    }

    /// Checks the batches of the last rounds.
    pub(crate) fn check_new(&mut self, program: &Program) {
        let mut client = program.client();
        self.senders
            .iter_mut()
            .for_each(|sender| sender.check_new(&mut client));
    }

    /// Checks every batch so far, and returns the number of acknowledged records.
    pub(crate) fn check_all(&self, program: &Program) -> u64 {
        let mut client = program.client();
        self.senders
            .iter()
            .for_each(|sender| sender.check_all(&mut client));
        self.senders.iter().map(Sender::acknowledged_records).sum()
    }
}

/// Stops the senders also when a check panics, so that joining them does not block for ever.
struct Over<'a>(&'a Progress);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Ends the load when a sender's check panics, so that no thread waits for that sender.
struct OverOnPanic<'a>(&'a Progress);

impl Drop for OverOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.is_over.store(true, Ordering::Relaxed);
        }
    }
}
