//! Who sits where: one shared list of all streams of the process that have records, changed by compare and swap.

use uuid::Uuid;

use super::Identity;
use crate::host::SharedData;

/// The list's key.
const KEY: &str = "audit_filter.seats";

/// Attempts to change the list while others change it too. Each one that fails is one that somebody else has won.
const MAX_ATTEMPTS: usize = 100;

/// One taken seat; all zeros for a free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) vm: Uuid,
    pub(super) stream: Uuid,
    pub(super) kin: u64,
}

const ENTRY_BYTES: usize = 40;

/// The shared list.
pub(super) struct Registry<'s>(pub(super) &'s dyn SharedData);

impl Registry<'_> {
    /// Takes the first free seat. `None`: the list cannot be changed.
    pub(super) fn take_seat(&self, entry: Entry) -> Option<usize> {
        self.change(|entries| {
            let seat = entries.iter().position(|taken| *taken == Entry::default()).unwrap_or(entries.len());
            match entries.get_mut(seat) {
                Some(free) => *free = entry,
                None => entries.push(entry),
            }
            seat
        })
    }

    /// Frees a seat.
    pub(super) fn leave_seat(&self, seat: usize) {
        self.change(|entries| {
            if let Some(entry) = entries.get_mut(seat) {
                *entry = Entry::default();
            }
        });
    }

    /// Puts the heir's VM in the place of the crashed one, for streams of the same kin. Yields seats and streams.
    pub(super) fn claim(&self, crashed: Uuid, heir: &Identity) -> Vec<(usize, Uuid)> {
        let is_claimed = |entry: &Entry| entry.vm == crashed && entry.kin == heir.kin;
        if !self.read().0.iter().any(is_claimed) {
            return Vec::new();
        }
        let claimed = self.change(|entries| {
            let mut claimed = Vec::new();
            for (seat, entry) in entries.iter_mut().enumerate().filter(|(_, entry)| is_claimed(entry)) {
                entry.vm = heir.vm;
                claimed.push((seat, entry.stream));
            }
            claimed
        });
        claimed.unwrap_or_default()
    }

    fn read(&self) -> (Vec<Entry>, Option<u32>) {
        let Some((bytes, version)) = self.0.get(KEY) else { return (Vec::new(), None) };
        (bytes.chunks_exact(ENTRY_BYTES).filter_map(Entry::read).collect(), Some(version))
    }

    fn change<T>(&self, mut change: impl FnMut(&mut Vec<Entry>) -> T) -> Option<T> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut entries, version) = self.read();
            let result = change(&mut entries);
            let bytes: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
            if self.0.replace(KEY, &bytes, version) {
                return Some(result);
            }
        }
        None
    }
}

/// The VMs that streams with records live in, this one apart.
pub fn other_vms(shared: &dyn SharedData, own: Uuid) -> Vec<Uuid> {
    let mut vms = Vec::new();
    for Entry { vm, .. } in Registry(shared).read().0 {
        if vm != own && !vm.is_nil() && !vms.contains(&vm) {
            vms.push(vm);
        }
    }
    vms
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (vm, rest) = bytes.split_first_chunk()?;
        let (stream, kin) = rest.split_first_chunk()?;
        let kin = u64::from_le_bytes(kin.try_into().ok()?);
        Some(Self { vm: Uuid::from_bytes(*vm), stream: Uuid::from_bytes(*stream), kin })
    }

    fn bytes(&self) -> Vec<u8> {
        [self.vm.as_bytes().as_slice(), self.stream.as_bytes(), &self.kin.to_le_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// The list, while so many others are always faster than whoever changes it.
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
                assert!(Registry(self).take_seat(entry(rival)).is_some());
            }
            let is_current = self.get(key).map(|(_, current)| current) == version;
            if is_current {
                self.set(key, value);
            }
            is_current
        }
    }

    fn entry(vm: u128) -> Entry {
        Entry { vm: Uuid::from_u128(vm), stream: Uuid::from_u128(vm + 100), kin: 1 }
    }

    fn vms(shared: &Contended) -> Vec<u128> {
        other_vms(shared, Uuid::from_u128(7)).into_iter().map(|vm| vm.as_u128()).collect()
    }

    #[test]
    fn nobody_takes_a_seat_that_somebody_else_was_faster_to_take() {
        let shared = Contended::default();
        shared.rivals.set(3);
        assert_eq!(Registry(&shared).take_seat(entry(7)), Some(3));
        assert_eq!(vms(&shared), [1, 2, 3], "all others, and not oneself");
        shared.rivals.set(1);
        Registry(&shared).leave_seat(1);
        assert_eq!(Registry(&shared).take_seat(entry(9)), Some(1), "a free seat is taken again");
        assert_eq!(vms(&shared), [1, 9, 3]);
    }

    #[test]
    fn what_a_crashed_vm_has_left_is_claimed_once() {
        let shared = Contended::default();
        for vm in [1, 2, 1] {
            let _ = Registry(&shared).take_seat(entry(vm));
        }
        shared.rivals.set(1);
        let heir = Identity { vm: Uuid::from_u128(8), stream: Uuid::nil(), kin: 1 };
        let claimed_seats = || -> Vec<usize> {
            Registry(&shared).claim(Uuid::from_u128(1), &heir).into_iter().map(|(seat, _)| seat).collect()
        };
        assert_eq!(claimed_seats(), [0, 2, 3], "the rival's, too");
        assert_eq!(claimed_seats(), [0; 0]);
        assert_eq!(vms(&shared), [8, 2]);
    }
}
