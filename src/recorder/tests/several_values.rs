//! Several values from one source: the last non-empty one counts, and distinct values are a
//! conflict.

use base64ct::{Base64, Encoding as _};

use super::*;
use crate::recorder::session::SessionId;

/// Values in order of arrival, the one that counts, and whether they are a conflict.
const SEVERAL: [(&[&str], &str, bool); 8] = [
    (&["a"], "a", false),
    (&["a", "b"], "b", true),
    (&["a", "a"], "a", false),
    (&["b", "a", "a"], "a", true),
    (&["a", "b", "a"], "a", true),
    (&["a", ""], "a", false),
    (&["", "a", " "], "a", false),
    (&["a", "", "b"], "b", true),
];

/// Checks a source with every list of values: `read` runs an exchange with them and returns the
/// result.
#[track_caller]
fn check(source: &str, read: impl Fn(&[&str]) -> (Option<String>, ExchangeRecord)) {
    for (values, expected, conflict) in SEVERAL {
        let (value, record) = read(values);
        assert_eq!(
            (value.as_deref(), record.header_conflict),
            (Some(expected), conflict),
            "{source}: {values:?}"
        );
    }
}

/// A recorded request with one field of this name per value, each with the prefix `before`.
fn request(sections: &Value, name: &str, before: &str, values: &[&str]) -> Case {
    let fields: Vec<String> = values
        .iter()
        .map(|value| [before, value].concat())
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|field| (name, field.as_str())).collect();
    let mut config = json!({"rules": [{"name": "r"}]});

    config
        .as_object_mut()
        .unwrap()
        .extend(sections.as_object().unwrap().clone());

    Case::new("POST", "/login").config(&config).headers(&fields)
}

fn owned_text<B: AsRef<[u8]> + ?Sized>(bytes: Option<&B>) -> Option<String> {
    optional(bytes).map(str::to_owned)
}

fn session_id(record: &ExchangeRecord) -> Option<String> {
    match record.session.id.as_ref()? {
        SessionId::Whole(id) => Some(text(id).to_owned()),
        SessionId::Hashed(reference) => Some(reference.clone()),
    }
}

fn token(record: &ExchangeRecord) -> Option<String> {
    record
        .session
        .token_ref
        .as_ref()
        .and_then(|token| token.strip_prefix("clear:"))
        .map(str::to_owned)
}

#[test]
fn session_ids() {
    let header = json!({"session": {"id": [{"header": "x-own"}]}});
    let cookie = json!({"session": {"id": [{"cookie": "sid", "clear": true}], "token": []}});

    for (sections, name, before) in [
        (&json!({}), "x-session-id", ""),
        (&header, "x-own", ""),
        (&cookie, "cookie", "sid="),
    ] {
        check(name, |values| {
            let record = request(sections, name, before, values).recorded();
            (session_id(&record), record)
        });
    }
}

#[test]
fn session_tokens() {
    for (source, name, before) in [
        (json!({"header": "x-own"}), "x-own", ""),
        (json!({"cookie": "sid"}), "cookie", "x=1; sid="),
        (json!({"bearer": true}), "authorization", "Bearer "),
    ] {
        let sections = json!({"session": {"token": [source], "token_mode": "clear"}});
        check(name, |values| {
            let record = request(&sections, name, before, values).recorded();
            (token(&record), record)
        });
    }
}

#[test]
fn values_in_one_field() {
    for (source, name, before, between) in [
        (json!({"cookie": "sid"}), "cookie", "sid=", "; "),
        (json!({"bearer": true}), "authorization", "Bearer ", ","),
    ] {
        let sections = json!({"session": {"token": [source], "token_mode": "clear"}});
        check(name, |values| {
            let field = values
                .iter()
                .map(|value| [before, value].concat())
                .collect::<Vec<_>>()
                .join(between);
            let record = request(&sections, name, "", &[&field]).recorded();
            (token(&record), record)
        });
    }
}

#[test]
fn what_is_not_read_is_no_conflict() {
    let other = [
        ("x-session-id", "a"),
        ("x-session-id", "b"),
        ("authorization", "Bearer a"),
        ("authorization", "Bearer b"),
    ];
    let case = || request(&json!({}), "x-audit-session-id", "", &["first"]).headers(&other);

    assert!(
        !case().recorded().header_conflict,
        "the first source has a value, and no token is recorded"
    );

    let record = request(&json!({}), "x-session-id", "", &["a, b"]).recorded();
    assert_eq!(
        (session_id(&record).as_deref(), record.header_conflict),
        (Some("a, b"), false),
        "it is no list"
    );
}

#[test]
fn identities_in_requests() {
    check("header", |values| {
        let record = request(&json!({}), "x-user-id", "", values).recorded();
        (owned_text(record.identity.user_id.as_ref()), record)
    });

    let receipt = json!({"rules": [{"name": "r", "require_audit": "acknowledged"}]});
    check("header, at the receipt", |values| {
        let record = *request(&receipt, "x-user-id", "", values)
            .run()
            .received
            .unwrap();
        (owned_text(record.identity.user_id.as_ref()), record)
    });
}

#[test]
fn control_headers() {
    let tracking = |name, values: &[&str]| request(&json!({}), name, "", values).recorded();
    check("operation", |values| {
        let record = tracking("x-session-operation", values);
        (owned_text(Some(record.action())), record)
    });
    check("context", |values| {
        let record = tracking("x-session-context", values);
        let Some(Context::Whole(context)) = &record.context else {
            panic!("{record:?}")
        };
        (owned_text(Some(context)), record)
    });
}

#[test]
fn sources_of_the_gateway_role() {
    for (source, name, before) in [
        (json!({"header": "x-own"}), "x-own", ""),
        (json!({"cookie": "c"}), "cookie", "c="),
    ] {
        let rule = json!({"name": "r", "level": "metadata", "set_tracking": {"context": {"field": source}}});
        let sections = json!({"rules": [rule]});

        check(name, |values| {
            let run = request(&sections, name, before, values).run();
            let (_, context) = run
                .set
                .iter()
                .find(|(name, _)| name == "x-session-context")
                .unwrap();
            let context: Value =
                serde_json::from_slice(&Base64::decode_vec(text(context)).unwrap()).unwrap();

            (
                context["field"].as_str().map(str::to_owned),
                *run.record.unwrap(),
            )
        });
    }
}

fn answered(case: Case, name: &str, before: &str, values: &[&str]) -> Case {
    values.iter().fold(case, |case, value| {
        case.repeated_response_header(name, &[before, value].concat())
    })
}

#[test]
fn identities_in_responses() {
    check("response_header", |values| {
        let record = answered(request(&json!({}), "", "", &[]), "x-user-id", "", values).recorded();
        (owned_text(record.identity.user_id.as_ref()), record)
    });
}

#[test]
fn a_value_in_the_response_spares_its_body() {
    let sources = json!([{"response_header": "x-own"}, {"response_json": "/id"}]);
    let sections = json!({"rules": [{"name": "r", "identity": {"user_id": sources}}]});
    let user = |values| {
        let case = answered(request(&sections, "", "", &[]), "x-own", "", values);
        case.json_body(r#"{"id":"json"}"#, 99).recorded().identity
    };
    let of = |identity: &super::super::identity::Identity| {
        owned_text(identity.user_id.as_ref()).unwrap()
    };

    assert_eq!(of(&user(&["a", ""])), "a");
    assert_eq!(of(&user(&["", " "])), "json");
}

#[test]
fn sessions_that_a_response_begins() {
    let cookie = json!([{"cookie": "sid", "clear": true}]);
    let (header, own) = (json!([]), json!([{"header": "x-own"}]));

    for (id, name, before) in [
        (&header, "x-audit-session-id", ""),
        (&own, "x-own", ""),
        (&cookie, "set-cookie", "sid="),
    ] {
        let sections = json!({"session": {"id": id, "token": []}, "rules": [{"name": "r", "session": "start"}]});
        check(name, |values| {
            let run = answered(request(&sections, "", "", &[]), name, before, values).run();
            assert_eq!(run.returned, None, "{name}: {values:?}");
            let record = *run.record.unwrap();
            (session_id(&record), record)
        });
    }
}

#[test]
fn several_trace_contexts_are_none() {
    let parent = |digit: &str| format!("00-{}-b7ad6b7169203331-01", digit.repeat(32));
    let trace = |values: &[&str]| {
        request(&json!({}), "traceparent", "", values)
            .recorded()
            .trace
    };
    let (one, other) = (parent("1"), parent("2"));

    assert!(trace(&[&one]).is_some());
    assert_eq!(trace(&[&one, &other]), None);
    assert_eq!(trace(&[&one, &one]), None, "equal ones are no list either");
    assert_eq!(trace(&[&one, ""]), None);
    assert_eq!(
        trace(&[&[one.as_str(), &other].join(",")]),
        None,
        "joined on the way"
    );
}
