//! What other streams have left, in whose name this one goes on writing: those of VMs that are gone, and predecessors.

use uuid::Uuid;

use super::authenticated::Refused;
use super::codec::{self, Note, Saved};
use super::registry::{Entry, Listing, Registry};
use super::{Identity, Journal, OWN_KEY, note_name, slot_name};
use crate::host::SharedData;
use crate::pipeline::batch::Batch;

/// What another stream has left.
#[derive(Debug)]
pub(in crate::pipeline) struct Estate {
    pub(in crate::pipeline) stream: Uuid,
    pub(in crate::pipeline) note: Note,
    /// Place of the key with which it was written.
    pub(super) key: usize,
    /// `None`: the stream had none.
    pub(super) seat: Option<usize>,
    pub(super) next_slot: usize,
    /// What was refused.
    pub(in crate::pipeline) damage: Damage,
}

/// What of an estate was forged or damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Damage {
    pub(in crate::pipeline) note: bool,
    /// Some batch.
    pub(in crate::pipeline) batches: bool,
}

/// A seat of another stream as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Seat {
    /// Place of the key with which its list is written.
    pub(super) key: usize,
    pub(in crate::pipeline) number: usize,
    pub(in crate::pipeline) entry: Entry,
}

impl Journal {
    /// Takes over what a crashed VM's streams of the same kin have left, if no other stream has.
    pub(in crate::pipeline) fn claim(&self, crashed: Uuid) -> Vec<Estate> {
        let mut estates = Vec::new();
        for key in 0..self.shared.keys() {
            for (number, entry) in Registry(&self.list(key)).claim(crashed, &self.identity) {
                estates.push(self.left_in(Seat { key, number, entry }));
            }
        }
        estates
    }

    /// Takes over what the streams of the same plugin have left in a VM, if a seat of it is still as it was seen.
    pub(in crate::pipeline) fn claim_seen(&self, seen: Seat) -> Vec<Estate> {
        let Seat { key, number, entry } = seen;
        let claimed = Registry(&self.list(key)).claim_seen(number, &entry, &self.identity);
        claimed
            .into_iter()
            .map(|(number, entry)| self.left_in(Seat { key, number, entry }))
            .collect()
    }

    fn left_in(&self, Seat { key, number, entry }: Seat) -> Estate {
        let found = self
            .of(key, entry.stream)
            .read(&note_name(number))
            .map(|(note, _)| note);
        let damage = Damage {
            note: matches!(found, Some(Err(Refused))),
            batches: false,
        };
        let note = found
            .and_then(Result::ok)
            .and_then(|note| codec::read_note(&note))
            .unwrap_or_default();
        Estate {
            stream: entry.stream,
            note,
            key,
            seat: Some(number),
            next_slot: 0,
            damage,
        }
    }

    /// All seats of the process, one list for each key.
    pub(in crate::pipeline) fn listings(&self) -> Vec<Listing> {
        self.shared.keep_process_key();
        (0..self.shared.keys())
            .map(|key| Registry(&self.list(key)).look())
            .collect()
    }

    /// The seats that this stream may take over when their VM is gone: of the same plugin, in another VM.
    pub(in crate::pipeline) fn seats_of_others(&self, listings: Vec<Listing>) -> Vec<Seat> {
        let can_claim = |Seat { entry, .. }: &Seat| {
            entry.plugin == self.identity.plugin
                && entry.vm != self.identity.vm
                && !entry.vm.is_nil()
        };
        let mut seats = Vec::new();
        for (key, listing) in listings.into_iter().enumerate() {
            for (number, entry) in listing.entries.into_iter().enumerate() {
                seats.extend(Some(Seat { key, number, entry }).filter(can_claim));
            }
        }
        seats
    }

    /// The VMs in which streams with records live, this one apart.
    pub(in crate::pipeline) fn other_vms(&self) -> Vec<Uuid> {
        let mut vms: Vec<Uuid> = Vec::new();
        for listing in self.listings() {
            listing.add_other_vms(self.identity.vm, &mut vms);
        }
        vms
    }

    /// Whether what a stream has left is still this VM's.
    pub(in crate::pipeline) fn holds(
        &self,
        listings: &[Listing],
        Estate {
            stream, key, seat, ..
        }: &Estate,
    ) -> bool {
        let is_own = |entry: &Entry| entry.is_of(self.identity.vm, *stream);
        let listed = |seat: usize| listings.get(*key)?.entries.get(seat);
        seat.is_none_or(|seat| listed(seat).is_some_and(is_own))
    }

    /// Whether the list of an estate was damaged since it was looked at last. If not, a seat that is lost is another VM's.
    pub(in crate::pipeline) fn is_void(&self, listings: &[Listing], estate: &Estate) -> bool {
        let epochs = listings.get(estate.key).zip(self.epochs.get(estate.key));
        epochs.is_some_and(|(listing, epoch)| listing.epoch != *epoch)
    }

    /// The next batch of an estate, with its place; `None`: that was all.
    pub(in crate::pipeline) fn next_saved(&self, estate: &mut Estate) -> Option<Saved> {
        loop {
            let of = self.of(estate.key, estate.stream);
            let (found, _) = of.read(&slot_name(estate.seat?, estate.next_slot))?;
            match found.map(|bytes| codec::read_batch(&bytes)) {
                Ok(Some(saved)) => return Some(saved),
                Ok(None) => {}
                Err(Refused) => estate.damage.batches = true,
            }
            estate.next_slot += 1;
        }
    }

    /// The batch that [`Self::next_saved`] has yielded is this stream's now.
    pub(in crate::pipeline) fn take_over(&mut self, estate: &mut Estate, batch: &mut Batch) {
        self.keep(batch);
        if let Some(seat) = estate.seat {
            self.of(estate.key, estate.stream)
                .set(&slot_name(seat, estate.next_slot), &[]);
        }
        estate.next_slot += 1;
    }

    /// What was known of another stream has changed.
    pub(in crate::pipeline) fn rewrite(
        &self,
        Estate {
            stream, key, seat, ..
        }: &Estate,
        note: Note,
    ) {
        if let Some(seat) = seat {
            self.of(*key, *stream)
                .put(&note_name(*seat), codec::write_note(&note));
        }
    }

    /// Nothing of an estate is left, or nothing more is to be had of it.
    pub(in crate::pipeline) fn settle(&self, estate: &Estate) {
        if let Some(seat) = estate.seat {
            self.empty_slots(estate.key, seat);
            self.leave(estate);
        }
    }

    /// A seat that was handed over is of this stream's kin from now on: a stream that takes over from this one settles it.
    pub(in crate::pipeline) fn adopt(
        &self,
        Estate {
            stream, key, seat, ..
        }: &Estate,
    ) {
        if let Some(seat) = seat {
            let Identity { vm, kin, .. } = self.identity;
            let adopt = |entry: &mut Entry| (entry.kin, entry.has_ended) = (kin, false);
            Registry(&self.list(*key)).update(*seat, vm, *stream, adopt);
        }
    }

    /// Takes a seat for an estate whose list was damaged.
    pub(in crate::pipeline) fn seat_anew(&self, estate: &mut Estate) {
        let seat = self.take_seat(estate.stream);
        (estate.key, estate.seat, estate.next_slot) = (OWN_KEY, seat, 0);
    }
}
