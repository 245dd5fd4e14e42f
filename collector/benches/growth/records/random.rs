//! Values that follow from a purpose and a number alone, so that any record can be made by itself,
//! and again.

/// Another one gives other records.
const SEED: u64 = 20;
/// Increment and factors of SplitMix64 (Steele, Lea, Flood 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// What values are drawn for; each has a sequence of its own.
#[derive(Clone, Copy)]
pub enum Purpose {
    Record,
    Slot,
    Session,
    User,
    Stream,
    Batch,
}

/// A sequence of values.
pub struct Draw(u64);

impl Draw {
    /// The sequence of this purpose and number.
    pub fn of(purpose: Purpose, number: u64) -> Self {
        let start = mix(SEED ^ mix(purpose as u64 + 1));
        Self(mix(start ^ number.wrapping_mul(GAMMA)))
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> u64::BITS) as u64
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    /// 16 bytes.
    pub fn bytes(&mut self) -> [u8; 16] {
        let [high, low] = [self.next(), self.next()];
        (u128::from(high) << u64::BITS | u128::from(low)).to_be_bytes()
    }

    /// A UUIDv4.
    pub fn uuid(&mut self) -> String {
        uuid(self.bytes(), 4)
    }

    /// The UUIDv7 of a millisecond since the Unix epoch.
    pub fn uuid_at(&mut self, millis: u64) -> String {
        let mut bytes = self.bytes();
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        uuid(bytes, 7)
    }
}

fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(GAMMA);
    value = (value ^ value >> 30).wrapping_mul(FACTORS[0]);
    value = (value ^ value >> 27).wrapping_mul(FACTORS[1]);
    value ^ value >> 31
}

/// RFC 9562, section 4: version and variant are set.
fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;

    let parts = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| hex::encode(&bytes[range]));
    parts.join("-")
}
