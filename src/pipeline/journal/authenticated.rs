//! Shared data with an authentication tag on each value. In an Envoy whose plugins have no separate
//! `vm_id`, every other plugin can write the same keys.
//!
//! A tag covers the value's name, owner and bytes. The process key is in shared data, so every
//! plugin can read it and forge tags with it. A key from the environment protects against a hostile
//! plugin, the process key against a careless one. A value that is put back under the same name and
//! owner is accepted (replay).
//!
//! Names contain a mark of the key, so that VMs with different keys do not damage each other's
//! entries. A VM with several keys, as during a rotation, writes with the first and reads those of
//! all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use uuid::Uuid;

use super::tag::{Key, Tagger};
use crate::host::SharedData;
use crate::pipeline::room::TAG_BYTES;

/// Prefix of every name in shared data. The number is the version of the format: data of other
/// versions is neither read nor changed.
macro_rules! name {
    ($name:literal) => {
        concat!("audit_filter.2.", $name)
    };
}

/// Name of the list of process keys.
const PROCESS_KEYS: &str = name!("keys");

/// Most process keys that are used: only a plugin that overwrites the list again and again causes
/// more.
const MAX_PROCESS_KEYS: usize = 4;

/// Shared data with a tag on each value.
#[derive(Debug)]
pub struct Authenticated {
    shared: Rc<dyn SharedData>,
    /// The first one makes tags.
    taggers: RefCell<Vec<Rc<Tagger>>>,
    /// The list of process keys as last read; `None` with keys from the environment.
    process_keys: Option<RefCell<Vec<u8>>>,
    refused: Cell<u64>,
}

/// A value with a wrong tag: forged, damaged, or of another owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused;

/// Values of one key and one owner.
#[derive(Debug)]
pub(super) struct Keyed<'a> {
    of: &'a Authenticated,
    tagger: Rc<Tagger>,
    owner: Uuid,
}

impl Authenticated {
    /// With keys from the environment, the first of which makes tags. Without any, the process key
    /// is used; `fresh` becomes it where there is none yet.
    #[must_use]
    pub fn new(shared: Rc<dyn SharedData>, keys: &[Key], fresh: Key) -> Self {
        let process_keys = keys.is_empty().then(RefCell::default);
        let taggers = keys.iter().map(|key| Rc::new(Tagger::new(key))).collect();
        let new = Self {
            shared,
            taggers: RefCell::new(taggers),
            process_keys,
            refused: Cell::new(0),
        };
        new.load_process_keys(&fresh);

        new
    }

    /// How many values were refused since the last call: forged, or damaged.
    pub fn take_refused(&self) -> u64 {
        self.refused.take()
    }

    /// How many keys there are.
    pub(super) fn keys(&self) -> usize {
        self.taggers.borrow().len()
    }

    /// Values of the key with this index and of this owner; [`Uuid::nil`] for values without an
    /// owner.
    pub(super) fn with_key(&self, index: usize, owner: Uuid) -> Keyed<'_> {
        let taggers = self.taggers.borrow();
        let tagger = taggers
            .get(index)
            .or(taggers.first())
            .cloned()
            .unwrap_or_default();

        Keyed {
            of: self,
            tagger,
            owner,
        }
    }

    /// Restores this VM's process key where another plugin has overwritten it, and loads keys of
    /// VMs that were created in the meantime.
    pub(super) fn restore_process_key(&self) {
        let own = self.taggers.borrow().first().map(|tagger| tagger.key());
        if let Some(own) = own {
            self.load_process_keys(&own);
        }
    }

    /// Loads the process keys. Adds this one if the list is empty, or if the key is in use and
    /// missing.
    fn load_process_keys(&self, own: &Key) {
        let Some(seen) = &self.process_keys else {
            return;
        };

        let found = self.shared.get(PROCESS_KEYS);
        let (mut bytes, version) = found.map_or((Vec::new(), None), |(bytes, version)| {
            (bytes, Some(version))
        });
        if bytes == *seen.borrow() && !bytes.is_empty() {
            return;
        }

        let mut keys = Key::read_all(&bytes);
        let is_in_use = self.keys() > 0;
        if keys.is_empty() || is_in_use && !keys.contains(own) && keys.len() < MAX_PROCESS_KEYS {
            keys.push(*own);
            bytes = Key::write_all(&keys);
            if !self.shared.replace(PROCESS_KEYS, &bytes, version) {
                // Another VM has changed the list first.
                bytes = self
                    .shared
                    .get(PROCESS_KEYS)
                    .map(|(bytes, _)| bytes)
                    .unwrap_or_default();
                keys = Key::read_all(&bytes);
            }
        }

        seen.replace(bytes);
        let mut taggers = self.taggers.borrow_mut();
        for key in keys.iter().take(MAX_PROCESS_KEYS) {
            if !taggers.iter().any(|tagger| tagger.key() == *key) {
                taggers.push(Rc::new(Tagger::new(key)));
            }
        }

        if taggers.is_empty() {
            taggers.push(Rc::new(Tagger::new(own)));
        }
    }
}

impl Keyed<'_> {
    fn whole_name(&self, name: &str) -> String {
        [name!(""), self.tagger.mark(), ".", name].concat()
    }

    fn verify(&self, name: &str, value: &mut Vec<u8>) -> bool {
        let Some((content, tag)) = value.split_last_chunk() else {
            return value.is_empty();
        };
        let is_genuine = self.tagger.tag(name, self.owner, content) == *tag;
        value.truncate(content.len());
        is_genuine
    }

    /// A value and its version; [`Refused`] if the tag is wrong.
    pub(super) fn read(&self, name: &str) -> Option<(Result<Vec<u8>, Refused>, u32)> {
        let name = self.whole_name(name);
        let (mut value, version) = self.of.shared.get(&name)?;
        if self.verify(&name, &mut value) {
            return Some((Ok(value), version));
        }
        self.of.refused.set(self.of.refused.get() + 1);
        Some((Err(Refused), version))
    }

    /// Whether a value is empty, whatever its owner; `None`: it does not exist.
    pub(super) fn is_empty(&self, name: &str) -> Option<bool> {
        Some(self.of.shared.get(&self.whole_name(name))?.0.is_empty())
    }

    /// Sets a value without copying it, if its capacity has [`TAG_BYTES`] to spare. The value is
    /// left as it was.
    pub(super) fn put(&self, name: &str, value: &mut Vec<u8>) {
        let (name, length) = (self.whole_name(name), value.len());
        self.add_tag(&name, value);
        self.of.shared.set(&name, value);
        value.truncate(length);
    }

    fn add_tag(&self, name: &str, value: &mut Vec<u8>) {
        // An empty value carries no information, so it needs no tag.
        if !value.is_empty() {
            let tag = self.tagger.tag(name, self.owner, value);
            value.reserve_exact(TAG_BYTES);
            value.extend_from_slice(&tag);
        }
    }
}

/// A refused value reads as an empty one.
impl SharedData for Keyed<'_> {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        let (value, version) = self.read(name)?;
        Some((value.unwrap_or_default(), version))
    }

    fn set(&self, name: &str, value: &[u8]) {
        self.put(name, &mut value.to_vec());
    }

    fn replace(&self, name: &str, value: &[u8], version: Option<u32>) -> bool {
        let (name, mut value) = (self.whole_name(name), value.to_vec());
        self.add_tag(&name, &mut value);
        self.of.shared.replace(&name, &value, version)
    }
}

#[cfg(test)]
mod tests {
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

    impl Values {
        fn name(&self, end: &str) -> String {
            self.0
                .borrow()
                .keys()
                .find(|name| name.ends_with(end))
                .unwrap()
                .clone()
        }
    }

    const OWNER: Uuid = Uuid::from_u128(1);

    fn key(secret: &str) -> Key {
        Key::of_secret(secret.as_bytes())
    }

    fn value(shared: &Authenticated, index: usize) -> Option<Vec<u8>> {
        shared
            .with_key(index, OWNER)
            .get("a")
            .map(|(value, _)| value)
    }

    #[test]
    fn a_value_reads_as_it_was_written() {
        let values: Rc<Values> = Rc::default();
        let writer = Authenticated::new(values.clone(), &[key("k1")], key("unused"));
        let reader = Authenticated::new(values, &[key("k2"), key("k1")], key("unused"));
        let long = "a value that is folded ".repeat(1000);

        for text in ["x", "", "a longer value of more than sixteen bytes", &long] {
            writer.with_key(0, OWNER).set("a", text.as_bytes());
            assert_eq!(
                value(&reader, 1).unwrap(),
                text.as_bytes(),
                "by a reader that has the key as an older one"
            );
            assert_eq!(value(&reader, 0), None, "its own names are others");
        }

        let keyed = writer.with_key(0, OWNER);
        assert!(keyed.replace("b", b"y", None) && !keyed.replace("b", b"z", None));
        assert_eq!(
            (writer.take_refused(), reader.take_refused(), keyed.get("c")),
            (0, 0, None)
        );
    }

    #[test]
    fn whatever_was_changed_is_refused_and_counted() {
        let values: Rc<Values> = Rc::default();
        let shared = Authenticated::new(values.clone(), &[], key("k"));
        let read = || (value(&shared, 0).unwrap(), shared.take_refused());
        shared
            .with_key(0, OWNER)
            .set("a", b"content ".repeat(1000).as_slice());
        let name = values.name(".a");
        let written = values.get(&name).unwrap().0;

        for index in (0..20)
            .chain(4070..4120)
            .chain(written.len() - 40..written.len())
        {
            let mut changed = written.clone();
            changed[index] ^= 1;
            values.set(&name, &changed);
            assert_eq!(read(), (Vec::new(), 1), "byte {index}");
        }

        for forged in [
            &written[1..],
            &written[..written.len() - 1],
            b"x",
            b"{}",
            &[0; 100],
        ] {
            values.set(&name, forged);
            assert_eq!(read(), (Vec::new(), 1), "{forged:?}");
        }
        values.set(&[name.strip_suffix("a").unwrap(), "b"].concat(), &written);
        let other_name = shared.with_key(0, OWNER).get("b").unwrap().0;
        assert_eq!(
            (other_name, shared.take_refused()),
            (Vec::new(), 1),
            "the value of another name"
        );

        values.set(&name, &written);
        assert_eq!(read(), (b"content ".repeat(1000), 0));

        let of_another = shared.with_key(0, Uuid::from_u128(2)).get("a").unwrap().0;
        assert_eq!(
            (of_another, shared.take_refused()),
            (Vec::new(), 1),
            "the value of another owner"
        );
    }

    #[test]
    fn without_a_key_the_process_has_one() {
        let values: Rc<Values> = Rc::default();
        let first = Authenticated::new(values.clone(), &[], key("first"));
        let second = Authenticated::new(values.clone(), &[], key("second"));
        first.with_key(0, OWNER).set("a", b"content");
        assert_eq!(value(&second, 0).unwrap(), b"content");
        let stranger = Authenticated::new(values, &[key("other")], key("unused"));
        assert_eq!((value(&stranger, 0), stranger.take_refused()), (None, 0));
    }

    #[test]
    fn a_key_of_the_process_that_was_overwritten_comes_back() {
        for damage in [
            b"overwritten by a careless plugin".to_vec(),
            vec![7; 80],
            Vec::new(),
        ] {
            let values: Rc<Values> = Rc::default();
            let first = Authenticated::new(values.clone(), &[], key("first"));
            first.with_key(0, OWNER).set("a", b"content");
            values.set(PROCESS_KEYS, &damage);
            let second = Authenticated::new(values.clone(), &[], key("second"));

            assert_eq!(value(&second, 0), None, "it has another key");

            first.restore_process_key();
            second.restore_process_key();
            assert_eq!(value(&second, 1).unwrap(), b"content");
            assert_eq!(
                (first.keys(), second.keys(), second.take_refused()),
                (2, 2, 0)
            );

            let third = Authenticated::new(values, &[], key("third"));
            assert_eq!(third.keys(), 2, "it has none of its own");
        }
    }
}
