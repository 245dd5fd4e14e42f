//! Shared data that only this plugin can have written. In an Envoy whose plugins have no `vm_id` of their own, every other
//! plugin can write the same keys.
//!
//! Each value carries a tag over its key and its bytes. Who can read the process's own key can forge tags, so a key
//! from the environment protects against a hostile plugin, and the process's own key against a careless one.

use std::cell::Cell;
use std::hash::Hasher;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::host::SharedData;

/// Of every name in shared data. The number is that of the format: data of another one is neither read nor changed.
macro_rules! name {
    ($name:literal) => {
        concat!("audit_filter.1.", $name)
    };
}
pub(super) use name;

/// Where the process's own key is.
const PROCESS_KEY: &str = name!("key");

const TAG_BYTES: usize = 16;

/// Bytes at the start of a value that SipHash reads itself: the ids and numbers of a batch. SipHash over the whole would
/// triple what the delivery of a record costs, so the rest is folded first.
const WHOLE_BYTES: usize = 4096;

/// A key that makes and verifies tags: 16 bytes for SipHash, 16 to fold with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// From a secret of any length.
    #[must_use]
    pub fn of_secret(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    fn tag(&self, name: &str, value: &[u8]) -> [u8; TAG_BYTES] {
        let [low, high, first, step] = self.0.as_chunks().0 else { return [0; TAG_BYTES] };
        let mut hasher = SipHasher13::new_with_keys(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        let (start, rest) = value.split_at_checked(WHOLE_BYTES).unwrap_or((value, &[]));
        hasher.write_u64(name.len() as u64);
        hasher.write(name.as_bytes());
        hasher.write(start);
        hasher.write_u64(rest.len() as u64);
        hasher.write_u64(fold(rest, u64::from_le_bytes(*first), u64::from_le_bytes(*step)));
        hasher.finish128().as_bytes()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Folds bytes to one number. Each word is added to a secret that differs from place to place, and its halves are multiplied: after
/// UMAC's NH (RFC 4418, section 5.2.2).
fn fold(bytes: &[u8], first: u64, step: u64) -> u64 {
    let (words, tail) = bytes.as_chunks();
    let mut last = [0; 8];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);

    let (mut secret, mut sum) = (first, 0_u64);
    for word in words.iter().chain([&last]) {
        let blinded = u64::from_le_bytes(*word).wrapping_add(secret);
        sum = sum.wrapping_add((blinded & 0xffff_ffff) * (blinded >> 32));
        secret = secret.wrapping_add(step | 1);
    }
    sum
}

/// Shared data with a tag on each value.
#[derive(Debug)]
pub struct Authenticated {
    shared: Rc<dyn SharedData>,
    /// Makes tags.
    key: Key,
    /// Verify tags that were made before the key was replaced.
    older_keys: Vec<Key>,
    refused: Cell<u64>,
}

impl Authenticated {
    /// With keys from the environment, the first of which makes tags. Without any, the process's own key is used: `fresh`
    /// becomes it where there is none yet.
    #[must_use]
    pub fn new(shared: Rc<dyn SharedData>, keys: &[Key], fresh: Key) -> Self {
        let (key, older_keys) = match keys.split_first() {
            Some((first, older)) => (*first, older.to_vec()),
            None => (process_key(&*shared, fresh), Vec::new()),
        };
        Self { shared, key, older_keys, refused: Cell::new(0) }
    }

    /// How many values were refused since the last call: forged, damaged, or made with a key that is not known.
    pub fn take_refused(&self) -> u64 {
        self.refused.take()
    }

    fn verify(&self, name: &str, value: &mut Vec<u8>) -> bool {
        let Some((content, tag)) = value.split_last_chunk() else { return value.is_empty() };
        let is_genuine = |key: &Key| key.tag(name, content) == *tag;
        let is_genuine = is_genuine(&self.key) || self.older_keys.iter().any(is_genuine);
        value.truncate(content.len());
        is_genuine
    }

    /// Sets a value without a copy of it.
    pub(super) fn put(&self, key: &str, value: Vec<u8>) {
        self.shared.set(key, &self.tagged(key, value));
    }

    fn tagged(&self, name: &str, mut value: Vec<u8>) -> Vec<u8> {
        // What is empty says nothing, so it needs no tag.
        if !value.is_empty() {
            let tag = self.key.tag(name, &value);
            value.extend_from_slice(&tag);
        }
        value
    }
}

/// A value that is refused reads as an empty one.
impl SharedData for Authenticated {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let (mut value, version) = self.shared.get(key)?;
        if !self.verify(key, &mut value) {
            self.refused.set(self.refused.get() + 1);
            value.clear();
        }
        Some((value, version))
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.put(key, value.to_vec());
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.shared.replace(key, &self.tagged(key, value.to_vec()), version)
    }
}

fn process_key(shared: &dyn SharedData, fresh: Key) -> Key {
    let read = || shared.get(PROCESS_KEY).map(|(bytes, version)| (<[u8; 32]>::try_from(bytes).ok(), version));
    let found = read();
    if let Some((Some(key), _)) = found {
        return Key(key);
    }
    if shared.replace(PROCESS_KEY, &fresh.0, found.map(|(_, version)| version)) {
        return fresh;
    }
    read().and_then(|(key, _)| key).map_or(fresh, Key)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;

    #[derive(Debug, Default)]
    struct Values(RefCell<HashMap<String, Vec<u8>>>);

    impl SharedData for Values {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            Some((self.0.borrow().get(key)?.clone(), 1))
        }

        fn set(&self, key: &str, value: &[u8]) {
            self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        }

        fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            let is_current = self.get(key).is_some() == version.is_some();
            if is_current {
                self.set(key, value);
            }
            is_current
        }
    }

    fn key(secret: &str) -> Key {
        Key::of_secret(secret.as_bytes())
    }

    fn value(shared: &Authenticated) -> Vec<u8> {
        shared.get("a").unwrap().0
    }

    #[test]
    fn a_value_reads_as_it_was_written() {
        let values: Rc<Values> = Rc::default();
        let writer = Authenticated::new(values.clone(), &[key("k1")], key("unused"));
        let reader = Authenticated::new(values, &[key("k2"), key("k1")], key("unused"));
        let long = "a value that is folded ".repeat(1000);
        for text in ["x", "", "a longer value of more than sixteen bytes", &long] {
            writer.set("a", text.as_bytes());
            assert_eq!(value(&reader), text.as_bytes(), "by a reader that knows the key as an older one");
        }
        assert!(writer.replace("b", b"y", None) && !writer.replace("b", b"z", None));
        assert_eq!((writer.take_refused(), reader.take_refused(), reader.get("c")), (0, 0, None));
    }

    #[test]
    fn whatever_was_changed_is_refused_and_counted() {
        let values: Rc<Values> = Rc::default();
        let shared = Authenticated::new(values.clone(), &[], key("k"));
        shared.set("a", b"content ".repeat(1000).as_slice());
        let written = values.get("a").unwrap().0;
        for index in (0..20).chain(4070..4120).chain(written.len() - 40..written.len()) {
            let mut changed = written.clone();
            changed[index] ^= 1;
            values.set("a", &changed);
            assert_eq!((value(&shared), shared.take_refused()), (Vec::new(), 1), "byte {index}");
        }
        for forged in [&written[1..], &written[..written.len() - 1], b"x", b"{}", &[0; 100]] {
            values.set("a", forged);
            assert_eq!((value(&shared), shared.take_refused()), (Vec::new(), 1), "{forged:?}");
        }
        values.set("b", &written);
        assert_eq!((shared.get("b").unwrap().0, shared.take_refused()), (Vec::new(), 1), "the value of another key");
        values.set("a", &written);
        assert_eq!((value(&shared), shared.take_refused()), (b"content ".repeat(1000), 0));
        let mut swapped = written;
        swapped[5000..5016].rotate_left(8);
        swapped[5000] ^= 1;
        swapped[5008] ^= 1;
        values.set("a", &swapped);
        assert_eq!((value(&shared), shared.take_refused()), (Vec::new(), 1), "words in another order");
    }

    #[test]
    fn without_a_key_the_process_has_one() {
        let values: Rc<Values> = Rc::default();
        let first = Authenticated::new(values.clone(), &[], key("first"));
        let second = Authenticated::new(values.clone(), &[], key("second"));
        first.set("a", b"content");
        assert_eq!(value(&second), b"content");
        let stranger = Authenticated::new(values, &[key("other")], key("unused"));
        assert_eq!((value(&stranger), stranger.take_refused()), (Vec::new(), 1));
    }
}
