//! The end of a pipeline: what it still holds, how long it tries, and what it says about the rest.

use std::time::Duration;

use super::Pipeline;
use super::batch::Batch;
use super::lane::Lane;
use super::notices::Level;
use super::window::Window;
use crate::time::Now;

/// How long a pipeline that was told to end goes on trying to deliver what it holds.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(300);

/// Records of the stream that would be lost if the worker ended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unacknowledged {
    /// How many.
    pub count: u64,
    /// Lowest number among them.
    pub first: u64,
    /// Highest number among them.
    pub last: u64,
}

impl Pipeline {
    /// The configuration is going away: everything that is not on its way makes one batch, the stream's end in it, and from
    /// now on nothing waits. Says in one line what is not yet acknowledged, since the process may end before it is.
    ///
    /// True: a callout is worth the connection that it takes. For the end alone it is not, since another configuration
    /// of the same worker may have records for that connection; the end leaves at a tick, if one comes.
    pub fn handle_shutdown(&mut self, now: Now) -> bool {
        self.draining_since.get_or_insert(now.uptime);
        self.windows.each_mut().for_each(Window::end_backoff);
        let waits = self.waiting.each().any(|waiting| !waiting.is_empty());
        let is_worth_it = waits || self.unsealed_records() > 0 || self.losses.oldest().is_some();
        if is_worth_it {
            self.seal_the_rest(now);
        }
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!("ends with {count} records not yet acknowledged, numbers {first} to {last}");
            self.say(Level::Warn, text);
        }
        is_worth_it
    }

    /// Whether a pipeline that was told to end has nothing left to do, or has tried for [`DRAIN_LIMIT`].
    #[must_use]
    pub fn is_drained(&self, now: Now) -> bool {
        let is_idle =
            self.held_records() == 0 && self.losses.oldest().is_none() && !self.owes_end() && self.recovery.is_done();
        self.draining_since.is_some() && (is_idle || self.has_drained_long_enough(now))
    }

    /// What would be lost if the worker ended now.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Unacknowledged> {
        let own = || self.batches().filter(|batch| batch.origin == self.origin());
        let count: usize = own().map(|batch| batch.items().len()).sum();
        let waiting = Lane::ALL
            .into_iter()
            .filter_map(|lane| Some((self.buffer.oldest(lane)?.number, self.buffer.newest(lane)?.number)));
        let start = self.stream.pending_start().map(|start| (start.number, start.number));
        let ranges: Vec<(u64, u64)> = own().filter_map(Batch::numbers).chain(waiting).chain(start).collect();
        let first = ranges.iter().map(|(first, _)| *first).min()?;
        let last = ranges.iter().map(|(_, last)| *last).max()?;
        Some(Unacknowledged { count: count as u64 + self.unsealed_records(), first, last })
    }

    pub(super) fn tell_what_is_given_up(&mut self, now: Now) {
        if !self.has_drained_long_enough(now) {
            return;
        }
        if let Some(Unacknowledged { count, first, last }) = self.unacknowledged() {
            let text = format!("gives up {count} records that were never acknowledged, numbers {first} to {last}");
            self.say(Level::Error, text);
        }
        let foreign = self.batches().filter(|batch| batch.origin.recovered).map(|batch| batch.items().len());
        let count = foreign.sum::<usize>() as u64 + self.recovery.records();
        if count > 0 {
            self.say(Level::Error, format!("gives up {count} records of streams whose VM has crashed"));
        }
    }

    fn has_drained_long_enough(&self, now: Now) -> bool {
        self.draining_since.is_some_and(|since| now.uptime.saturating_sub(since) >= DRAIN_LIMIT)
    }
}
