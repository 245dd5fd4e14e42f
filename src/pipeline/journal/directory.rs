//! The directory: one shared list of the streams of the process that have records, changed by
//! compare and swap.

use uuid::Uuid;

use super::StreamOwner;
use crate::host::SharedData;

/// Its name in shared data.
const KEY: &str = "directory";

/// Attempts to change the directory. An attempt fails only when another VM has changed it first.
const MAX_ATTEMPTS: usize = 100;

/// One slot's entry; all zeros for a free slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Entry {
    pub(in crate::pipeline) vm: Uuid,
    pub(in crate::pipeline) stream: Uuid,
    pub(in crate::pipeline) destination: u64,
    pub(in crate::pipeline) plugin: u64,
    /// Changes while the VM lives.
    pub(in crate::pipeline) heartbeat: u32,
    /// The configuration has ended, and perhaps the VM with it.
    pub(in crate::pipeline) has_ended: bool,
}

const ENTRY_BYTES: usize = 56;

/// The directory as read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Listing {
    /// Changes when a damaged directory is replaced: earlier slots are void then.
    pub(in crate::pipeline) epoch: u64,
    pub(in crate::pipeline) entries: Vec<Entry>,
}

/// Access to the directory.
pub(super) struct Directory<'s>(pub(super) &'s dyn SharedData);

impl Directory<'_> {
    /// Writes the entry to the first free slot. `None`: the directory cannot be changed.
    pub(super) fn acquire(&self, entry: Entry) -> Option<usize> {
        self.change(|Listing { entries, .. }| {
            let slot = entries
                .iter()
                .position(|taken| *taken == Entry::default())
                .unwrap_or(entries.len());
            match entries.get_mut(slot) {
                Some(free) => *free = entry,
                None => entries.push(entry),
            }
            slot
        })
    }

    /// Changes a slot, if it still belongs to this stream in this VM.
    pub(super) fn update(&self, slot: usize, vm: Uuid, stream: Uuid, change: impl Fn(&mut Entry)) {
        self.change(|listing| {
            if let Some(entry) = listing
                .entries
                .get_mut(slot)
                .filter(|entry| entry.is_of(vm, stream))
            {
                change(entry);
            }
        });
    }

    /// Changes those of the slots that belong to the VM.
    pub(super) fn update_all(&self, vm: Uuid, slots: &[usize], change: impl Fn(&mut Entry)) {
        self.change(|listing| {
            let own = listing.entries.iter_mut().enumerate();
            let own = own.filter(|(slot, entry)| entry.vm == vm && slots.contains(slot));
            own.for_each(|(_, entry)| change(entry));
        });
    }

    /// Claims the slots of the crashed VM with the claimant's destination. Yields their indexes and
    /// entries.
    pub(super) fn claim(&self, crashed: Uuid, claimant: &StreamOwner) -> Vec<(usize, Entry)> {
        let is_claimed =
            |entry: &Entry| entry.vm == crashed && entry.destination == claimant.destination;
        if !self.read().0.entries.iter().any(is_claimed) {
            return Vec::new();
        }
        self.change(|listing| listing.claim(claimant, is_claimed))
            .unwrap_or_default()
    }

    /// Claims all slots of the plugin in a VM, if this slot is unchanged since it was seen. A
    /// successor must have all streams of a VM, since batches of one may be in the slot of another.
    pub(super) fn claim_seen(
        &self,
        slot: usize,
        seen: &Entry,
        claimant: &StreamOwner,
    ) -> Vec<(usize, Entry)> {
        let is_claimed = |entry: &Entry| entry.vm == seen.vm && entry.plugin == claimant.plugin;
        let claimed = self.change(|listing| {
            if listing.entries.get(slot) == Some(seen) {
                listing.claim(claimant, is_claimed)
            } else {
                Vec::new()
            }
        });

        claimed.unwrap_or_default()
    }

    /// Reads the directory, and replaces it when it is damaged.
    pub(super) fn scan(&self) -> Listing {
        let (listing, version) = self.read();
        // A version grows with every write, so only a directory that `read` has substituted has
        // this epoch.
        if version.map(u64::from) == Some(listing.epoch) {
            self.change(|_| ());
        }
        listing
    }

    fn read(&self) -> (Listing, Option<u32>) {
        let Some((bytes, version)) = self.0.get(KEY) else {
            return (Listing::default(), None);
        };
        let listing = Listing::read(&bytes).unwrap_or(Listing {
            epoch: u64::from(version),
            entries: Vec::new(),
        });
        (listing, Some(version))
    }

    fn change<T>(&self, mut change: impl FnMut(&mut Listing) -> T) -> Option<T> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut listing, version) = self.read();
            let result = change(&mut listing);
            if self.0.replace(KEY, &listing.bytes(), version) {
                return Some(result);
            }
        }
        None
    }
}

impl Listing {
    /// `None`: it is damaged.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (epoch, rest) = bytes.split_first_chunk()?;
        let entries = rest
            .chunks_exact(ENTRY_BYTES)
            .filter_map(Entry::read)
            .collect();
        Some(Self {
            epoch: u64::from_le_bytes(*epoch),
            entries,
        })
    }

    fn bytes(&self) -> Vec<u8> {
        self.epoch
            .to_le_bytes()
            .into_iter()
            .chain(self.entries.iter().flat_map(Entry::bytes))
            .collect()
    }

    fn claim(
        &mut self,
        claimant: &StreamOwner,
        is_claimed: impl Fn(&Entry) -> bool,
    ) -> Vec<(usize, Entry)> {
        let mut claimed = Vec::new();
        for (slot, entry) in self
            .entries
            .iter_mut()
            .enumerate()
            .filter(|(_, entry)| is_claimed(entry))
        {
            (entry.vm, entry.destination, entry.has_ended) =
                (claimant.vm, claimant.destination, false);
            claimed.push((slot, *entry));
        }

        claimed
    }

    /// Adds the VMs of streams with records, except `own`.
    pub(super) fn add_other_vms(&self, own: Uuid, vms: &mut Vec<Uuid>) {
        for Entry { vm, .. } in &self.entries {
            if *vm != own && !vm.is_nil() && !vms.contains(vm) {
                vms.push(*vm);
            }
        }
    }
}

impl Entry {
    /// Whether it belongs to this stream in this VM.
    pub(super) fn is_of(&self, vm: Uuid, stream: Uuid) -> bool {
        self.vm == vm && self.stream == stream
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (vm, rest) = bytes.split_first_chunk()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let (destination, rest) = rest.split_first_chunk()?;
        let (plugin, rest) = rest.split_first_chunk()?;
        let (heartbeat, state) = rest.split_first_chunk()?;

        Some(Self {
            vm: Uuid::from_bytes(*vm),
            stream: Uuid::from_bytes(*stream),
            destination: u64::from_le_bytes(*destination),
            plugin: u64::from_le_bytes(*plugin),
            heartbeat: u32::from_le_bytes(*heartbeat),
            has_ended: state != [0; 4],
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let numbers = [self.destination, self.plugin].map(u64::to_le_bytes);
        let state = [self.heartbeat, u32::from(self.has_ended)].map(u32::to_le_bytes);
        [
            self.vm.as_bytes(),
            self.stream.as_bytes(),
            numbers.as_flattened(),
            state.as_flattened(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A directory that `rivals` other VMs change before this one can.
    #[derive(Debug, Default)]
    struct Contended {
        list: RefCell<Option<(Vec<u8>, u32)>>,
        rivals: Cell<u128>,
    }

    impl SharedData for Contended {
        fn get(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
            self.list.borrow().clone()
        }

        fn set(&self, key: &str, value: &[u8]) {
            let version = self.get(key).map_or(1, |(_, version)| version + 1);
            self.list.replace(Some((value.to_vec(), version)));
        }

        fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            let rival = self.rivals.get();
            if rival > 0 {
                self.rivals.set(rival - 1);
                assert!(Directory(self).acquire(entry(rival)).is_some());
            }

            let is_current = self.get(key).map(|(_, current)| current) == version;
            if is_current {
                self.set(key, value);
            }
            is_current
        }
    }

    fn entry(vm: u128) -> Entry {
        Entry {
            vm: Uuid::from_u128(vm),
            stream: Uuid::from_u128(vm + 100),
            destination: 1,
            plugin: 2,
            heartbeat: 3,
            has_ended: false,
        }
    }

    fn claimant(vm: u128) -> StreamOwner {
        StreamOwner {
            vm: Uuid::from_u128(vm),
            stream: Uuid::nil(),
            destination: 1,
            plugin: 2,
        }
    }

    fn listing(shared: &Contended) -> Listing {
        Directory(shared).read().0
    }

    fn vms(shared: &Contended) -> Vec<u128> {
        let mut vms = Vec::new();
        listing(shared).add_other_vms(Uuid::from_u128(7), &mut vms);
        vms.into_iter().map(|vm| vm.as_u128()).collect()
    }

    fn take(shared: &Contended, vm: u128) -> usize {
        Directory(shared).acquire(entry(vm)).unwrap()
    }

    #[test]
    fn a_slot_that_another_vm_has_acquired_first_is_left_alone() {
        let shared = Contended::default();
        shared.rivals.set(3);
        assert_eq!(take(&shared, 7), 3);
        assert_eq!(vms(&shared), [1, 2, 3], "all others, and not oneself");

        shared.rivals.set(0);
        let free = |vm, stream| {
            Directory(&shared).update(1, Uuid::from_u128(vm), Uuid::from_u128(stream), |entry| {
                *entry = Entry::default()
            })
        };
        free(2, 7);
        free(7, 102);

        assert_eq!(
            vms(&shared),
            [1, 2, 3],
            "not of that stream, or not of that VM"
        );

        free(2, 102);
        assert_eq!(take(&shared, 9), 1, "a free slot is acquired again");
        assert_eq!(vms(&shared), [1, 9, 3]);
    }

    #[test]
    fn what_a_crashed_vm_has_left_is_claimed_once() {
        let shared = Contended::default();
        for vm in [1, 2, 1] {
            take(&shared, vm);
        }
        shared.rivals.set(1);
        let claimed_slots = || -> Vec<usize> {
            Directory(&shared)
                .claim(Uuid::from_u128(1), &claimant(8))
                .into_iter()
                .map(|(slot, _)| slot)
                .collect()
        };

        assert_eq!(claimed_slots(), [0, 2, 3], "the rival's, too");
        assert_eq!(claimed_slots(), [0; 0]);
        assert_eq!(vms(&shared), [8, 2]);
    }

    #[test]
    fn a_vm_is_taken_over_as_a_whole_and_as_it_was_seen_or_not_at_all() {
        let shared = Contended::default();
        for vm in [1, 2, 1] {
            take(&shared, vm);
        }
        let claim = |seen: &Entry, vm| -> Vec<usize> {
            Directory(&shared)
                .claim_seen(0, seen, &claimant(vm))
                .into_iter()
                .map(|(slot, _)| slot)
                .collect()
        };
        let seen = listing(&shared).entries[0];
        Directory(&shared).update_all(seen.vm, &[0], |entry| entry.heartbeat += 1);

        assert_eq!(claim(&seen, 8), [0; 0], "it lives");

        let seen = listing(&shared).entries[0];
        assert_eq!(claim(&seen, 8), [0, 2]);
        assert_eq!(
            listing(&shared).entries[0],
            Entry {
                vm: Uuid::from_u128(8),
                ..seen
            }
        );
        assert_eq!(claim(&seen, 9), [0; 0], "another VM was faster");
    }

    #[test]
    fn a_damaged_directory_begins_anew() {
        let shared = Contended::default();
        take(&shared, 1);
        let before = listing(&shared).epoch;
        shared.set(KEY, b"");
        assert!(listing(&shared).entries.is_empty());
        assert_eq!(take(&shared, 2), 0);
        assert_ne!(listing(&shared).epoch, before);
        let written = listing(&shared);
        assert_eq!(Listing::read(&written.bytes()), Some(written));
    }
}
