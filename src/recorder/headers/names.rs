//! Hashes of header names: most lookups find nothing, and compare no text.

use super::equality::is_same;

/// A header, with the hash of its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) mark: u32,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Names that are looked up together, in lower case.
#[derive(Clone, Debug)]
pub(in crate::recorder) struct Names<const N: usize, S = &'static str> {
    names: [S; N],
    marks: [u32; N],
    pub(super) bits: u64,
}

impl<const N: usize> Names<N> {
    pub(in crate::recorder) const fn new(names: [&'static str; N]) -> Self {
        let (mut marks, mut bits) = ([0; N], 0);
        let (mut marks_left, mut names_left): (&mut [u32], &[&str]) = (&mut marks, &names);
        while let ([first, others @ ..], [name, other_names @ ..]) = (marks_left, names_left) {
            *first = mark(name.as_bytes());
            bits |= bit(*first);
            (marks_left, names_left) = (others, other_names);
        }
        Self { names, marks, bits }
    }
}

impl<const N: usize> Names<N, String> {
    pub(in crate::recorder) fn configured(names: [String; N]) -> Self {
        let marks = names.each_ref().map(|name| mark(name.as_bytes()));
        let bits = marks.iter().fold(0, |bits, mark| bits | bit(*mark));
        Self { names, marks, bits }
    }
}

impl<const N: usize, S: AsRef<str>> Names<N, S> {
    pub(super) fn note(&self, pair: &Pair<'_>, found: &mut [bool; N]) {
        for ((mark, name), found) in self.marks.iter().zip(&self.names).zip(found) {
            if *mark == pair.mark && is_same(pair.name, name.as_ref().as_bytes()) {
                *found = true;
            }
        }
    }
}

/// A hash of the length and the last bytes; collisions are rare.
#[inline(always)]
pub(super) const fn mark(name: &[u8]) -> u32 {
    /// 2^32 divided by the golden ratio: mixes into the high bits.
    const SPREAD: u32 = 0x9e37_79b9;
    let end = match name.last_chunk::<4>() {
        Some(end) => u32::from_le_bytes(*end),
        None => 0,
    };
    (end ^ name.len() as u32).wrapping_mul(SPREAD)
}

#[inline(always)]
pub(super) const fn bit(mark: u32) -> u64 {
    1 << (mark >> 26)
}
