//! The sections `rules` and `default`: conditions on requests, and the content of their records.

mod conditions;

use std::mem;
use std::rc::Rc;

use super::capture::{capture, set_tracking};
use super::identity;
use super::lints::{self, Placed};
use super::node::Node;
use super::object::Object;
use super::patterns::check_exclusion;
use super::text::is_label;
use crate::record::{Outcome, Protocol, RequireAudit};
use crate::recorder::capture::Capture;
use crate::recorder::identity::IdentitySettings;
use crate::recorder::rules::{Conditions, ExtraFields, PathPattern, Policy, Rule, StatusRange};
use crate::recorder::session::SessionEvent;
use crate::recorder::tracking::{MAX_OPERATION_BYTES, TrackingSettings};
use conditions::conditions;

const OUTCOMES: [(&str, Outcome); 4] = [
    ("success", Outcome::Success),
    ("failure", Outcome::Failure),
    ("denied", Outcome::Denied),
    ("aborted", Outcome::Aborted),
];

const REQUIRE_AUDIT: [(&str, RequireAudit); 3] = [
    ("none", RequireAudit::None),
    ("buffered", RequireAudit::Buffered),
    ("acknowledged", RequireAudit::Acknowledged),
];

/// The two default rules: successful session checks, and tracked requests.
fn default_rules(identity: &Rc<IdentitySettings>) -> [Rule; 2] {
    let check = Conditions {
        protocol: Some(Protocol::Http),
        methods: vec!["GET".to_owned()],
        path: Some(PathPattern::Exact("/check".to_owned())),
        ..Conditions::default()
    };
    let tracked = Conditions {
        tracked: Some(true),
        ..Conditions::default()
    };

    let check = Rule {
        record_on: vec![Outcome::Success],
        http_statuses: vec![StatusRange {
            first: 200,
            last: 200,
        }],
        identity: identity::of_check(identity),
        ..plain_rule("check", check, identity)
    };

    [check, plain_rule("tracked", tracked, identity)]
}

fn plain_rule(name: &str, conditions: Conditions, identity: &Rc<IdentitySettings>) -> Rule {
    Rule {
        name: name.into(),
        conditions,
        recorded: true,
        action: None,
        record_on: OUTCOMES.map(|(_, outcome)| outcome).to_vec(),
        http_statuses: Vec::new(),
        immediate_on: Vec::new(),
        require_audit: RequireAudit::None,
        identity: Rc::clone(identity),
        session: None,
        correlate: false,
        capture: Capture::default(),
        set_tracking: None,
        tags: Rc::new([]),
        extra_fields: ExtraFields::default(),
    }
}

/// Reads `rules` and `default`.
pub(super) fn policy(
    root: &mut Object<'_>,
    identity: &Rc<IdentitySettings>,
    tracking: &TrackingSettings,
) -> Policy {
    let mut placed = match root.field("rules") {
        None => default_rules(identity)
            .map(|rule| (None, Rc::new(rule)))
            .to_vec(),
        Some(node) => rules(&node, identity, tracking),
    };

    if let Some(node) = root.field("default")
        && let Some(rule) = unmatched(&node, &placed, identity)
    {
        placed.push((Some(node), Rc::new(rule)));
    }

    let policy = Policy::new(placed.iter().map(|(_, rule)| Rc::clone(rule)).collect());
    lints::unreached(&policy, &placed);
    policy
}

fn rules<'a>(
    node: &Node<'a>,
    identity: &Rc<IdentitySettings>,
    tracking: &TrackingSettings,
) -> Vec<Placed<'a>> {
    let mut placed: Vec<Placed<'a>> = Vec::new();
    for entry in node.non_empty_list().unwrap_or_default() {
        let Some(rule) = rule(&entry, identity, tracking) else {
            continue;
        };
        if !rule.name.is_empty() && placed.iter().any(|(_, earlier)| earlier.name == rule.name) {
            entry.refuse("has the name of an earlier rule");
        }

        lints::secrets_handed_on(&entry, &rule);
        placed.push((Some(entry), Rc::new(rule)));
    }
    placed
}

/// `audit.rule` of a request that no rule matches.
const DEFAULT: &str = "default";

/// Reads `default`: a last rule that matches every request. `None` for level none, which adds no
/// rule.
fn unmatched(
    node: &Node<'_>,
    placed: &[Placed<'_>],
    identity: &Rc<IdentitySettings>,
) -> Option<Rule> {
    let mut object = node.object()?;
    let mut rule = plain_rule(DEFAULT, Conditions::default(), identity);
    rule.recorded = object.read("level", false, |node| {
        node.one_of(&[("none", false), ("metadata", true)])
    });
    let required =
        |node: &Node<'_>| recorded_only(node, node.one_of(&REQUIRE_AUDIT)?, rule.recorded);
    rule.require_audit = object.read("require_audit", RequireAudit::None, required);
    object.finish();

    if placed.iter().any(|(_, rule)| &*rule.name == DEFAULT) {
        node.refuse("is the name of a rule, too: records of both would have the same audit.rule");
    }
    rule.recorded.then_some(rule)
}

fn rule(
    node: &Node<'_>,
    identity: &Rc<IdentitySettings>,
    tracking: &TrackingSettings,
) -> Option<Rule> {
    let mut object = node.object()?;
    let name = object.required("name").and_then(|node| rule_name(&node));
    let match_node = object.field("match");
    let conditions = match_node
        .and_then(|node| conditions(&node))
        .unwrap_or_default();
    let mut rule = plain_rule(name.unwrap_or_default(), conditions, identity);

    rule.set_tracking = set_tracking(object.field("set_tracking"));
    let level = level(&mut object, rule.set_tracking.is_some());
    rule.recorded = level != Level::None;
    rule.action = object
        .field("action")
        .and_then(|node| action(&node))
        .filter(|action| !action.is_empty());
    read_ends(&mut object, &mut rule);

    rule.require_audit = object.read("require_audit", RequireAudit::None, |node| {
        require_audit(node, &rule, tracking)
    });
    rule.tags = object.read("tags", Rc::new([]), tags);
    rule.extra_fields = object.read("extra_fields", ExtraFields::default(), extra_fields);
    rule.identity = identity::of_rule(object.field("identity"), identity);

    read_session(&mut object, &mut rule);
    rule.capture = capture(object.field("capture"), level == Level::Request);

    if let Some(node) = match_node.filter(|_| rule.excludes()) {
        check_exclusion(&node, &rule.conditions);
    }
    object.finish();
    Some(rule)
}

/// Reads which ends are recorded, and which at once.
fn read_ends(object: &mut Object<'_>, rule: &mut Rule) {
    let recorded = rule.recorded;
    let warn_unrecorded = |node: &Node<'_>| {
        if !recorded {
            node.warn("has no effect: level is none (its default where set_tracking is given)");
        }
    };
    let default = mem::take(&mut rule.record_on);
    rule.record_on = object.read("record_on", default, |node| {
        warn_unrecorded(node);
        Some(node.each_of_some(|entry| entry.one_of(&OUTCOMES)))
    });
    rule.http_statuses = object.read("http_statuses", Vec::new(), |node| {
        warn_unrecorded(node);
        Some(node.each(status_range))
    });
    rule.immediate_on = object.read("immediate_on", Vec::new(), |node| {
        warn_unrecorded(node);
        Some(node.each(|entry| entry.one_of(&OUTCOMES)))
    });
}

/// Reads `session` and `correlate`.
fn read_session(object: &mut Object<'_>, rule: &mut Rule) {
    let events = [
        ("none", None),
        ("start", Some(SessionEvent::Start)),
        ("end", Some(SessionEvent::End)),
    ];
    rule.session = object.read("session", None, |node| {
        recorded_only(node, node.one_of(&events)?, rule.recorded)
    });
    rule.correlate = object.read("correlate", false, |node| {
        recorded_only(node, node.boolean()?, rule.recorded)
    });
}

/// Reads `level`. The next hop records a request that gets control headers, so that there is one
/// record.
fn level(object: &mut Object<'_>, sets_tracking: bool) -> Level {
    let default = if sets_tracking {
        Level::None
    } else {
        Level::Metadata
    };
    let levels = [
        ("none", Level::None),
        ("metadata", Level::Metadata),
        ("request", Level::Request),
    ];
    object.read("level", default, |node| node.one_of(&levels))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    None,
    Metadata,
    Request,
}

/// A required record must be made of every request that the rule matches. `record_on` and
/// `http_statuses` are allowed: the request has its reservation, or its receipt, before its end is
/// known.
fn require_audit(
    node: &Node<'_>,
    rule: &Rule,
    tracking: &TrackingSettings,
) -> Option<RequireAudit> {
    let required = recorded_only(node, node.one_of(&REQUIRE_AUDIT)?, rule.recorded)?;
    let may_skip = rule.is_triggered_by_tracking() && !tracking.record_empty_context;

    if required != RequireAudit::None && rule.recorded && may_skip {
        node.refuse(
            "needs a record, and a tracked request without context has none: set tracking.on_empty_context to record",
        );
    }
    Some(required)
}

/// Refuses a value that needs a record where the rule makes none.
fn recorded_only<T: Default + PartialEq>(node: &Node<'_>, value: T, recorded: bool) -> Option<T> {
    if value != T::default() && !recorded {
        node.refuse("needs a record, and level is none (its default where set_tracking is given)");
    }
    Some(value)
}

fn rule_name<'a>(node: &Node<'a>) -> Option<&'a str> {
    let name = node.non_empty_text()?;
    if !is_label(name, b"_-") {
        node.refuse("must be made of [a-z0-9_-]");
        return None;
    }
    Some(name)
}

fn action(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.len() > MAX_OPERATION_BYTES {
        node.refuse(&format!(
            "must not be longer than {MAX_OPERATION_BYTES} bytes"
        ));
        return None;
    }

    if text.trim() != text {
        node.refuse("must not start or end with white space");
        return None;
    }
    Some(text.to_owned())
}

/// `200`, `"200"` or `"2xx"`.
fn status_range(node: &Node<'_>) -> Option<StatusRange> {
    if let Some(class) = node
        .peek_like("^[1-5]xx$")
        .and_then(|text| text.strip_suffix("xx"))
    {
        let first = [("1", 100), ("2", 200), ("3", 300), ("4", 400), ("5", 500)]
            .iter()
            .find(|(digit, _)| *digit == class);
        if first.is_none() {
            node.refuse("must be a status such as 200, or a class such as 2xx");
        }
        return first.map(|(_, first)| StatusRange {
            first: *first,
            last: first + 99,
        });
    }

    let status = u16::try_from(node.integer(100, 599)?).ok()?;
    Some(StatusRange {
        first: status,
        last: status,
    })
}

fn tags(node: &Node<'_>) -> Option<Rc<[(String, String)]>> {
    let tag = |(name, node): (&str, Node<'_>)| {
        if !is_label(name, b"_-.") {
            node.refuse("must have a name made of [a-z0-9_.-]");
            return None;
        }
        Some((name.to_owned(), node.text()?.to_owned()))
    };
    Some(node.entries()?.into_iter().filter_map(tag).collect())
}

fn extra_fields(node: &Node<'_>) -> Option<ExtraFields> {
    let mut fields = ExtraFields::default();
    let words = [
        ("upstream_cluster", 0),
        ("peer_uri_san", 1),
        ("response_flags", 2),
        ("response_code_details", 3),
    ];

    for index in node.each(|entry| entry.one_of(&words)) {
        match index {
            0 => fields.upstream_cluster = true,
            1 => fields.peer_uri_san = true,
            2 => fields.response_flags = true,
            _ => fields.response_code_details = true,
        }
    }
    Some(fields)
}
