//! Findings about hidden rules hold for every request.

use proptest::prelude::*;

use super::*;
use crate::recorder::rules::covering::Rest;
use crate::recorder::rules::{Policy, RequestHead};
use crate::recorder::uri::{authority, path};

const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/b", "/a/..%2fb", "/a//b"];
const HOSTS: [&str; 4] = ["a.test", "b.a.test", "b.test", "a.test@b.test"];

/// A rule without a name. Most conditions are absent, so that many rules cover others.
fn rule() -> impl Strategy<Value = Value> {
    let paths = [
        Value::Null,
        json!({"exact": "/a"}),
        json!({"prefix": "/a"}),
        json!({"prefix": "/a/"}),
        json!({"suffix": "/b"}),
        json!({"template": "/{x}"}),
        json!({"template": "/{x}/b"}),
        json!({"template": "/a/{x}"}),
    ];

    let hosts = [
        Value::Null,
        json!(["a.test"]),
        json!(["*.a.test", "a.test"]),
        json!(["*.test"]),
    ];

    let ends = [
        json!({}),
        json!({"record_on": ["failure"]}),
        json!({"http_statuses": ["5xx"]}),
    ];
    let choice =
        |values: &[Value]| prop::sample::select([vec![Value::Null; 4], values.to_vec()].concat());

    let conditions = (
        choice(&paths),
        choice(&hosts),
        choice(&[json!(true), json!(false)]),
        choice(&[json!("http"), json!("grpc")]),
        choice(&[json!(["GET"]), json!(["GET", "PUT"])]),
    );

    (
        conditions,
        any::<bool>(),
        prop::sample::select(ends.to_vec()),
    )
        .prop_map(|(conditions, excludes, ends)| {
            let (path, hosts, tracked, protocol, methods) = conditions;
            let named = [
                ("path", path),
                ("hosts", hosts),
                ("tracked", tracked),
                ("protocol", protocol),
                ("methods", methods),
            ];
            let given = named.into_iter().filter(|(_, value)| !value.is_null());
            let conditions = given.map(|(key, value)| (key.to_owned(), value)).collect();

            let mut rule = ends;
            put(&mut rule, "match", Value::Object(conditions));
            put(
                &mut rule,
                "level",
                json!(if excludes { "none" } else { "metadata" }),
            );
            rule
        })
}

fn put(object: &mut Value, key: &str, value: Value) {
    object
        .as_object_mut()
        .unwrap()
        .insert(key.to_owned(), value);
}

fn policy(rules: Vec<Value>) -> Policy {
    let named = rules.into_iter().enumerate().map(|(place, mut rule)| {
        put(&mut rule, "name", json!(format!("r{place}")));
        rule
    });
    let rules: Vec<Value> = named.collect();
    let config = json!({
        "audit_cluster": {"cluster": "audit"}, "trust": {"uri_sans": ["spiffe://mesh/"]}, "rules": rules,
    });

    crate::config::parse(config.to_string().as_bytes(), &|_| None)
        .unwrap()
        .recorder
        .policy
}

#[test]
fn an_excluding_rule_leaves_no_end_to_later_rules() {
    let excluding =
        json!({"match": {"path": {"prefix": "/a"}}, "level": "none", "record_on": ["failure"]});
    let policy = policy(vec![excluding, json!({"match": {"path": {"exact": "/a"}}})]);
    let rests: Vec<Rest> = policy
        .covered()
        .into_iter()
        .map(|covered| covered.rest)
        .collect();
    assert_eq!(rests, [Rest::Ambiguous]);
}

proptest! {
    #[test]
    fn what_reaches_a_hidden_rule_is_what_its_finding_says(
        rules in prop::collection::vec(rule(), 2..6),
        target in prop::sample::select(PATHS.to_vec()),
        host in prop::sample::select(HOSTS.to_vec()),
        tracked: bool,
        is_get: bool,
    ) {
        let policy = policy(rules);
        let headers: Headers<'_> = [(b":path".as_slice(), target.as_bytes())].iter().copied().collect();
        let normal = path::normalize(target.as_bytes());
        let method: &[u8] = if is_get { b"GET" } else { b"PUT" };
        let request = RequestHead { headers: &headers, method, path: &normal, authority: host.as_bytes(), tracked };
        let is_ambiguous = path::is_ambiguous(target.as_bytes()) || authority::is_ambiguous(host.as_bytes());

        for covered in policy.covered() {
            let rule = &policy[covered.place];
            let is_reached = policy.candidates(&request).any(|(candidate, _)| Rc::ptr_eq(candidate, rule));
            let may_be_reached = match covered.rest {
                Rest::Nothing => false,
                Rest::Tracked => tracked,
                Rest::Ambiguous => is_ambiguous,
            };

            prop_assert!(may_be_reached || !is_reached, "{:?}", covered);
        }
    }
}
