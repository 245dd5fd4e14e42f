//! Authentication tags: SipHash over the start of a value, and over a fold of the rest.

use std::hash::Hasher;

use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

use crate::pipeline::room::TAG_BYTES;

/// Bytes at the start of a value that SipHash reads directly: ids and numbers of a batch. SipHash
/// over the whole value would triple the cost of a record's delivery, so the rest is folded first.
const WHOLE_BYTES: usize = 4096;

/// Words of a block that is folded at once. As many secret words are derived from a key.
const BLOCK_WORDS: usize = 64;

/// Words that are folded without a loop between them.
const GROUP_WORDS: usize = 16;

const KEY_BYTES: usize = 32;

/// Checksum bytes behind a key in the list of keys, which show whether it was overwritten.
const CHECK_BYTES: usize = 8;

/// A key that makes and verifies tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// From a secret of any length.
    #[must_use]
    pub fn of_secret(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The intact keys of a list.
    pub(super) fn read_all(bytes: &[u8]) -> Vec<Self> {
        let read = |entry: &[u8]| {
            let (key, check) = entry.split_first_chunk()?;
            let key = Self(*key);
            (key.check() == check).then_some(key)
        };
        bytes
            .chunks_exact(KEY_BYTES + CHECK_BYTES)
            .filter_map(read)
            .collect()
    }

    /// A list of keys.
    pub(super) fn write_all(keys: &[Self]) -> Vec<u8> {
        keys.iter()
            .flat_map(|key| key.0.into_iter().chain(key.check()))
            .collect()
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        self.derived(b"check", 0)
            .first_chunk()
            .copied()
            .unwrap_or_default()
    }

    fn derived(&self, purpose: &[u8], counter: u64) -> [u8; 32] {
        Sha256::new_with_prefix(self.0)
            .chain_update(purpose)
            .chain_update(counter.to_le_bytes())
            .finalize()
            .into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The material derived from a key, computed once.
#[derive(Clone)]
pub(super) struct Tagger {
    key: Key,
    /// Public identifier of the key.
    mark: String,
    sip: [u64; 2],
    fold: [[u32; 2]; BLOCK_WORDS],
}

impl Default for Tagger {
    fn default() -> Self {
        Self::new(&Key([0; KEY_BYTES]))
    }
}

impl Tagger {
    pub(super) fn new(key: &Key) -> Self {
        let words = |purpose: &'static [u8]| {
            (0..)
                .flat_map(move |counter| key.derived(purpose, counter).as_chunks().0.to_vec())
                .map(u64::from_le_bytes)
        };
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        let mut sip = [0; 2];
        sip.iter_mut()
            .zip(words(b"sip"))
            .for_each(|(to, from)| *to = from);
        let mut fold = [[0; 2]; BLOCK_WORDS];
        fold.iter_mut()
            .zip(words(b"fold"))
            .for_each(|(to, from)| *to = halves(from));
        let letter = |byte: &u8| char::from(b'a' + byte % 16);
        let mark = key.derived(b"mark", 0).iter().take(8).map(letter).collect();

        Self {
            key: *key,
            mark,
            sip,
            fold,
        }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// The part of names that identifies the key.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn tag(&self, name: &str, owner: Uuid, value: &[u8]) -> [u8; TAG_BYTES] {
        let [low, high] = self.sip;
        let mut hasher = SipHasher13::new_with_keys(low, high);
        let (start, rest) = value.split_at_checked(WHOLE_BYTES).unwrap_or((value, &[]));
        hasher.write_u64(name.len() as u64);
        hasher.write(name.as_bytes());
        hasher.write(owner.as_bytes());
        hasher.write_u64(value.len() as u64);
        hasher.write(start);
        for block in rest.chunks(8 * BLOCK_WORDS) {
            hasher.write_u64(self.folded(block));
        }

        hasher.finish128().as_bytes()
    }

    /// Folds a block to one number: each half of a word is added to a secret half, and the sums are
    /// multiplied. This is NH of UMAC (RFC 4418, section 5.2.2). For an unknown key, two different
    /// blocks of one length collide with probability 2^-32. This requires that the secrets are
    /// independent of each other.
    fn folded(&self, block: &[u8]) -> u64 {
        let (words, tail) = block.as_chunks();
        let mut sum = 0_u64;
        let (groups, others) = words.as_chunks();
        let (secret_groups, _) = self.fold.as_chunks();
        for (group, secrets) in groups.iter().zip(secret_groups) {
            sum = sum.wrapping_add(products(group, secrets));
        }

        let secrets = self.fold.iter().skip(GROUP_WORDS * groups.len());
        for (word, secret) in others.iter().zip(secrets) {
            sum = sum.wrapping_add(product(*word, *secret));
        }

        if let Some(secret) = self.fold.get(words.len())
            && !tail.is_empty()
        {
            let mut last = [0; 8];
            last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            sum = sum.wrapping_add(product(last, *secret));
        }

        sum
    }
}

/// The sum of the products of a group. A function of its own without a loop, so that the offset of
/// each word is part of its load.
#[inline(never)]
fn products(words: &[[u8; 8]; GROUP_WORDS], secrets: &[[u32; 2]; GROUP_WORDS]) -> u64 {
    let (words, _) = words.as_chunks();
    let (secrets, _) = secrets.as_chunks();
    let ([a, b, c, d], [k, l, m, n]) = (words, secrets) else {
        return 0;
    };
    four(a, k)
        .wrapping_add(four(b, l))
        .wrapping_add(four(c, m))
        .wrapping_add(four(d, n))
}

#[inline(always)]
fn four([a, b, c, d]: &[[u8; 8]; 4], [k, l, m, n]: &[[u32; 2]; 4]) -> u64 {
    product(*a, *k)
        .wrapping_add(product(*b, *l))
        .wrapping_add(product(*c, *m))
        .wrapping_add(product(*d, *n))
}

/// The sums of the halves, multiplied.
#[inline(always)]
fn product(word: [u8; 8], [low, high]: [u32; 2]) -> u64 {
    let [a, b, c, d, e, f, g, h] = word;
    let first = u32::from_le_bytes([a, b, c, d]).wrapping_add(low);
    let second = u32::from_le_bytes([e, f, g, h]).wrapping_add(high);
    u64::from(first) * u64::from(second)
}

impl std::fmt::Debug for Tagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tagger")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagger(secret: &str) -> Tagger {
        Tagger::new(&Key::of_secret(secret.as_bytes()))
    }

    fn tag(tagger: &Tagger, value: &[u8]) -> [u8; TAG_BYTES] {
        tagger.tag("name", Uuid::nil(), value)
    }

    #[test]
    fn what_keys_derive_differs_in_every_word() {
        let (one, other) = (tagger("one"), tagger("other"));
        let mut words: Vec<[u32; 2]> = [&one, &other].into_iter().flat_map(|of| of.fold).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 2 * BLOCK_WORDS);
        assert_ne!(one.sip, other.sip);
        assert_ne!(one.mark, other.mark);
    }

    #[test]
    fn groups_fold_as_their_words_do() {
        let tagger = tagger("key");
        let block: Vec<u8> = (0..512_u32).map(|index| (index * 7 % 251) as u8).collect();
        for length in [0, 5, 8, 127, 128, 136, 255, 384, 509, 512] {
            let mut padded = block[..length].to_vec();
            padded.resize(length.next_multiple_of(8), 0);
            let sum = (padded.as_chunks().0.iter().zip(&tagger.fold))
                .fold(0_u64, |sum, (word, secret)| {
                    sum.wrapping_add(product(*word, *secret))
                });
            assert_eq!(tagger.folded(&block[..length]), sum, "{length}");
        }
    }

    /// Four words at equal distances, two of which grow and two shrink by the same amount. A fold
    /// with secrets at equal steps would miss this.
    #[test]
    fn changes_that_cancel_each_other_are_seen() {
        for key in 0..50 {
            let tagger = tagger(&format!("key {key}"));
            let value = b"repeat! ".repeat(WHOLE_BYTES / 8 + 300);
            let genuine = tag(&tagger, &value);
            for (start, step) in [(0, 1), (3, 7), (60, 2), (10, 64)] {
                let mut forged = value.clone();
                for (word, up) in [
                    (start, true),
                    (start + step, false),
                    (start + 2 * step, false),
                    (start + 3 * step, true),
                ] {
                    let byte = &mut forged[WHOLE_BYTES + 8 * word + 7];
                    *byte = if up { *byte + 1 } else { *byte - 1 };
                }
                assert_ne!(tag(&tagger, &forged), genuine, "key {key}, {start}, {step}");
            }
        }
    }

    #[test]
    fn every_byte_and_its_place_counts() {
        let tagger = tagger("key");
        let value: Vec<u8> = (0..WHOLE_BYTES + 1500)
            .map(|index| (index % 251) as u8)
            .collect();
        let genuine = tag(&tagger, &value);

        for index in 0..value.len() {
            let mut changed = value.clone();
            changed[index] ^= 1;
            assert_ne!(tag(&tagger, &changed), genuine, "{index}");
        }

        let block = 8 * BLOCK_WORDS;
        let mut swapped = value.clone();
        swapped[WHOLE_BYTES..].rotate_left(block);
        assert_ne!(tag(&tagger, &swapped), genuine, "blocks in another order");

        for longer in [&[0][..], &[0; 8], &[0; 512]] {
            assert_ne!(tag(&tagger, &[&value, longer].concat()), genuine);
        }
        assert_ne!(tagger.tag("other", Uuid::nil(), &value), genuine);
        assert_ne!(tagger.tag("name", Uuid::max(), &value), genuine);
    }

    #[test]
    fn a_list_of_keys_reads_as_it_was_written() {
        let keys = [Key::of_secret(b"a"), Key::of_secret(b"b")];
        let mut bytes = Key::write_all(&keys);
        assert_eq!(Key::read_all(&bytes), keys);

        bytes[3] ^= 1;
        assert_eq!(
            Key::read_all(&bytes),
            keys[1..],
            "what was overwritten is none"
        );
        assert!(Key::read_all(&[0; 79]).is_empty() && Key::read_all(b"").is_empty());
    }
}
