//! What survives a crash of the VM: a copy of every sealed batch in the host's shared data until its end is known, and a
//! note of the numbers that are in no batch. One write for a batch, none for a record.
//!
//! A stream that has a record takes a seat, which names its keys, and leaves it when everything is delivered. The keys of
//! a seat are used again: the host can forget values, but not keys.

mod authenticated;
mod codec;
mod identity;
mod registry;

use std::rc::Rc;

use uuid::Uuid;

use super::batch::Batch;
use crate::host::SharedData;
use crate::stats::Gauges;
use authenticated::name;
pub use authenticated::{Authenticated, Key};
pub(super) use codec::{Note, Saved, SavedRecord};
pub use identity::Identity;
use registry::Registry;
pub(super) use registry::{Entry, Listing};

/// Numbers that a stream may give out between two notes. The next note is written when they are used up, so that a crash
/// leaves no number beyond the last note unexplained.
pub const LEASE: u64 = 100;

/// The journal of one stream.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Rc<Authenticated>,
    identity: Identity,
    seat: Option<usize>,
    /// Of the list of seats, when the seat was taken.
    epoch: u64,
    slots: Vec<Slot>,
    note: Note,
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

/// What another stream has left.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) stream: Uuid,
    pub(super) note: Note,
    /// `None`: the stream had none.
    seat: Option<usize>,
    next_slot: usize,
}

impl Journal {
    pub(super) fn new(shared: Rc<Authenticated>, identity: Identity) -> Self {
        Self { shared, identity, seat: None, epoch: 0, slots: Vec::new(), note: Note::default(), is_retired: false }
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

    /// Writes a note, unless it says what the last one said.
    pub(super) fn write(&mut self, note: Note) {
        if note == self.note {
            return;
        }
        self.note = note;
        if let Some(seat) = self.sit() {
            self.shared.put(&note_key(seat), codec::write_note(&note));
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
        self.shared.put(&slot_key(seat, index), codec::write_batch(batch));
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
        self.spend_all();
        if let Some(seat) = self.seat.take() {
            self.leave(seat, self.identity.stream);
        }
    }

    fn leave(&self, seat: usize, stream: Uuid) {
        self.shared.set(&note_key(seat), &[]);
        self.registry().update(seat, self.identity.vm, stream, |entry| *entry = Entry::default());
    }

    fn spend_all(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| **slot == Slot::Full) {
            *slot = Slot::Spent;
        }
        self.sweep();
    }

    /// Takes over what a crashed VM's streams of the same kin have left, if no other stream has.
    pub(super) fn claim(&self, crashed: Uuid) -> Vec<Estate> {
        let claimed = self.registry().claim(crashed, &self.identity);
        claimed.into_iter().map(|(seat, entry)| self.left_in(seat, &entry)).collect()
    }

    /// Takes over what the streams of the same plugin have left in a VM, if a seat of it is still as it was seen.
    pub(super) fn claim_seen(&self, seat: usize, seen: &Entry) -> Vec<Estate> {
        let claimed = self.registry().claim_seen(seat, seen, &self.identity);
        claimed.into_iter().map(|(seat, entry)| self.left_in(seat, &entry)).collect()
    }

    fn left_in(&self, seat: usize, entry: &Entry) -> Estate {
        let note = self.shared.get(&note_key(seat)).and_then(|(note, _)| codec::read_note(&note));
        Estate { stream: entry.stream, note: note.unwrap_or_default(), seat: Some(seat), next_slot: 0 }
    }

    /// All seats of the process.
    pub(super) fn listing(&self) -> Listing {
        self.registry().look()
    }

    /// Whether the seat can be taken over by this stream: of the same plugin, in another VM.
    pub(super) fn can_claim(&self, entry: &Entry) -> bool {
        entry.plugin == self.identity.plugin && entry.vm != self.identity.vm && !entry.vm.is_nil()
    }

    /// The VMs in which streams with records live, this one apart.
    pub(super) fn other_vms(&self) -> Vec<Uuid> {
        self.listing().other_vms(self.identity.vm)
    }

    /// Shows that this VM lives: by its own seat, and by those that it has taken over.
    pub(super) fn beat<'e>(&self, estates: impl Iterator<Item = &'e Estate>, has_ended: bool) {
        let seats: Vec<usize> = estates.filter_map(|estate| estate.seat).chain(self.seat).collect();
        if !seats.is_empty() {
            self.registry().update_all(self.identity.vm, &seats, |entry| {
                entry.beat = entry.beat.wrapping_add(1);
                entry.has_ended = has_ended;
            });
        }
    }

    /// Whether the seat is no longer this stream's.
    pub(super) fn has_lost_seat(&self, listing: &Listing) -> bool {
        !self.holds(listing, &self.estate())
    }

    /// Whether what a stream has left is still this VM's.
    pub(super) fn holds(&self, listing: &Listing, estate: &Estate) -> bool {
        let is_own = |entry: &Entry| entry.is_of(self.identity.vm, estate.stream);
        estate.seat.is_none_or(|seat| !self.is_void(listing) && listing.entries.get(seat).is_some_and(is_own))
    }

    /// Whether the list was damaged since the seat was taken. If not, a seat that is lost is another VM's.
    pub(super) fn is_void(&self, listing: &Listing) -> bool {
        self.seat.is_some() && listing.epoch != self.epoch
    }

    /// Gives up a seat that is no longer this stream's. The next one is of the stream `next`.
    pub(super) fn leave_void(&mut self, next: Uuid) {
        self.identity.stream = next;
        self.seat = None;
        self.slots.clear();
        self.note = Note::default();
    }

    /// The next batch of an estate, with its place; `None`: that was all.
    pub(super) fn next_saved(&self, estate: &mut Estate) -> Option<Saved> {
        loop {
            let (bytes, _) = self.shared.get(&slot_key(estate.seat?, estate.next_slot))?;
            if let Some(saved) = codec::read_batch(&bytes) {
                return Some(saved);
            }
            estate.next_slot += 1;
        }
    }

    /// The batch that [`Self::next_saved`] has yielded is this stream's now.
    pub(super) fn take_over(&mut self, estate: &mut Estate, batch: &mut Batch) {
        self.keep(batch);
        if let Some(seat) = estate.seat {
            self.shared.set(&slot_key(seat, estate.next_slot), &[]);
        }
        estate.next_slot += 1;
    }

    /// What was known of another stream has changed.
    pub(super) fn rewrite(&self, estate: &Estate, note: Note) {
        if let Some(seat) = estate.seat {
            self.shared.put(&note_key(seat), codec::write_note(&note));
        }
    }

    /// Nothing of an estate is left, or nothing more is to be had of it.
    pub(super) fn settle(&self, estate: &Estate) {
        let Some(seat) = estate.seat else { return };
        let slots = (0..).map(|slot| slot_key(seat, slot)).map_while(|key| Some((self.shared.get(&key)?.0, key)));
        for (_, key) in slots.filter(|(left, _)| !left.is_empty()) {
            self.shared.set(&key, &[]);
        }
        self.leave(seat, estate.stream);
    }

    /// What the stream leaves to a successor in the same VM.
    pub(super) fn estate(&self) -> Estate {
        Estate { stream: self.identity.stream, note: self.note, seat: self.seat, next_slot: 0 }
    }

    /// The successor has copies of all batches, and the seat.
    pub(super) fn retire(&mut self) {
        self.spend_all();
        self.seat = None;
        self.is_retired = true;
    }

    /// A seat that was handed over is of this stream's kin from now on: a stream that takes over from this one settles it.
    pub(super) fn adopt(&self, estate: &Estate) {
        if let Some(seat) = estate.seat {
            let Identity { vm, kin, .. } = self.identity;
            self.registry().update(seat, vm, estate.stream, |entry| (entry.kin, entry.has_ended) = (kin, false));
        }
    }

    /// The seat, which is taken when it is first needed.
    fn sit(&mut self) -> Option<usize> {
        if self.seat.is_none() && !self.is_retired {
            let Identity { vm, stream, kin, plugin } = self.identity;
            let entry = Entry { vm, stream, kin, plugin, beat: 0, has_ended: false };
            if let Some((seat, epoch)) = self.registry().take_seat(entry) {
                (self.seat, self.epoch) = (Some(seat), epoch);
            }
        }
        self.seat
    }

    fn registry(&self) -> Registry<'_> {
        Registry(&*self.shared)
    }
}

fn note_key(seat: usize) -> String {
    format!(concat!(name!("seat"), ".{}"), seat)
}

fn slot_key(seat: usize, slot: usize) -> String {
    format!(concat!(name!("seat"), ".{}.{}"), seat, slot)
}
