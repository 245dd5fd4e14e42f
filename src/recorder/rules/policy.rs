//! First-match lookup. Rules with a fixed path, prefix, suffix or exact header value are indexed by
//! hash; the rest are scanned.

use std::ops::{Deref, Range};
use std::rc::Rc;

use super::index::{self, Index};
use super::readings::Readings;
use super::{RequestHead, Rule};

/// The rules in configuration order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rc<Rule>>,
    indexes: Vec<Index>,
    /// Indexes of the rules without such a fixed part; scanned in order.
    unindexed: Vec<usize>,
}

impl Policy {
    /// Builds the indexes.
    #[must_use]
    pub fn new(rules: Vec<Rc<Rule>>) -> Self {
        let (indexes, unindexed) = index::build(&rules);
        Self {
            rules,
            indexes,
            unindexed,
        }
    }

    fn holds(&self, position: usize, request: &RequestHead<'_>) -> bool {
        self.rules
            .get(position)
            .is_some_and(|rule| rule.matches(request))
    }

    /// The first of these indexes within `range` whose rule matches, else the range's end.
    fn first_of(
        &self,
        positions: &[usize],
        range: Range<usize>,
        request: &RequestHead<'_>,
    ) -> usize {
        // A caller that continues from an index must not scan up to it again. A new request starts
        // at 0, with nothing to skip.
        let skipped = if range.start == 0 {
            0
        } else {
            positions.partition_point(|position| *position < range.start)
        };

        let mut within = positions
            .iter()
            .skip(skipped)
            .copied()
            .take_while(|position| *position < range.end);

        within
            .find(|position| self.holds(*position, request))
            .unwrap_or(range.end)
    }

    /// Index of the first matching rule from `start` on, for any protocol.
    pub(in crate::recorder) fn next_match(
        &self,
        start: usize,
        request: &RequestHead<'_>,
    ) -> Option<(usize, &Rc<Rule>)> {
        let mut first = self.rules.len();
        for index in &self.indexes {
            index.keys(request, |key| {
                first = self.first_of(index.positions(key), start..first, request)
            });
        }

        let position = self.first_of(&self.unindexed, start..first, request);
        Some((position, self.rules.get(position)?))
    }

    /// The rules that can decide about an exchange, in order. Its end shows which one does.
    ///
    /// Normally this is the first matching rule of each protocol. For a tracked request it is every
    /// rule up to the first that records all ends, since later rules may record what earlier ones
    /// do not.
    pub(in crate::recorder) fn candidates<'p, 'r>(
        &'p self,
        request: &'r RequestHead<'r>,
    ) -> impl Iterator<Item = (&'p Rc<Rule>, Readings)> + use<'p, 'r> {
        let (mut open, mut start) = (Readings::ALL, 0);
        std::iter::from_fn(move || {
            while !open.is_empty() {
                let (position, rule) = self.next_match(start, request)?;
                start = position + 1;

                let readings = open.both(Readings::of(rule.conditions.protocol));
                if !(request.tracked && rule.may_not_want()) {
                    open = open.without(readings);
                }
                if !readings.is_empty() {
                    return Some((rule, readings));
                }
            }

            None
        })
    }
}

impl Deref for Policy {
    type Target = [Rc<Rule>];

    fn deref(&self) -> &Self::Target {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Protocol};
    use crate::recorder::headers::Headers;
    use crate::recorder::rules::{Conditions, HeaderCondition, PathPattern, ValuePattern};
    use crate::recorder::uri::template::Template;

    const NAMES: [&str; 2] = ["x-a", "x-b"];
    use proptest::prelude::*;

    /// Paths over a small alphabet, so that many match.
    fn path() -> impl Strategy<Value = String> {
        prop_oneof![
            "/[ab]{0,2}",
            "/[ab]{7}",
            "/[ab]/[ab]{6}",
            "/aaaaaaaaa[ab]{6}"
        ]
    }

    fn pattern() -> impl Strategy<Value = Option<PathPattern>> {
        let templates = ["/a/{x}", "/{x}", "/{x}/{y}", "/{x}/ab", "/a/{x}/b"]
            .map(|text| Template::parse(text).unwrap());

        prop_oneof![
            4 => path().prop_map(|path| Some(PathPattern::Exact(path))),
            2 => path().prop_map(|path| Some(PathPattern::Prefix(path))),
            1 => Just(Some(PathPattern::Prefix(String::new()))),
            2 => "[ab]{0,3}".prop_map(|end| Some(PathPattern::Suffix(end))),
            2 => prop::sample::select(templates.to_vec()).prop_map(|template| Some(PathPattern::Template(template))),
            2 => Just(None),
        ]
    }

    fn header_conditions() -> impl Strategy<Value = Vec<HeaderCondition>> {
        let value = prop_oneof![
            3 => "[ab]{1,2}".prop_map(ValuePattern::Exact),
            1 => "[ab]".prop_map(ValuePattern::Prefix),
            1 => any::<bool>().prop_map(ValuePattern::Present),
        ];

        let condition = (prop::sample::select(NAMES.to_vec()), value).prop_map(|(name, value)| {
            HeaderCondition {
                name: name.to_owned(),
                value,
            }
        });

        prop::collection::vec(condition, 0..3)
    }

    fn conditions() -> impl Strategy<Value = Conditions> {
        let methods = prop::collection::vec("(GET|PUT)", 0..2);
        (
            pattern(),
            prop::option::of(any::<bool>()),
            methods,
            header_conditions(),
        )
            .prop_map(|(path, tracked, methods, headers)| Conditions {
                path,
                tracked,
                methods,
                headers,
                ..Conditions::default()
            })
    }

    /// Rules with these conditions, otherwise with default values.
    fn rules(conditions: &[Conditions]) -> Vec<Rc<Rule>> {
        let configuration =
            crate::config::parse(br#"{"audit_cluster": {"cluster": "audit"}}"#, &|_| None).unwrap();
        let usual = &configuration.recorder.policy[0];

        conditions
            .iter()
            .map(|of| {
                Rc::new(Rule {
                    conditions: of.clone(),
                    ..Rule::clone(usual)
                })
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_first_rule_that_holds_wins_however_it_is_found(
            conditions in prop::collection::vec(conditions(), 0..40), path in path(), tracked: bool, is_get: bool,
            values in prop::collection::vec((prop::sample::select(NAMES.to_vec()), "[ab]{1,2}"), 0..4)
        ) {
            let headers: Headers<'_> = values.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let method: &[u8] = if is_get { b"GET" } else { b"PUT" };
            let path = path.as_bytes();
            let request = RequestHead { headers: &headers, method, path, authority: b"", tracked };
            let policy = Policy::new(rules(&conditions));

            for start in [0, 3] {
                let expected = conditions.iter().skip(start).position(|conditions| conditions.hold(&request));
                let found = policy.next_match(start, &request).map(|(place, _)| place);
                prop_assert_eq!(found, expected.map(|place| place + start));
            }
        }

        #[test]
        fn each_protocol_has_its_first_rule(
            rules_of in prop::collection::vec((0..3_usize, any::<bool>()), 0..8), tracked: bool
        ) {
            let protocols = [None, Some(Protocol::Http), Some(Protocol::Grpc)];
            let conditions: Vec<Conditions> =
                rules_of.iter().map(|(of, _)| Conditions { protocol: protocols[*of], ..Conditions::default() }).collect();
            let mut rules = rules(&conditions);
            for (rule, (_, restricted)) in rules.iter_mut().zip(&rules_of) {
                let rule = Rc::make_mut(rule);
                rule.http_statuses.clear();
                if !restricted {
                    rule.record_on = vec![Outcome::Success, Outcome::Failure, Outcome::Denied, Outcome::Aborted];
                }
            }

            let policy = Policy::new(rules);
            let headers = Headers::default();
            let request = RequestHead { headers: &headers, method: b"GET", path: b"/", authority: b"", tracked };
            let found: Vec<(usize, Protocol)> = policy.candidates(&request)
                .flat_map(|(rule, readings)| {
                    let place = policy.iter().position(|other| Rc::ptr_eq(other, rule)).unwrap();
                    [Protocol::Http, Protocol::Grpc].into_iter().filter(move |of| readings.has(*of)).map(move |of| (place, of))
                })
                .collect();
            let mut expected = Vec::new();
            for protocol in [Protocol::Http, Protocol::Grpc] {
                for (place, rule) in policy.iter().enumerate() {
                    if rule.conditions.protocol.is_none_or(|of| of == protocol) {
                        expected.push((place, protocol));
                        if !(tracked && rules_of[place].1) {
                            break;
                        }
                    }
                }
            }

            expected.sort_by_key(|(place, protocol)| (*place, *protocol == Protocol::Grpc));
            prop_assert_eq!(found, expected);
        }
    }
}
