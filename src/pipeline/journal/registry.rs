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
