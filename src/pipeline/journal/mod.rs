//! What survives a crash of the VM: a copy of every sealed batch in the host's shared data until its end is known, and a
//! note of the numbers that are in no batch. One write for a batch, none for a record.
//!
//! A stream that has a record takes a seat, which names its keys, and leaves it when everything is delivered. The keys of
//! a seat are used again: the host can forget values, but not keys.

mod codec;
mod registry;

use std::rc::Rc;

use uuid::Uuid;

use super::batch::Batch;
use crate::host::SharedData;
use crate::stats::Gauges;
pub(super) use codec::{Saved, SavedRecord};
pub use registry::other_vms;
use registry::{Entry, Registry};

/// Numbers that a stream may give out between two notes. The next note is written when they are used up, so that a crash
/// leaves no number beyond the last note unexplained.
pub const LEASE: u64 = 100;

/// What is known of a stream at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The lowest number that is in no batch, and not told as lost either.
    pub(super) oldest: u64,
    /// No number from this one on was given out.
    pub(super) lease_end: u64,
    /// The stream's share of the process-wide gauges.
    pub(super) gauges: Gauges,
}

/// Who a stream is, to those who may take over from it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The VM that it lives in.
    pub vm: Uuid,
    /// The stream itself.
    pub stream: Uuid,
    /// Equal for streams that send the same to the same place.
    pub kin: u64,
}

/// The journal of one stream.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Rc<dyn SharedData>,
    identity: Identity,
    seat: Option<usize>,
    slots: Vec<Slot>,
    note: Note,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Empty,
    /// Holds a batch.
    Full,
    /// Holds a batch whose end is known.
    Spent,
}

/// What a crashed stream has left.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) stream: Uuid,
    pub(super) note: Note,
    seat: usize,
    next_slot: usize,
}

impl Journal {
    pub(super) fn new(shared: Rc<dyn SharedData>, identity: Identity) -> Self {
        Self { shared, identity, seat: None, slots: Vec::new(), note: Note::default() }
    }

    /// Numbers from this one on need a new note.
    pub(super) fn lease_end(&self) -> u64 {
        self.note.lease_end
    }

    /// The gauges as they were last told to the host.
    pub(super) fn told_gauges(&self) -> Gauges {
        self.note.gauges
    }

    /// Writes a note, unless it says what the last one said.
    pub(super) fn write(&mut self, note: Note) {
        if note == self.note {
            return;
        }
        self.note = note;
        if let Some(seat) = self.sit() {
            self.shared.set(&note_key(seat), &codec::write_note(&note));
        }
    }

    /// Keeps a copy of a batch until [`Self::forget`].
    pub(super) fn keep(&mut self, batch: &mut Batch) {
        let Some(seat) = self.sit() else { return };
        let index = self.slots.iter().position(|slot| *slot != Slot::Full).unwrap_or(self.slots.len());
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Slot::Full,
            None => self.slots.push(Slot::Full),
        }
        self.shared.set(&slot_key(seat, index), &codec::write_batch(batch));
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
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| **slot == Slot::Spent) {
            self.shared.set(&slot_key(seat, index), &[]);
            *slot = Slot::Empty;
        }
    }

    /// Leaves the seat: nothing of this stream is to be taken over.
    pub(super) fn close(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| **slot == Slot::Full) {
            *slot = Slot::Spent;
        }
        self.sweep();
        if let Some(seat) = self.seat.take() {
            self.shared.set(&note_key(seat), &[]);
            self.registry().leave_seat(seat);
        }
    }

    /// Takes over what a crashed VM's streams of the same kin have left, if nobody else has.
    pub(super) fn claim(&self, crashed: Uuid) -> Vec<Estate> {
        let note = |seat| self.shared.get(&note_key(seat)).and_then(|(note, _)| codec::read_note(&note));
        let estate =
            |(seat, stream): (usize, Uuid)| Estate { stream, note: note(seat).unwrap_or_default(), seat, next_slot: 0 };
        self.registry().claim(crashed, &self.identity).into_iter().map(estate).collect()
    }

    /// The next batch of an estate, with its place; `None`: that was all.
    pub(super) fn next_saved(&self, estate: &mut Estate) -> Option<Saved> {
        loop {
            let (bytes, _) = self.shared.get(&slot_key(estate.seat, estate.next_slot))?;
            if let Some(saved) = codec::read_batch(&bytes) {
                return Some(saved);
            }
            estate.next_slot += 1;
        }
    }

    /// The batch that [`Self::next_saved`] has yielded is this stream's now.
    pub(super) fn take_over(&mut self, estate: &mut Estate, batch: &mut Batch) {
        self.keep(batch);
        self.shared.set(&slot_key(estate.seat, estate.next_slot), &[]);
        estate.next_slot += 1;
    }

    /// What was known of a crashed stream has changed.
    pub(super) fn rewrite(&self, estate: &Estate, note: Note) {
        self.shared.set(&note_key(estate.seat), &codec::write_note(&note));
    }

    /// Nothing of an estate is left, or nothing more is to be had of it.
    pub(super) fn settle(&self, estate: &Estate) {
        let slots =
            (0..).map(|slot| slot_key(estate.seat, slot)).map_while(|key| Some((self.shared.get(&key)?.0, key)));
        for (_, key) in slots.filter(|(left, _)| !left.is_empty()) {
            self.shared.set(&key, &[]);
        }
        self.shared.set(&note_key(estate.seat), &[]);
        self.registry().leave_seat(estate.seat);
    }

    /// The seat, which is taken when it is first needed.
    fn sit(&mut self) -> Option<usize> {
        if self.seat.is_none() {
            let Identity { vm, stream, kin } = self.identity;
            self.seat = self.registry().take_seat(Entry { vm, stream, kin });
        }
        self.seat
    }

    fn registry(&self) -> Registry<'_> {
        Registry(&*self.shared)
    }
}

fn note_key(seat: usize) -> String {
    format!("audit_filter.seat.{seat}")
}

fn slot_key(seat: usize, slot: usize) -> String {
    format!("audit_filter.seat.{seat}.{slot}")
}
