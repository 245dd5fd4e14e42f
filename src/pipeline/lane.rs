//! The two lanes out of a worker: records that wait to fill a batch, and records that wait for nothing.
//!
//! Each lane has batches, a window and a backoff of its own, so that trouble with one does not hold up the other.

/// Which way a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits until a batch is full or old enough.
    Bulk,
    /// Leaves at once, and may use the reserve of the buffer and half of what the others may.
    Immediate,
}

impl Lane {
    /// Both, the one that waits for nothing first.
    pub const ALL: [Self; 2] = [Self::Immediate, Self::Bulk];
}

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// Of [`Lane::Bulk`].
    pub bulk: T,
    /// Of [`Lane::Immediate`].
    pub immediate: T,
}

impl<T> PerLane<T> {
    /// The one of this lane.
    #[must_use]
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Bulk => &self.bulk,
            Lane::Immediate => &self.immediate,
        }
    }

    /// The one of this lane.
    #[must_use]
    pub fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Bulk => &mut self.bulk,
            Lane::Immediate => &mut self.immediate,
        }
    }

    /// Both.
    pub fn each(&self) -> impl Iterator<Item = &T> {
        [&self.immediate, &self.bulk].into_iter()
    }

    /// Both.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.immediate, &mut self.bulk].into_iter()
    }
}
