//! The journal: what a VM writes to Envoy's shared data so that another one can go on after a
//! crash. One write for a batch, none for a record. Shared data lives in the Envoy process: it
//! survives a VM, not the process.
//!
//! # Keys
//!
//! Names begin with `audit_filter.2.`. All but `keys` continue with a mark of the authentication
//! key and a dot. Numbers are little-endian. A value that is not empty ends in a tag of 16 bytes,
//! except that of `keys`.
//!
//! | name | value | written by, when |
//! |---|---|---|
//! | `keys` | per process key: 32 bytes, checksum 8 | a VM without environment keys, if its own is missing |
//! | `directory` | epoch u64; per slot 56 bytes, see below | any VM, by compare and swap |
//! | `slot.N` | checkpoint: 8 u64, see `Checkpoint` | owner, see below |
//! | `slot.N.M` | cell: one sealed batch | owner, when it seals the batch |
//!
//! - `directory`, per slot: VM 16 bytes, stream 16, destination u64, plugin u64, heartbeat u32,
//!   ended u32. Changed to acquire, claim, adopt or release a slot, and by the heartbeat: every 5
//!   s, or every tick while draining.
//! - `slot.N`: written when a number reaches its `reserved_until`, which is every
//!   [`NUMBERS_PER_CHECKPOINT`] numbers, or every number while draining; after a batch was rejected
//!   or dropped; and after each publication of the statistics, if it has changed.
//! - `slot.N.M`: batch id 16 bytes, stream 16, next u64, oldest u64, returns u64, lane u64, count
//!   u64; per record number, lane, start, end, content, loss count, first, last (u64 each); then
//!   the body.
//!
//! # Life of a slot
//!
//! 1. Free: the entry is all zeros. Shared data forgets values but not names, so slots are reused.
//! 2. Owned: acquired for the first checkpoint or batch, with the cells of an earlier owner
//!    emptied. A cell is full from seal to the end of the batch, then spent, which shared data does
//!    not show. A later batch overwrites it, or `Journal::sweep` empties it at the next
//!    publication.
//! 3. Claimed by a VM that takes over, or handed over within the VM: an `Orphan`. The entry keeps
//!    the stream, since tags cover it. Each batch is copied to the new owner's slot before its cell
//!    is emptied.
//! 4. Released: cells and checkpoint are emptied, then the entry.
//! 5. Void: the directory was damaged, and its epoch has changed. The owner acquires another slot,
//!    and writes its batches and its checkpoint again.
//!
//! # A crash at each point
//!
//! Twice means under the same batch id and record ids, unless noted otherwise.
//!
//! | the VM crashes after | lost | delivered twice |
//! |---|---|---|
//! | a number was given out, before the seal | the record | - |
//! | the seal, before the callout | - | - |
//! | the callout, before its answer | - | if the audit cluster had accepted it |
//! | the acknowledgement, while the cell is spent | - | the batch |
//! | the sweep, before the checkpoint | - | - |
//! | a batch was split, while its cell is spent | - | its records, under other batch ids |
//! | a loss was counted, before its report is sealed | - | - |
//! | a copy to the new slot, before the old cell is emptied | - | the batch |
//!
//! A loss record with reason `vm_crash` covers lost records and losses without a report: see
//! `takeover.rs`. After a sweep without a checkpoint it may cover acknowledged records too. A VM that
//! was only slow when it was taken over sends its records again, under the same ids. A kill of the
//! process loses all unacknowledged records: numbers or the stream's end are missing then.

mod authenticated;
mod cell;
mod codec;
mod directory;
mod orphans;
mod owner;
pub(super) mod tag;

use std::rc::Rc;

use uuid::Uuid;

use super::batch::Batch;
use crate::host::SharedData;
use crate::stats::Gauges;
use crate::wire::Origin;
pub use authenticated::Authenticated;
use authenticated::Keyed;
use cell::BatchCell;
pub(super) use codec::{Checkpoint, Saved, SavedRecord};
use directory::Directory;
pub(super) use directory::{Entry, Listing};
pub(super) use orphans::{Damage, Orphan, Slot};
pub use owner::StreamOwner;
pub use tag::Key;

/// Numbers that a stream may give out between two checkpoints. The next checkpoint is written when
/// they are used up, so a crash leaves no number beyond the last one.
pub const NUMBERS_PER_CHECKPOINT: u64 = 100;

/// The journal of one stream.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Rc<Authenticated>,
    owner: StreamOwner,
    slot: Option<usize>,
    /// The epoch of each directory at the last scan.
    epochs: Vec<u64>,
    cells: Vec<BatchCell>,
    checkpoint: Checkpoint,
    returns: u64,
    /// The slot was handed over, and no other is needed.
    is_retired: bool,
}

/// Index of the key that this VM writes with.
const OWN_KEY: usize = 0;

impl Journal {
    pub(super) fn new(shared: Rc<Authenticated>, owner: StreamOwner) -> Self {
        Self {
            shared,
            owner,
            slot: None,
            epochs: Vec::new(),
            cells: Vec::new(),
            checkpoint: Checkpoint::default(),
            returns: 0,
            is_retired: false,
        }
    }

    /// How many entries were refused since the last call.
    pub(super) fn take_refused(&self) -> u64 {
        self.shared.take_refused()
    }

    /// Numbers from this one on need a new checkpoint.
    pub(super) fn reserved_until(&self) -> u64 {
        self.checkpoint.reserved_until
    }

    /// The gauges as last published to the host.
    pub(super) fn published_gauges(&self) -> Gauges {
        self.checkpoint.gauges
    }

    /// How often numbers of a batch have become losses that are to be reported.
    pub(super) fn returns(&self) -> u64 {
        self.returns
    }

    /// Numbers of a batch have become losses to report. A checkpoint must follow.
    pub(super) fn count_return(&mut self) {
        self.returns += 1;
    }

    /// Writes a checkpoint that differs from the last one.
    pub(super) fn write(&mut self, checkpoint: Checkpoint) {
        if checkpoint == self.checkpoint {
            return;
        }
        self.checkpoint = checkpoint;
        if let Some(slot) = self.acquire() {
            let mut value = codec::write_checkpoint(&checkpoint);
            self.own().put(&checkpoint_name(slot), &mut value);
        }
    }

    /// The lowest number of this stream without a known end: `unsealed`, which is in no batch, or
    /// one in a batch that is kept.
    pub(super) fn oldest_unsettled(&self, unsealed: u64) -> u64 {
        self.cells
            .iter()
            .filter_map(BatchCell::lowest)
            .fold(unsealed, u64::min)
    }

    /// Keeps a copy of a batch until [`Self::forget`].
    pub(super) fn keep(&mut self, batch: &mut Batch) {
        let Some(slot) = self.acquire() else { return };
        let index = self
            .cells
            .iter()
            .position(|cell| !cell.is_full())
            .unwrap_or(self.cells.len());
        let full = BatchCell::Full {
            lowest: batch.lowest().filter(|_| batch.origin == self.origin()),
        };
        match self.cells.get_mut(index) {
            Some(cell) => *cell = full,
            None => self.cells.push(full),
        }

        self.own()
            .put(&cell_name(slot, index), codec::write_batch(batch));
        batch.cell = Some(index);
    }

    /// The end of a batch is known. Its cell is overwritten by a later batch, or emptied by
    /// [`Self::sweep`].
    pub(super) fn forget(&mut self, batch: &Batch) {
        if let Some(cell) = batch.cell.and_then(|index| self.cells.get_mut(index)) {
            *cell = BatchCell::Spent;
        }
    }

    /// Empties the cells of batches that have ended.
    pub(super) fn sweep(&mut self) {
        let Some(slot) = self.slot else { return };
        let own = self.shared.with_key(OWN_KEY, self.owner.stream);

        for (index, cell) in self
            .cells
            .iter_mut()
            .enumerate()
            .filter(|(_, cell)| **cell == BatchCell::Spent)
        {
            own.set(&cell_name(slot, index), &[]);
            *cell = BatchCell::Empty;
        }
    }

    /// Releases the slot: nothing of this stream is left to take over.
    pub(super) fn close(&mut self) {
        self.spend_all();
        let orphan = self.as_orphan();
        self.slot = None;
        self.release(&orphan);
    }

    fn release(
        &self,
        Orphan {
            stream, key, slot, ..
        }: &Orphan,
    ) {
        let Some(slot) = *slot else { return };
        self.of(*key, *stream).set(&checkpoint_name(slot), &[]);
        Directory(&self.unowned(*key)).update(slot, self.owner.vm, *stream, |entry| {
            *entry = Entry::default()
        });
    }

    fn spend_all(&mut self) {
        for cell in self.cells.iter_mut().filter(|cell| cell.is_full()) {
            *cell = BatchCell::Spent;
        }
        self.sweep();
    }

    /// Writes a heartbeat to the own slot and to those of orphans.
    pub(super) fn heartbeat<'e>(&self, orphans: impl Iterator<Item = &'e Orphan>, has_ended: bool) {
        let own = self.slot.map(|slot| (OWN_KEY, slot));
        let slots: Vec<(usize, usize)> = orphans
            .filter_map(|orphan| Some((orphan.key, orphan.slot?)))
            .chain(own)
            .collect();

        for key in 0..self.shared.keys() {
            let of_key: Vec<usize> = slots
                .iter()
                .filter(|(of, _)| *of == key)
                .map(|(_, slot)| *slot)
                .collect();
            if !of_key.is_empty() {
                Directory(&self.unowned(key)).update_all(self.owner.vm, &of_key, |entry| {
                    entry.heartbeat = entry.heartbeat.wrapping_add(1);
                    entry.has_ended = has_ended;
                });
            }
        }
    }

    /// Whether the slot no longer belongs to this stream.
    pub(super) fn has_lost_slot(&self, listings: &[Listing]) -> bool {
        !self.holds(listings, &self.as_orphan())
    }

    /// Whether the directory of the own slot was damaged since the last scan.
    pub(super) fn is_own_void(&self, listings: &[Listing]) -> bool {
        self.is_void(listings, &self.as_orphan())
    }

    /// The directories were scanned, and void slots are dealt with.
    pub(super) fn set_epochs(&mut self, listings: &[Listing]) {
        self.epochs = listings.iter().map(|listing| listing.epoch).collect();
    }

    /// Discards a slot that no longer belongs to this stream. The next one is for the stream
    /// `next`.
    pub(super) fn discard_slot(&mut self, next: Uuid) {
        self.owner.stream = next;
        self.slot = None;
        self.cells.clear();
        self.checkpoint = Checkpoint::default();
    }

    fn empty_cells(&self, key: usize, slot: usize) {
        let keyed = self.of(key, Uuid::nil());

        for cell in 0.. {
            let name = cell_name(slot, cell);
            let Some(is_empty) = keyed.is_empty(&name) else {
                break;
            };
            if !is_empty {
                keyed.set(&name, &[]);
            }
        }
    }

    /// The part of the journal that a successor in the same VM gets.
    pub(super) fn as_orphan(&self) -> Orphan {
        Orphan {
            stream: self.owner.stream,
            checkpoint: self.checkpoint,
            key: OWN_KEY,
            slot: self.slot,
            next_cell: 0,
            damage: Damage::default(),
        }
    }

    /// The successor has copies of all batches, and the slot.
    pub(super) fn retire(&mut self) {
        self.spend_all();
        self.slot = None;
        self.is_retired = true;
    }

    /// The slot, which is acquired when it is first needed.
    fn acquire(&mut self) -> Option<usize> {
        if self.slot.is_none() && !self.is_retired {
            self.slot = self.acquire_for(self.owner.stream);
        }
        self.slot
    }

    /// Acquires a slot for a stream, and empties the cells of an earlier owner.
    fn acquire_for(&self, stream: Uuid) -> Option<usize> {
        let StreamOwner {
            vm,
            destination,
            plugin,
            ..
        } = self.owner;
        let entry = Entry {
            vm,
            stream,
            destination,
            plugin,
            heartbeat: 0,
            has_ended: false,
        };
        let slot = Directory(&self.unowned(OWN_KEY)).acquire(entry)?;
        self.empty_cells(OWN_KEY, slot);

        Some(slot)
    }

    fn origin(&self) -> Origin {
        Origin {
            stream_id: self.owner.stream,
            recovered: false,
        }
    }

    /// Values of this stream.
    fn own(&self) -> Keyed<'_> {
        self.of(OWN_KEY, self.owner.stream)
    }

    fn of(&self, key: usize, owner: Uuid) -> Keyed<'_> {
        self.shared.with_key(key, owner)
    }

    /// Values without an owner: the directory.
    fn unowned(&self, key: usize) -> Keyed<'_> {
        self.of(key, Uuid::nil())
    }
}

fn checkpoint_name(slot: usize) -> String {
    format!("slot.{slot}")
}

fn cell_name(slot: usize, cell: usize) -> String {
    format!("slot.{slot}.{cell}")
}
