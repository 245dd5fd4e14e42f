//! At which sizes a ledger is measured, and by which slices it grows.

use std::ops::Range;

const SIZES: [u64; 4] = [100_000, 1_000_000, 3_000_000, 10_000_000];
/// Records of a slice, whose rate is measured as a whole.
const SLICE: u64 = 100_000;
/// Records that one sender alone sends after a size: 100 batches.
pub const EXTRA: u64 = 10_000;

/// The sizes up to `records`, which is the last one.
pub fn up_to(records: u64) -> Vec<u64> {
    let below = SIZES.into_iter().filter(|size| *size < records);
    below.chain([records]).collect()
}

/// The slices by which a ledger grows. All but the first have the full length.
pub fn slices(from: u64, to: u64) -> Vec<Range<u64>> {
    let mut slices = Vec::new();
    let mut end = to;
    while end > from {
        let start = from.max(end.saturating_sub(SLICE));
        slices.push(start..end);
        end = start;
    }
    slices.reverse();
    slices
}
