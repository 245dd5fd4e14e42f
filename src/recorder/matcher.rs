//! Finds the first rule that matches, without asking every one: those with an exact path are found by a hash of it.

use std::ops::Deref;
use std::rc::Rc;

use super::policy::{PathPattern, RequestHead, Rule};

/// The rules in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rc<Rule>>,
    /// Places of the rules with an exact path, by its hash; as many as a power of two, or none.
    exact: Vec<Vec<usize>>,
    /// Places of all others.
    others: Vec<usize>,
}

impl Policy {
    /// Sets up the search.
    #[must_use]
    pub fn new(rules: Vec<Rc<Rule>>) -> Self {
        let mut exact = vec![Vec::new(); rules.len().next_power_of_two()];
        let mut others = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            let bucket = match &rule.conditions.path {
                Some(PathPattern::Exact(path)) => {
                    bucket(&exact, path.as_bytes()).and_then(|index| exact.get_mut(index))
                }
                _ => None,
            };
            bucket.unwrap_or(&mut others).push(place);
        }
        if others.len() == rules.len() {
            exact.clear();
        }
        Self { rules, exact, others }
    }

    fn holds(&self, place: usize, request: &RequestHead<'_>) -> bool {
        self.rules.get(place).is_some_and(|rule| rule.conditions.hold(request))
    }
}

impl Deref for Policy {
    type Target = [Rc<Rule>];

    fn deref(&self) -> &Self::Target {
        &self.rules
    }
}

/// The first rule that matches.
#[must_use]
pub fn first_match<'p>(policy: &'p Policy, request: &RequestHead<'_>) -> Option<&'p Rc<Rule>> {
    let Policy { rules, exact, others } = policy;
    let holds = |place: &&usize| policy.holds(**place, request);
    let of_path = bucket(exact, request.path).and_then(|index| exact.get(index));
    let exact = of_path.and_then(|places| places.iter().find(holds)).copied();
    let end = exact.unwrap_or(rules.len());
    let other = others.iter().take_while(|place| **place < end).find(holds).copied();
    rules.get(other.or(exact)?)
}

/// Which of these buckets is the path's.
fn bucket(buckets: &[Vec<usize>], path: &[u8]) -> Option<usize> {
    let mask = buckets.len().checked_sub(1)?;
    Some(hash(path) & mask)
}

/// Of all bytes, eight at a time; the last eight once more, since they may be no whole word.
fn hash(path: &[u8]) -> usize {
    /// 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(SPREAD);
    let (words, rest) = path.as_chunks::<8>();
    let hash = words.iter().fold(path.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = match path.last_chunk::<8>() {
        Some(last) => mix(hash, u64::from_le_bytes(*last)),
        None => rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte))),
    };
    (hash >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Protocol;
    use crate::recorder::headers::Headers;
    use crate::recorder::path::Template;
    use crate::recorder::policy::Conditions;
    use proptest::prelude::*;

    /// Paths of few letters, so that many meet.
    fn path() -> impl Strategy<Value = String> {
        prop_oneof!["/[ab]{0,2}", "/[ab]{7}", "/[ab]/[ab]{6}", "/aaaaaaaaa[ab]{6}"]
    }

    fn pattern() -> impl Strategy<Value = Option<PathPattern>> {
        let template = Template::parse("/a/{x}").unwrap();
        prop_oneof![
            4 => path().prop_map(|path| Some(PathPattern::Exact(path))),
            1 => path().prop_map(|path| Some(PathPattern::Prefix(path))),
            1 => "[ab]{2}".prop_map(|end| Some(PathPattern::Suffix(end))),
            1 => Just(Some(PathPattern::Template(template))),
            1 => Just(None),
        ]
    }

    fn conditions() -> impl Strategy<Value = Conditions> {
        (pattern(), prop::option::of(any::<bool>()), prop::collection::vec("(GET|PUT)", 0..2))
            .prop_map(|(path, tracked, methods)| Conditions { path, tracked, methods, ..Conditions::default() })
    }

    /// Rules with these conditions; for the rest like a default one.
    fn rules(conditions: &[Conditions]) -> Vec<Rc<Rule>> {
        let configuration = crate::config::parse(br#"{"audit_cluster": {"cluster": "audit"}}"#, &|_| None).unwrap();
        let usual = &configuration.recorder.policy[0];
        conditions.iter().map(|of| Rc::new(Rule { conditions: of.clone(), ..Rule::clone(usual) })).collect()
    }

    proptest! {
        #[test]
        fn the_first_rule_that_holds_wins_however_it_is_found(
            conditions in prop::collection::vec(conditions(), 0..40), path in path(), tracked: bool, is_get: bool
        ) {
            let headers = Headers::default();
            let method: &[u8] = if is_get { b"GET" } else { b"PUT" };
            let (path, protocol) = (path.as_bytes(), Protocol::Http);
            let request = RequestHead { headers: &headers, method, path, authority: b"", protocol, tracked };
            let expected = conditions.iter().position(|conditions| conditions.hold(&request));
            let policy = Policy::new(rules(&conditions));
            let found = first_match(&policy, &request);
            prop_assert_eq!(found.and_then(|rule| policy.iter().position(|other| Rc::ptr_eq(other, rule))), expected);
        }
    }
}
