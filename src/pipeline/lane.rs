//! The two lanes out of a worker: bulk records wait to fill a batch, immediate ones do not wait.
//!
//! Each lane has separate batches, window and backoff, so that trouble in one does not hold up the
//! other.

/// The lane of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits until a batch is full or old enough.
    Bulk,
    /// Leaves at once. May use the reserve of the buffer and half of the bulk lane's share.
    Immediate,
}

impl Lane {
    /// Both, the immediate one first.
    pub const ALL: [Self; 2] = [Self::Immediate, Self::Bulk];
}

/// One value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// Of [`Lane::Bulk`].
    pub bulk: T,
    /// Of [`Lane::Immediate`].
    pub immediate: T,
}

impl<T> PerLane<T> {
    /// The value of this lane.
    #[must_use]
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Bulk => &self.bulk,
            Lane::Immediate => &self.immediate,
        }
    }

    /// The value of this lane.
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
