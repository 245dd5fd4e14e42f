//! `match` of a rule: conditions on requests.

use crate::config::node::Node;
use crate::config::patterns::{host, path_pattern};
use crate::config::text::{header_name, header_value, method};
use crate::record::Protocol;
use crate::recorder::rules::{Conditions, HeaderCondition, ValuePattern};

/// Reads `match` of a rule.
pub(super) fn conditions(node: &Node<'_>) -> Option<Conditions> {
    let mut object = node.object()?;
    let protocols = [
        ("any", None),
        ("http", Some(Protocol::Http)),
        ("grpc", Some(Protocol::Grpc)),
    ];

    let conditions = Conditions {
        protocol: object.read("protocol", None, |node| node.one_of(&protocols)),
        hosts: object.read("hosts", Vec::new(), |node| Some(node.each_of_some(host))),
        methods: object.read("methods", Vec::new(), |node| {
            Some(node.each_of_some(method))
        }),
        path: object.field("path").and_then(|node| path_pattern(&node)),
        headers: object.read("headers", Vec::new(), |node| {
            Some(node.each_of_some(header))
        }),
        tracked: object.field("tracked").and_then(|node| node.boolean()),
    };
    object.finish();
    Some(conditions)
}

fn header(node: &Node<'_>) -> Option<HeaderCondition> {
    let mut object = node.object()?;
    let name = object.required("name").and_then(|node| header_name(&node));
    object.expect_keys(
        2,
        &[],
        "must have a name and exactly one of exact, prefix, suffix, contains, present",
    );

    let mut text = |key| object.field(key).and_then(|node| header_value(&node));
    let value = text("exact").map(ValuePattern::Exact);
    let value = value.or(text("prefix").map(ValuePattern::Prefix));
    let value = value.or(text("suffix").map(ValuePattern::Suffix));
    let value = value.or(text("contains").map(ValuePattern::Contains));
    let value = value.or(object
        .field("present")
        .and_then(|node| node.boolean())
        .map(ValuePattern::Present));

    object.finish();
    Some(HeaderCondition {
        name: name?,
        value: value?,
    })
}
