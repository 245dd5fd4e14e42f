//! Streams of VMs that are gone without a word: a VM that lives changes its seats, and what has not changed for long is taken
//! over. So nothing is left behind where Envoy ends a VM, or loads another module in the place of a crashed one.

use std::time::Duration;

use uuid::Uuid;

use super::Pipeline;
use super::cut::new_batch_id;
use super::journal::{Entry, Estate, Listing, Seat};
use super::lane::Lane;
use super::loss::LossLedger;
use super::notices::{Kind, Level};
use super::predecessor::Predecessor;
use super::recovery::Room;
use super::stream::Stream;
use crate::stats::{Counter, Gauge, Gauges, Stats};
use crate::time::Now;

/// How often other streams are looked at. A look counts only when this time has passed, so that a process that stood
/// still has not seen the others stand still.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// How often a VM shows that it lives; one that ends does so at each of its ticks.
pub(super) const BEAT: Duration = Duration::from_secs(5);

/// After so long without a tick a VM whose configuration has ended looks first whether another one has taken over: half of
/// [`LOOKS_AT_ENDED`].
const PAUSE_OF_ENDED: Duration = Duration::from_secs(1);

/// Looks without a change after which a VM counts as gone: 30 s, six of its beats.
pub(super) const LOOKS_AT_LIVING: u32 = 120;

/// The same after the end of its configuration: 2 s, eight of its beats.
pub(super) const LOOKS_AT_ENDED: u32 = 8;

/// What was seen of the seats of other VMs.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Vec<Seen>,
    looked: Option<Duration>,
    last_beat: Option<Duration>,
    /// The configuration has ended, and another VM may take over what could not be delivered.
    is_offering: bool,
}

#[derive(Debug)]
struct Seen {
    seat: Seat,
    /// Looks since it has changed.
    looks: u32,
}

impl Seen {
    fn is_gone(&self) -> bool {
        let Entry { has_ended, .. } = self.seat.entry;
        self.looks
            >= if has_ended {
                LOOKS_AT_ENDED
            } else {
                LOOKS_AT_LIVING
            }
    }
}

impl Watch {
    fn see(&mut self, others: Vec<Seat>) {
        let looks = |seat: &Seat| {
            self.seen
                .iter()
                .find(|seen| seen.seat == *seat)
                .map_or(0, |seen| seen.looks + 1)
        };
        self.seen = others
            .into_iter()
            .map(|seat| Seen {
                seat,
                looks: looks(&seat),
            })
            .collect();
    }
}

impl Pipeline {
    /// Looks whether the own seat is still there, shows that this VM lives, and takes over from those that do not.
    pub(super) fn watch(&mut self, now: Now) {
        let has_just_looked = |looked: Duration| now.uptime.saturating_sub(looked) < LOOK;
        if !self.watch.is_offering && self.watch.looked.is_some_and(has_just_looked) {
            return;
        }
        self.watch.looked = Some(now.uptime);
        let listings = self.check_seats(now);
        self.beat(now);
        self.take_over_from_the_gone(listings);
        self.count_refused(now);
    }

    /// The same before anything else, where no tick has come for so long that another VM may have taken over, or soon will.
    pub(super) fn watch_after_pause(&mut self, now: Now) {
        let pause = match self.is_draining() {
            // What is offered may be gone at any moment.
            true if self.watch.is_offering => Duration::ZERO,
            true => PAUSE_OF_ENDED,
            false => BEAT,
        };
        if self
            .watch
            .looked
            .is_some_and(|looked| now.uptime.saturating_sub(looked) >= pause)
        {
            self.watch(now);
        }
    }

    /// The gauges to publish. What another VM has taken over is in its share by then.
    pub fn gauges_to_publish(&mut self, now: Now) -> Gauges {
        if self.watch.is_offering {
            self.check_seats(now);
        }
        self.gauges()
    }

    /// Gives up what another VM has taken over in the meantime. Before numbers are given out that it may have given out,
    /// too.
    pub(super) fn check_seats(&mut self, now: Now) -> Vec<Listing> {
        let listings = self.journal.listings();
        self.seat_predecessors_anew(&listings, now);
        let is_lost =
            |predecessor: &mut Predecessor| !self.journal.holds(&listings, predecessor.estate());
        let is_claimed = |predecessor: &mut Predecessor| {
            is_lost(predecessor) && !self.journal.is_void(&listings, predecessor.estate())
        };
        for lost in self.recovery.streams.extract_if(.., is_claimed) {
            forfeit(&mut self.stats, lost.share());
        }
        if self.journal.has_lost_seat(&listings) {
            if self.journal.is_own_void(&listings) {
                self.take_a_new_seat()
            } else {
                self.lose_seat(now)
            }
        }
        self.journal.note_epochs(&listings);
        listings
    }

    /// The VMs in which streams with records live, this one apart.
    #[must_use]
    pub fn other_vms(&self) -> Vec<Uuid> {
        self.journal.other_vms()
    }

    /// The configuration has ended, and perhaps the VM ends with it: others wait no longer than for a few ticks.
    pub fn handle_last_words(&mut self) {
        self.show_life(true);
    }

    /// The seats of predecessors whose list was damaged are no other VM's. What they hold is taken over before another stream
    /// takes their places, whatever the limits say.
    fn seat_predecessors_anew(&mut self, listings: &[Listing], now: Now) {
        let mut streams = std::mem::take(&mut self.recovery.streams);
        for predecessor in &mut streams {
            let estate = predecessor.estate();
            if self.journal.is_void(listings, estate) && !self.journal.holds(listings, estate) {
                self.take_over_all(predecessor, Room::Any, now);
                predecessor.seat_anew(&self.journal);
            }
        }
        self.recovery.streams = streams;
    }

    fn show_life(&self, has_ended: bool) {
        self.journal.beat(
            self.recovery.streams.iter().map(Predecessor::estate),
            has_ended,
        );
    }

    fn beat(&mut self, now: Now) {
        if self.watch.is_offering {
            return;
        }
        let has_ended = self.is_draining();
        let is_due = |last: Duration| has_ended || now.uptime.saturating_sub(last) >= BEAT;
        if self.watch.last_beat.is_none_or(is_due) {
            self.watch.last_beat = Some(now.uptime);
            self.show_life(has_ended);
        }
    }

    /// Leaves what could not be delivered to another VM, whose configuration may do better: this one seals all that it holds,
    /// and shows no sign of life any more. If no other one takes it, this one goes on.
    ///
    /// The gauges must be published next.
    ///
    /// `is_alone`: this VM has no other configuration of the plugin. If it has, that one takes over, or would lose its seat, too.
    pub fn offer(&mut self, is_alone: bool, now: Now) {
        let can_offer = is_alone && self.is_draining() && !self.has_given_up;
        self.watch.is_offering = can_offer && self.is_failing();
        if self.watch.is_offering {
            self.seal_all(now);
        }
    }

    pub(super) fn is_offering(&self) -> bool {
        self.watch.is_offering
    }

    /// Whether attempts fail, and nothing but a probe leaves.
    fn is_failing(&self) -> bool {
        Lane::ALL
            .into_iter()
            .any(|lane| self.windows.of(lane).is_down())
    }

    /// A stream that ends itself takes over nothing.
    fn take_over_from_the_gone(&mut self, listings: Vec<Listing>) {
        self.watch.see(self.journal.seats_of_others(listings));
        if self.is_draining() {
            return;
        }
        let gone = self.watch.seen.iter().filter(|seen| seen.is_gone());
        let claimed: Vec<Estate> = gone
            .flat_map(|seen| self.journal.claim_seen(seen.seat))
            .collect();
        for estate in claimed {
            let (stream, records) = (estate.stream, Gauge::BufferRecords.of(&estate.note.gauges));
            self.say(
                Level::Info,
                format!("takes over {records} records of stream {stream}, whose VM is gone"),
            );
            self.succeed(estate);
        }
    }

    /// The list of seats was damaged.
    fn take_a_new_seat(&mut self) {
        let told = self.journal.told_gauges();
        self.journal.leave_void(self.stream.id());
        self.keep_all_anew();
        self.write_note(self.stream.next(), told);
    }

    /// Another VM has taken over: what this one has offered is the other's. Or this one stood still.
    fn lose_seat(&mut self, now: Now) {
        let told = self.journal.told_gauges();
        let sealed = if self.watch.is_offering {
            self.let_sealed_go()
        } else {
            0
        };
        self.stats.forfeit(told);
        // What goes on here is counted once more.
        self.stats.add(
            Counter::Captured,
            Gauge::BufferRecords.of(&told).saturating_sub(sealed),
        );
        self.begin_anew(now);
    }

    /// Drops all batches, whose copies another VM has. Yields how many records they have.
    fn let_sealed_go(&mut self) -> u64 {
        let batches = self.take_batches();
        batches.iter().for_each(|batch| self.release_places(batch));
        batches.iter().map(|batch| batch.items().len() as u64).sum()
    }

    /// This VM stood still for so long that another one has taken over, and may have given out numbers of the stream. So
    /// what is held here leaves once more, under the same ids, and a new stream begins.
    fn begin_anew(&mut self, now: Now) {
        // What was not found yet will be found by the other VM, or not.
        self.stats.add(
            Counter::DroppedVmCrash,
            std::mem::take(&mut self.recovery.missing),
        );
        self.refuse_overdue(Now {
            uptime: Duration::MAX,
            ..now
        });

        let (before, next) = (self.stream.id(), new_batch_id(&mut self.random));
        self.journal.leave_void(next);
        self.keep_all_anew();
        // No more numbers of the old stream: its losses and its end are the other VM's to report.
        self.losses = LossLedger::default();
        self.stream.end();
        self.seal_all(now);
        self.stream = Stream::new(next);
        self.say(
            Level::Warn,
            format!("stream {before} was taken over while it stood still, and goes on as {next}"),
        );
    }

    fn keep_all_anew(&mut self) {
        let staged = self.staged.as_mut();
        let waiting = self.waiting.each_mut().flatten();
        let flights = self
            .windows
            .each_mut()
            .flat_map(|window| window.batches_mut());
        for batch in waiting.chain(staged).chain(flights) {
            self.journal.keep(batch);
        }
    }

    fn count_refused(&mut self, now: Now) {
        let refused = self.journal.take_refused();
        if refused > 0 {
            self.stats.add(Counter::JournalRefused, refused);
            self.notices.count(Kind::Refused, refused, "", now.uptime);
        }
    }
}

/// Another VM counts the records of this share to their end; this one does so once more.
fn forfeit(stats: &mut Stats, share: Gauges) {
    stats.forfeit(share);
    stats.add(Counter::Captured, Gauge::BufferRecords.of(&share));
}
