//! Fingerprints of the records that were read last, to compare repeated ones with the first.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::record::{Content, is_of_transport};

/// Most records that are remembered, about 15 MB. Repeats come from retries, which are minutes long
/// and not days.
const CAPACITY: usize = 1 << 18;

/// Begins of the names that the filter gives to the attributes of records. Pipelines add others,
/// such as their own time of receipt, which differ between repeats.
const OF_THE_FILTER: [&str; 13] = [
    "audit.",
    "client.",
    "error.",
    "http.",
    "log.record.",
    "network.",
    "rpc.",
    "server.",
    "service.name",
    "session.",
    "url.",
    "user.",
    "user_agent.",
];

/// The last records with a number, each with the hashes of its uid and of its content.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: HashMap<u64, (u64, u64)>,
    order: VecDeque<u64>,
}

/// How a record compares with the first one of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same record.
    Same,
    /// The same uid, another content.
    OtherContent,
    /// Another uid.
    OtherUid,
    /// The first one is not remembered.
    Forgotten,
}

impl Recent {
    /// Remembers a record; the oldest one is forgotten for it.
    pub(super) fn insert(&mut self, number: (&str, i64), uid: &str, fingerprint: u64) {
        if self.order.len() >= CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }

        let key = hash(number);
        self.order.push_back(key);
        self.seen.insert(key, (hash(uid), fingerprint));
    }

    pub(super) fn compare(&self, number: (&str, i64), uid: &str, fingerprint: u64) -> Repeat {
        match self.seen.get(&hash(number)) {
            None => Repeat::Forgotten,
            Some((known, _)) if *known != hash(uid) => Repeat::OtherUid,
            Some((_, known)) if *known != fingerprint => Repeat::OtherContent,
            Some(_) => Repeat::Same,
        }
    }
}

/// Hash of all that the filter has written into a record, without how it was delivered.
pub(super) fn fingerprint(content: &Content) -> u64 {
    let attributes = content.attributes.iter().filter(|(name, _)| {
        let is_of_filter = OF_THE_FILTER.iter().any(|begin| name.starts_with(begin));
        is_of_filter && !is_of_transport(name, &content.event_name)
    });

    let mut hasher = DefaultHasher::new();
    let times = (content.time_unix_nano, content.observed_time_unix_nano);
    (times, content.severity_number, &content.event_name).hash(&mut hasher);
    (&content.trace_id, &content.span_id, &content.body).hash(&mut hasher);
    for attribute in attributes {
        attribute.hash(&mut hasher);
    }
    hasher.finish()
}

fn hash(value: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_compared_until_its_first_record_is_forgotten() {
        let mut recent = Recent::default();
        let last = i64::try_from(CAPACITY).unwrap();
        for number in 0..=last {
            recent.insert(("a", number), "uid", 7);
        }

        assert_eq!(recent.compare(("a", 0), "uid", 7), Repeat::Forgotten);
        assert_eq!(recent.compare(("b", 1), "uid", 7), Repeat::Forgotten);
        assert_eq!(recent.compare(("a", 1), "uid", 7), Repeat::Same);
        assert_eq!(recent.compare(("a", last), "uid", 8), Repeat::OtherContent);
        assert_eq!(recent.compare(("a", last), "other", 7), Repeat::OtherUid);
        assert_eq!(recent.order.len(), CAPACITY);
        assert_eq!(recent.seen.len(), CAPACITY);
    }
}
