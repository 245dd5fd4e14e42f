//! What survives a crash of the VM: a copy of every sealed batch in the host's shared data until its end is known, and a
//! note of the numbers that are in no batch. One write for a batch, none for a record.
//!
//! A stream that has a record takes a seat, which names its keys, and leaves it when everything is delivered. The keys of
//! a seat are used again: the host can forget values, but not keys.

mod authenticated;
mod codec;
mod estates;
mod identity;
mod registry;
mod tag;

use std::rc::Rc;

use uuid::Uuid;

use super::batch::Batch;
use crate::host::SharedData;
use crate::stats::Gauges;
pub use authenticated::Authenticated;
use authenticated::Keyed;
pub(super) use codec::{Note, Saved, SavedRecord};
pub(super) use estates::{Damage, Estate, Seat};
pub use identity::Identity;
use registry::Registry;
pub(super) use registry::{Entry, Listing};
pub use tag::Key;
use tag::TAG_BYTES;

/// Numbers that a stream may give out between two notes. The next note is written when they are used up, so that a crash
/// leaves no number beyond the last note unexplained.
pub const LEASE: u64 = 100;

/// The journal of one stream.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Rc<Authenticated>,
    identity: Identity,
    seat: Option<usize>,
    /// Of each list of seats, when it was looked at last.
    epochs: Vec<u64>,
    slots: Vec<Slot>,
    note: Note,
    returns: u64,
    /// The seat was handed over, and none is needed any more.
    is_retired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Empty,
    /// Holds a batch.
    Full,
    /// Holds a batch whose end is known.
    Spent,
}

/// Place of the key that this VM writes with.
const OWN_KEY: usize = 0;

impl Journal {
    pub(super) fn new(shared: Rc<Authenticated>, identity: Identity) -> Self {
        Self {
            shared,
            identity,
            seat: None,
            epochs: Vec::new(),
            slots: Vec::new(),
            note: Note::default(),
            returns: 0,
            is_retired: false,
        }
    }

    /// How many entries were refused since the last call.
    pub(super) fn take_refused(&self) -> u64 {
        self.shared.take_refused()
    }

    /// Numbers from this one on need a new note.
    pub(super) fn lease_end(&self) -> u64 {
        self.note.lease_end
    }

    /// The gauges as they were last told to the host.
    pub(super) fn told_gauges(&self) -> Gauges {
        self.note.gauges
    }

    /// How often numbers of a batch have become losses that are to be reported.
    pub(super) fn returns(&self) -> u64 {
        self.returns
    }

    /// Numbers of a batch have become losses that are to be reported. A note must follow.
    pub(super) fn note_return(&mut self) {
        self.returns += 1;
    }

    /// Writes a note, unless it says what the last one said.
    pub(super) fn write(&mut self, note: Note) {
        if note == self.note {
            return;
        }
        self.note = note;
        if let Some(seat) = self.sit() {
            self.own().put(&note_name(seat), codec::write_note(&note));
        }
    }

    /// Keeps a copy of a batch until [`Self::forget`].
    pub(super) fn keep(&mut self, batch: &mut Batch) {
        let Some(seat) = self.sit() else { return };
        let index = self
            .slots
            .iter()
            .position(|slot| *slot != Slot::Full)
            .unwrap_or(self.slots.len());
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Slot::Full,
            None => self.slots.push(Slot::Full),
        }
        self.own()
            .put(&slot_name(seat, index), codec::write_batch(batch));
        batch.slot = Some(index);
    }

    /// The end of a batch is known. Its copy is overwritten by a later batch, or emptied by [`Self::sweep`].
    pub(super) fn forget(&mut self, batch: &Batch) {
        if let Some(slot) = batch.slot.and_then(|index| self.slots.get_mut(index)) {
            *slot = Slot::Spent;
        }
    }

    /// Frees the memory of batches whose end is known.
    pub(super) fn sweep(&mut self) {
        let Some(seat) = self.seat else { return };
        let own = self.shared.with_key(OWN_KEY, self.identity.stream);
        for (index, slot) in self
            .slots
            .iter_mut()
            .enumerate()
            .filter(|(_, slot)| **slot == Slot::Spent)
        {
            own.set(&slot_name(seat, index), &[]);
            *slot = Slot::Empty;
        }
    }

    /// Leaves the seat: nothing of this stream is to be taken over.
    pub(super) fn close(&mut self) {
        self.spend_all();
        let estate = self.estate();
        self.seat = None;
        self.leave(&estate);
    }

    fn leave(
        &self,
        Estate {
            stream, key, seat, ..
        }: &Estate,
    ) {
        let Some(seat) = *seat else { return };
        self.of(*key, *stream).set(&note_name(seat), &[]);
        Registry(&self.list(*key)).update(seat, self.identity.vm, *stream, |entry| {
            *entry = Entry::default()
        });
    }

    fn spend_all(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| **slot == Slot::Full) {
            *slot = Slot::Spent;
        }
        self.sweep();
    }

    /// Shows that this VM lives: by its own seat, and by those that it has taken over.
    pub(super) fn beat<'e>(&self, estates: impl Iterator<Item = &'e Estate>, has_ended: bool) {
        let own = self.seat.map(|seat| (OWN_KEY, seat));
        let seats: Vec<(usize, usize)> = estates
            .filter_map(|estate| Some((estate.key, estate.seat?)))
            .chain(own)
            .collect();
        for key in 0..self.shared.keys() {
            let of_key: Vec<usize> = seats
                .iter()
                .filter(|(of, _)| *of == key)
                .map(|(_, seat)| *seat)
                .collect();
            if !of_key.is_empty() {
                Registry(&self.list(key)).update_all(self.identity.vm, &of_key, |entry| {
                    entry.beat = entry.beat.wrapping_add(1);
                    entry.has_ended = has_ended;
                });
            }
        }
    }

    /// Whether the seat is no longer this stream's.
    pub(super) fn has_lost_seat(&self, listings: &[Listing]) -> bool {
        !self.holds(listings, &self.estate())
    }

    /// Whether the list of the own seat was.
    pub(super) fn is_own_void(&self, listings: &[Listing]) -> bool {
        self.is_void(listings, &self.estate())
    }

    /// The lists were looked at, and what is void has been dealt with.
    pub(super) fn note_epochs(&mut self, listings: &[Listing]) {
        self.epochs = listings.iter().map(|listing| listing.epoch).collect();
    }

    /// Gives up a seat that is no longer this stream's. The next one is of the stream `next`.
    pub(super) fn leave_void(&mut self, next: Uuid) {
        self.identity.stream = next;
        self.seat = None;
        self.slots.clear();
        self.note = Note::default();
    }

    fn empty_slots(&self, key: usize, seat: usize) {
        let keyed = self.of(key, Uuid::nil());
        for slot in 0.. {
            let name = slot_name(seat, slot);
            let Some(is_empty) = keyed.is_empty(&name) else {
                break;
            };
            if !is_empty {
                keyed.set(&name, &[]);
            }
        }
    }

    /// What the stream leaves to a successor in the same VM.
    pub(super) fn estate(&self) -> Estate {
        Estate {
            stream: self.identity.stream,
            note: self.note,
            key: OWN_KEY,
            seat: self.seat,
            next_slot: 0,
            damage: Damage::default(),
        }
    }

    /// The successor has copies of all batches, and the seat.
    pub(super) fn retire(&mut self) {
        self.spend_all();
        self.seat = None;
        self.is_retired = true;
    }

    /// The seat, which is taken when it is first needed.
    fn sit(&mut self) -> Option<usize> {
        if self.seat.is_none() && !self.is_retired {
            self.seat = self.take_seat(self.identity.stream);
        }
        self.seat
    }

    /// Takes a seat for a stream, and empties what an earlier owner has left there.
    fn take_seat(&self, stream: Uuid) -> Option<usize> {
        let Identity {
            vm, kin, plugin, ..
        } = self.identity;
        let entry = Entry {
            vm,
            stream,
            kin,
            plugin,
            beat: 0,
            has_ended: false,
        };
        let seat = Registry(&self.list(OWN_KEY)).take_seat(entry)?;
        self.empty_slots(OWN_KEY, seat);
        Some(seat)
    }

    /// What this stream writes.
    fn own(&self) -> Keyed<'_> {
        self.of(OWN_KEY, self.identity.stream)
    }

    fn of(&self, key: usize, owner: Uuid) -> Keyed<'_> {
        self.shared.with_key(key, owner)
    }

    /// Where the list of seats is, which has no owner.
    fn list(&self, key: usize) -> Keyed<'_> {
        self.of(key, Uuid::nil())
    }
}

fn note_name(seat: usize) -> String {
    format!("seat.{seat}")
}

fn slot_name(seat: usize, slot: usize) -> String {
    format!("seat.{seat}.{slot}")
}
