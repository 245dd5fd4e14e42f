//! Streams that are watched until they are reported or have ended.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::{Rc, Weak};

/// A stream with an exchange that can be reported while it goes on.
pub(super) trait Ongoing {
    /// Reports an exchange that takes long.
    fn report_started(&self);
}

/// Watched streams by the host's ids.
#[derive(Default)]
pub(super) struct Watched(HashMap<u32, Weak<dyn Ongoing>, BuildHasherDefault<IdHasher>>);

impl Watched {
    pub(super) fn add(&mut self, id: u32, stream: Weak<dyn Ongoing>) {
        self.0.insert(id, stream);
    }

    /// Removes a stream, and returns it if it has not ended.
    pub(super) fn remove(&mut self, id: u32) -> Option<Rc<dyn Ongoing>> {
        self.0.remove(&id)?.upgrade()
    }
}

/// Ids are consecutive, so they need no hash. They are multiplied, since the table also uses the
/// highest bits.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        /// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(FACTOR);
    }
}
