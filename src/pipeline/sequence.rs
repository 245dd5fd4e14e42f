//! The stream of one worker: its id, its dense numbers, and its start.

use std::time::Duration;

use uuid::Uuid;

use super::buffer::Encoded;
use crate::stats::{Counter, Stats};

/// One life of a filter instance.
#[derive(Debug)]
pub(super) struct Sequence {
    id: Uuid,
    next: u64,
    start: Start,
    ended: bool,
    /// When the last attempt of one of its batches was made; `None` before the first.
    pub(super) last_sent: Option<Duration>,
}

/// The start is recorded with the first record, not at configuration: most instances on the main
/// thread never see a request.
#[derive(Debug)]
enum Start {
    Unannounced,
    Pending(Encoded),
    Sealed,
}

impl Sequence {
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            next: 0,
            start: Start::Unannounced,
            ended: false,
            last_sent: None,
        }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The number that the next record will get.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Gives out a number, and counts its record as captured.
    pub(super) fn next_number(&mut self, stats: &Stats) -> u64 {
        stats.add(Counter::Captured, 1);
        let number = self.next;
        self.next += 1;
        number
    }

    pub(super) fn is_announced(&self) -> bool {
        !matches!(self.start, Start::Unannounced)
    }

    /// Keeps the start for the next batch. It uses no memory of the buffer.
    pub(super) fn announce(&mut self, start: Encoded) {
        self.start = Start::Pending(start);
    }

    pub(super) fn pending_start(&self) -> Option<&Encoded> {
        match &self.start {
            Start::Pending(start) => Some(start),
            _ => None,
        }
    }

    pub(super) fn take_start(&mut self) -> Option<Encoded> {
        match std::mem::replace(&mut self.start, Start::Sealed) {
            Start::Pending(start) => Some(start),
            Start::Unannounced => {
                self.start = Start::Unannounced;
                None
            }
            Start::Sealed => None,
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// A record came after the end, which must be recorded again.
    pub(super) fn reopen(&mut self) {
        self.ended = false;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}
