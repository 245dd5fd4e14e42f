//! Open exchanges in order of their start, so that the oldest is found in constant time.

use std::time::Duration;

/// Place of an exchange in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// No entry.
const NONE: u32 = u32::MAX;

/// A doubly linked list in one allocation: 16 bytes per concurrent exchange. Slots are reused.
#[derive(Debug)]
pub struct Ongoing {
    entries: Vec<Entry>,
    oldest: u32,
    newest: u32,
    free: u32,
}

#[derive(Debug)]
struct Entry {
    /// The host's context id of the stream.
    context: u32,
    /// Uptime at the start, in milliseconds, modulo 2^32 (49 days).
    began: u32,
    before: u32,
    after: u32,
}

impl Default for Ongoing {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            oldest: NONE,
            newest: NONE,
            free: NONE,
        }
    }
}

impl Ongoing {
    /// Adds an exchange that begins now. It must be removed by [`Self::remove`], unless
    /// [`Self::pop_older`] returns it. `None`: there are 2^32 - 1 others.
    pub fn add(&mut self, context: u32, now: Duration) -> Option<Slot> {
        let entry = Entry {
            context,
            began: millis(now),
            before: self.newest,
            after: NONE,
        };
        let slot = self.place(entry)?;
        match self.get(self.newest) {
            Some(newest) => newest.after = slot,
            None => self.oldest = slot,
        }

        self.newest = slot;
        Some(Slot(slot))
    }

    fn place(&mut self, entry: Entry) -> Option<u32> {
        let slot = self.free;
        if let Some(free) = self.get(slot) {
            let next_free = free.after;
            *free = entry;
            self.free = next_free;
            return Some(slot);
        }

        let slot = u32::try_from(self.entries.len())
            .ok()
            .filter(|slot| *slot != NONE)?;

        self.entries.push(entry);
        Some(slot)
    }

    /// Removes an exchange that has ended.
    pub fn remove(&mut self, Slot(slot): Slot) {
        let free = self.free;
        let Some(entry) = self.get(slot) else { return };
        let (before, after) = (entry.before, entry.after);
        entry.after = free;
        self.free = slot;

        match self.get(before) {
            Some(entry) => entry.after = after,
            None => self.oldest = after,
        }

        match self.get(after) {
            Some(entry) => entry.before = before,
            None => self.newest = before,
        }
    }

    /// Removes the oldest exchange if it began at least `age` ago, and returns its context.
    pub fn pop_older(&mut self, age: Duration, now: Duration) -> Option<u32> {
        let slot = self.oldest;
        let entry = self.get(slot)?;
        let is_old = millis(now).wrapping_sub(entry.began) >= millis(age);
        let context = entry.context;
        if !is_old {
            return None;
        }
        self.remove(Slot(slot));
        Some(context)
    }

    fn get(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(slot).ok()?)
    }
}

/// The low 32 bits.
fn millis(time: Duration) -> u32 {
    (time.as_millis() & u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_counts_on_from_zero() {
        let mut ongoing = Ongoing::default();
        let late = Duration::from_millis(u64::from(u32::MAX) - 10);
        ongoing.add(1, late).unwrap();
        let age = Duration::from_secs(1);
        assert_eq!(
            ongoing.pop_older(age, late + age - Duration::from_millis(1)),
            None
        );
        assert_eq!(ongoing.pop_older(age, late + age), Some(1));
    }

    proptest! {
        #[test]
        fn it_is_a_queue_from_which_any_may_leave(steps in prop::collection::vec((0..3_u8, any::<prop::sample::Index>()), 0..200)) {
            let (mut ongoing, mut model, mut now) = (Ongoing::default(), Vec::new(), Duration::ZERO);
            let age = Duration::from_millis(5);
            let mut most = 0;

            for (context, (step, index)) in steps.into_iter().enumerate() {
                let context = u32::try_from(context).unwrap();
                now += Duration::from_millis(1);

                match step {
                    0 => model.push((context, now, ongoing.add(context, now).unwrap())),
                    1 if !model.is_empty() => {
                        let (_, _, slot) = model.remove(index.index(model.len()));
                        ongoing.remove(slot);
                    }
                    _ => {
                        let due = model.first().is_some_and(|(_, began, _)| now - *began >= age);
                        let expected = due.then(|| model.remove(0).0);
                        prop_assert_eq!(ongoing.pop_older(age, now), expected);
                    }
                }

                most = most.max(model.len());
                prop_assert!(ongoing.entries.len() <= most);
            }
        }
    }
}
