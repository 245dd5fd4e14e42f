//! Rules by the hash of a value that a request must have, so that few rules are compared.

use std::rc::Rc;

use super::{HeaderCondition, PathPattern, RequestHead, Rule, ValuePattern};

/// The part of a request that an index covers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyPart {
    /// The whole path.
    Path,
    /// This many bytes at its start.
    PathStart(usize),
    /// This many bytes at its end.
    PathEnd(usize),
    /// A value of this header.
    Header(String),
}

/// Rules indexed by the same part: the index of each rule and its required value.
struct Group<'r> {
    part: KeyPart,
    keys: Vec<(usize, &'r [u8])>,
}

/// Indexes of the rules with the same part, by the hash of its required value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    part: KeyPart,
    /// The length is a power of two.
    buckets: Vec<Vec<usize>>,
}

/// Indexes of the rules, and the positions of those without a fixed part.
pub(super) fn build(rules: &[Rc<Rule>]) -> (Vec<Index>, Vec<usize>) {
    let (mut groups, mut unindexed) = (Vec::<Group<'_>>::new(), Vec::new());
    for (position, rule) in rules.iter().enumerate() {
        let Some((part, key)) = required_key(rule) else {
            unindexed.push(position);
            continue;
        };

        match groups.iter_mut().find(|group| group.part == part) {
            Some(group) => group.keys.push((position, key)),
            None => groups.push(Group {
                part,
                keys: vec![(position, key)],
            }),
        }
    }

    (groups.into_iter().map(Index::new).collect(), unindexed)
}

impl Index {
    fn new(Group { part, keys }: Group<'_>) -> Self {
        let mut index = Self {
            part,
            buckets: vec![Vec::new(); keys.len().next_power_of_two()],
        };

        for (position, key) in keys {
            let bucket = index.bucket(key);
            if let Some(positions) = index.buckets.get_mut(bucket) {
                positions.push(position);
            }
        }

        index
    }

    /// Passes the request's values of this part to `look`.
    pub(super) fn keys(&self, request: &RequestHead<'_>, mut look: impl FnMut(&[u8])) {
        let path = request.path;
        let key = match &self.part {
            KeyPart::Path => Some(path),
            KeyPart::PathStart(bytes) => path.get(..*bytes),
            KeyPart::PathEnd(bytes) => path
                .len()
                .checked_sub(*bytes)
                .and_then(|start| path.get(start..)),
            KeyPart::Header(name) => return request.headers.all(name).for_each(look),
        };

        if let Some(key) = key {
            look(key);
        }
    }

    pub(super) fn positions(&self, key: &[u8]) -> &[usize] {
        self.buckets
            .get(self.bucket(key))
            .map_or(&[], Vec::as_slice)
    }

    fn bucket(&self, key: &[u8]) -> usize {
        hash(key) & self.buckets.len().wrapping_sub(1)
    }
}

/// The value that a request must have for the rule to match, if it is selective enough.
fn required_key<'r>(rule: &'r Rule) -> Option<(KeyPart, &'r [u8])> {
    let path = rule.conditions.path.as_ref().map(|pattern| match pattern {
        PathPattern::Exact(text) => (KeyPart::Path, text.as_bytes()),
        PathPattern::Prefix(text) => (KeyPart::PathStart(text.len()), text.as_bytes()),
        PathPattern::Suffix(text) => (KeyPart::PathEnd(text.len()), text.as_bytes()),
        PathPattern::Template(template) => match template.ends() {
            (start, end) if start.len() < end.len() => {
                (KeyPart::PathEnd(end.len()), end.as_bytes())
            }
            (start, _) => (KeyPart::PathStart(start.len()), start.as_bytes()),
        },
    });

    let header = |condition: &'r HeaderCondition| match &condition.value {
        ValuePattern::Exact(text) => {
            Some((KeyPart::Header(condition.name.clone()), text.as_bytes()))
        }
        _ => None,
    };

    path.or_else(|| rule.conditions.headers.iter().find_map(header))
}

/// Hashes eight bytes at a time. The last word overlaps if the length is not a multiple of eight.
fn hash(key: &[u8]) -> usize {
    /// 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    let mix = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(SPREAD);
    let (words, rest) = key.as_chunks::<8>();
    let hash = words.iter().fold(key.len() as u64, |hash, word| {
        mix(hash, u64::from_le_bytes(*word))
    });
    let hash = match key.last_chunk::<8>() {
        Some(last) => mix(hash, u64::from_le_bytes(*last)),
        None => rest
            .iter()
            .fold(hash, |hash, byte| mix(hash, u64::from(*byte))),
    };

    // The last byte of a word reaches only the highest bits. Shifted by half a word, it affects all
    // higher bits.
    ((hash ^ (hash >> 32)).wrapping_mul(SPREAD) >> 32) as usize
}
