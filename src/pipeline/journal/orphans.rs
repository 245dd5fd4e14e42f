//! Streams left by other VMs and by predecessors, for which this stream writes the journal from now
//! on.

use uuid::Uuid;

use super::authenticated::Refused;
use super::codec::{self, Checkpoint, Saved};
use super::directory::{Directory, Entry, Listing};
use super::{Journal, OWN_KEY, StreamOwner, cell_name, checkpoint_name};
use crate::host::SharedData;
use crate::pipeline::batch::Batch;

/// A stream without an owner, and its part of the journal.
#[derive(Debug)]
pub(in crate::pipeline) struct Orphan {
    pub(in crate::pipeline) stream: Uuid,
    pub(in crate::pipeline) checkpoint: Checkpoint,
    /// Index of the key with which it was written.
    pub(super) key: usize,
    /// `None`: the stream had no slot.
    pub(super) slot: Option<usize>,
    pub(super) next_cell: usize,
    /// Entries that were refused.
    pub(in crate::pipeline) damage: Damage,
}

/// Which entries of an orphan are forged or damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Damage {
    pub(in crate::pipeline) checkpoint: bool,
    /// At least one batch.
    pub(in crate::pipeline) batches: bool,
}

/// A slot of another stream as last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Slot {
    /// Index of the key of its directory.
    pub(super) key: usize,
    pub(in crate::pipeline) index: usize,
    pub(in crate::pipeline) entry: Entry,
}

impl Journal {
    /// Claims the slots of a crashed VM with the same destination, unless another stream has.
    pub(in crate::pipeline) fn claim(&self, crashed: Uuid) -> Vec<Orphan> {
        let mut orphans = Vec::new();
        for key in 0..self.shared.keys() {
            for (index, entry) in Directory(&self.unowned(key)).claim(crashed, &self.owner) {
                orphans.push(self.orphan_in(Slot { key, index, entry }));
            }
        }
        orphans
    }

    /// Claims the slots of the same plugin in a VM, if this one is unchanged since it was seen.
    pub(in crate::pipeline) fn claim_seen(&self, seen: Slot) -> Vec<Orphan> {
        let Slot { key, index, entry } = seen;
        let claimed = Directory(&self.unowned(key)).claim_seen(index, &entry, &self.owner);
        claimed
            .into_iter()
            .map(|(index, entry)| self.orphan_in(Slot { key, index, entry }))
            .collect()
    }

    fn orphan_in(&self, Slot { key, index, entry }: Slot) -> Orphan {
        let found = self
            .of(key, entry.stream)
            .read(&checkpoint_name(index))
            .map(|(checkpoint, _)| checkpoint);
        let damage = Damage {
            checkpoint: matches!(found, Some(Err(Refused))),
            batches: false,
        };
        let checkpoint = found
            .and_then(Result::ok)
            .and_then(|checkpoint| codec::read_checkpoint(&checkpoint))
            .unwrap_or_default();

        Orphan {
            stream: entry.stream,
            checkpoint,
            key,
            slot: Some(index),
            next_cell: 0,
            damage,
        }
    }

    /// All slots of the process, one listing for each key.
    pub(in crate::pipeline) fn listings(&self) -> Vec<Listing> {
        self.shared.restore_process_key();
        (0..self.shared.keys())
            .map(|key| Directory(&self.unowned(key)).scan())
            .collect()
    }

    /// The slots that this stream may claim when their VM is gone: of the same plugin, in another
    /// VM.
    pub(in crate::pipeline) fn slots_of_others(&self, listings: Vec<Listing>) -> Vec<Slot> {
        let can_claim = |Slot { entry, .. }: &Slot| {
            entry.plugin == self.owner.plugin && entry.vm != self.owner.vm && !entry.vm.is_nil()
        };
        let mut slots = Vec::new();
        for (key, listing) in listings.into_iter().enumerate() {
            for (index, entry) in listing.entries.into_iter().enumerate() {
                slots.extend(Some(Slot { key, index, entry }).filter(can_claim));
            }
        }

        slots
    }

    /// The other VMs with streams that have records.
    pub(in crate::pipeline) fn other_vms(&self) -> Vec<Uuid> {
        let mut vms: Vec<Uuid> = Vec::new();
        for listing in self.listings() {
            listing.add_other_vms(self.owner.vm, &mut vms);
        }
        vms
    }

    /// Whether an orphan's slot still belongs to this VM.
    pub(in crate::pipeline) fn holds(
        &self,
        listings: &[Listing],
        Orphan {
            stream, key, slot, ..
        }: &Orphan,
    ) -> bool {
        let is_own = |entry: &Entry| entry.is_of(self.owner.vm, *stream);
        let listed = |slot: usize| listings.get(*key)?.entries.get(slot);
        slot.is_none_or(|slot| listed(slot).is_some_and(is_own))
    }

    /// Whether the orphan's directory was damaged since the last scan. If not, a lost slot was
    /// claimed by another VM.
    pub(in crate::pipeline) fn is_void(&self, listings: &[Listing], orphan: &Orphan) -> bool {
        let epochs = listings.get(orphan.key).zip(self.epochs.get(orphan.key));
        epochs.is_some_and(|(listing, epoch)| listing.epoch != *epoch)
    }

    /// The next batch of an orphan, in the cell `next_cell`; `None`: there are no more.
    pub(in crate::pipeline) fn next_saved(&self, orphan: &mut Orphan) -> Option<Saved> {
        loop {
            let of = self.of(orphan.key, orphan.stream);
            let (found, _) = of.read(&cell_name(orphan.slot?, orphan.next_cell))?;
            match found.map(|bytes| codec::read_batch(&bytes)) {
                Ok(Some(saved)) => return Some(saved),
                Ok(None) => {}
                Err(Refused) => orphan.damage.batches = true,
            }

            orphan.next_cell += 1;
        }
    }

    /// Copies the batch that [`Self::next_saved`] has yielded to a cell of this stream, then
    /// empties the orphan's cell.
    pub(in crate::pipeline) fn take_over(&mut self, orphan: &mut Orphan, batch: &mut Batch) {
        self.keep(batch);
        if let Some(slot) = orphan.slot {
            self.of(orphan.key, orphan.stream)
                .set(&cell_name(slot, orphan.next_cell), &[]);
        }
        orphan.next_cell += 1;
    }

    /// Writes the checkpoint of an orphan.
    pub(in crate::pipeline) fn rewrite(
        &self,
        Orphan {
            stream, key, slot, ..
        }: &Orphan,
        checkpoint: Checkpoint,
    ) {
        if let Some(slot) = slot {
            let mut value = codec::write_checkpoint(&checkpoint);
            self.of(*key, *stream)
                .put(&checkpoint_name(*slot), &mut value);
        }
    }

    /// Empties the cells of an orphan, and releases its slot.
    pub(in crate::pipeline) fn settle(&self, orphan: &Orphan) {
        if let Some(slot) = orphan.slot {
            self.empty_cells(orphan.key, slot);
            self.release(orphan);
        }
    }

    /// Gives a handed-over slot this stream's destination, so that a successor of this stream
    /// claims it too.
    pub(in crate::pipeline) fn adopt(
        &self,
        Orphan {
            stream, key, slot, ..
        }: &Orphan,
    ) {
        if let Some(slot) = slot {
            let StreamOwner {
                vm, destination, ..
            } = self.owner;
            let adopt =
                |entry: &mut Entry| (entry.destination, entry.has_ended) = (destination, false);
            Directory(&self.unowned(*key)).update(*slot, vm, *stream, adopt);
        }
    }

    /// Acquires another slot for an orphan after its directory was damaged.
    pub(in crate::pipeline) fn reacquire(&self, orphan: &mut Orphan) {
        let slot = self.acquire_for(orphan.stream);
        (orphan.key, orphan.slot, orphan.next_cell) = (OWN_KEY, slot, 0);
    }
}
