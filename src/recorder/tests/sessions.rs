//! Sessions: ids, token references, and requests that begin or end a session.

use super::*;
use crate::recorder::session::{Session, SessionEvent, SessionId};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn session(sections: &Value, headers: &[(&str, &str)]) -> Session {
    Case::new("GET", "/check")
        .config(sections)
        .headers(headers)
        .recorded()
        .session
}

fn id_of(headers: &[(&str, &str)]) -> Option<SessionId> {
    session(&json!({}), headers).id
}

fn whole(id: &str) -> Option<SessionId> {
    Some(SessionId::Whole(id.as_bytes().to_vec()))
}

#[test]
fn the_first_header_that_has_an_id_counts() {
    assert_eq!(
        id_of(&[("x-session-id", "b"), ("x-audit-session-id", "a")]),
        whole("a")
    );
    assert_eq!(
        id_of(&[("x-audit-session-id", " "), ("x-session-id", " b ")]),
        whole("b")
    );
    assert_eq!(
        id_of(&[
            ("cookie", "session=secret"),
            ("authorization", "Bearer secret")
        ]),
        None
    );
}

#[test]
fn an_id_that_is_no_id_is_hashed() {
    assert_eq!(
        id_of(&[("x-session-id", &"x".repeat(128))]),
        whole(&"x".repeat(128))
    );
    for odd in [
        "x".repeat(129),
        "\u{1f600}".to_owned(),
        "a\u{1}b".to_owned(),
        "a\tb".to_owned(),
    ] {
        let hashed = id_of(&[("x-session-id", &odd)]);
        let Some(SessionId::Hashed(text)) = hashed else {
            panic!("{odd}: {hashed:?}")
        };
        assert_eq!((text.len(), text.starts_with("sha256:")), (71, true));
    }

    let case = Case::new("GET", "/check").raw("x-session-id", b"a\xff\x00\"");
    assert!(matches!(
        case.recorded().session.id,
        Some(SessionId::Hashed(_))
    ));
}

#[test]
fn an_id_that_opens_a_session_is_a_reference() {
    let hashed = |section: Value| {
        let headers = [
            ("cookie", "a=1; sid=c"),
            ("authorization", "Bearer t"),
            ("x-token", "t"),
        ];

        match session(&json!({"session": section}), &headers).id {
            Some(SessionId::Hashed(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let cookie = json!([{"cookie": "sid"}]);
    assert!(hashed(json!({"id": cookie, "token": cookie})).starts_with("sha256:"));
    assert!(
        hashed(json!({"id": cookie})).starts_with("sha256:"),
        "a cookie that is no token"
    );

    let plain = json!({"session": {"id": [{"cookie": "sid", "clear": true}], "token": cookie}});
    assert_eq!(
        session(&plain, &[("cookie", "sid=c")]).id,
        whole("c"),
        "one that is recorded as it is, on demand"
    );

    let bearer = hashed(json!({"id": [{"bearer": true}]}));
    assert!(bearer.starts_with("sha256:"));

    let token = json!([{"header": "x-token"}]);
    assert_eq!(
        hashed(json!({"id": token, "token": token})),
        bearer,
        "a header that is a source of tokens"
    );

    let keyed = hashed(json!({"id": [{"bearer": true}], "hmac_keys": [{"id": "k1", "key": KEY}]}));
    assert!(
        keyed.starts_with("hmac-sha256:k1:"),
        "who has no key can try out nothing"
    );
}

#[test]
fn a_token_is_recorded_as_the_mode_says() {
    let headers = [
        ("cookie", "session=s3cret"),
        ("authorization", "Bearer other"),
    ];
    let reference = |section: Value| session(&json!({"session": section}), &headers).token_ref;

    assert_eq!(reference(json!({})), None, "omitted by default");
    assert_eq!(
        reference(json!({"hmac_keys": [{"id": "k1", "key": KEY}], "token_mode": "omit"})),
        None
    );

    let keyed = reference(json!({"hmac_keys": [{"id": "k1", "key": KEY}]})).unwrap();
    assert!(
        keyed.starts_with("hmac-sha256:k1:") && keyed.len() == 15 + 64,
        "{keyed}"
    );
    assert!(!keyed.contains("s3cret"));
    assert_eq!(
        reference(json!({"hmac_keys": [{"id": "k1", "key": KEY}], "token_mode": "hmac"})).unwrap(),
        keyed
    );

    let hashed = "sha256:1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";
    assert_eq!(
        reference(json!({"token_mode": "sha256"})).as_deref(),
        Some(hashed)
    );
    assert_eq!(
        reference(json!({"token_mode": "clear"})).as_deref(),
        Some("clear:s3cret")
    );
}

#[test]
fn sources_of_tokens_are_tried_in_order() {
    let config = |token: Value| json!({"session": {"token_mode": "clear", "token": token}});
    let headers = [
        ("cookie", "session="),
        ("authorization", "bearer b"),
        ("x-token", "h"),
    ];
    let reference = |token: Value| session(&config(token), &headers).token_ref;

    assert_eq!(
        reference(json!([{"cookie": "session"}, {"bearer": true}])).as_deref(),
        Some("clear:b")
    );
    assert_eq!(
        reference(json!([{"header": "x-token"}, {"bearer": true}])).as_deref(),
        Some("clear:h")
    );
    assert_eq!(reference(json!([])), None);
}

#[test]
fn basic_credentials_are_noted_and_not_recorded() {
    let clear = json!({"session": {"token_mode": "clear"}});
    let basic = session(&clear, &[("authorization", "Basic dXNlcjpwYXNz")]);

    assert_eq!(
        basic,
        Session {
            is_basic: true,
            ..Session::default()
        }
    );
    assert!(!session(&clear, &[("authorization", "Bearer t")]).is_basic);
}

fn login(word: &str) -> Case {
    Case::new("POST", "/login").rules(&json!([{"name": "r", "session": word}]))
}

#[test]
fn a_login_begins_a_session_with_a_new_id() {
    let run = login("start")
        .headers(&[("x-audit-session-id", "fixed-by-an-attacker")])
        .run();
    let record = run.record.unwrap();
    assert_eq!(run.returned, Some(FRESH.to_string()));
    assert_eq!(
        (record.session.id, record.session_event),
        (whole(&FRESH.to_string()), Some(SessionEvent::Start))
    );
}

#[test]
fn a_login_whose_answer_has_an_id_keeps_it() {
    for header in ["x-audit-session-id", "x-session-id"] {
        let run = login("start").response_header(header, "theirs").run();
        assert_eq!(
            (run.returned, run.record.unwrap().session.id),
            (None, whole("theirs")),
            "{header}"
        );
    }

    let own = |source: Value, header: &str, value: &str| {
        let config =
            json!({"session": {"id": [source]}, "rules": [{"name": "r", "session": "start"}]});
        let run = login("start")
            .config(&config)
            .response_header(header, value)
            .run();
        (run.returned, run.record.unwrap().session.id)
    };

    assert_eq!(
        own(json!({"header": "x-own"}), "x-own", "theirs"),
        (None, whole("theirs"))
    );

    let (returned, id) = own(json!({"cookie": "sid"}), "set-cookie", "sid=theirs; Path=/");
    let later = json!({"session": {"id": [{"cookie": "sid"}]}});

    assert_eq!(
        (returned, id),
        (None, session(&later, &[("cookie", "sid=theirs")]).id),
        "the next request's"
    );
}

#[test]
fn a_login_that_nobody_records_begins_nothing() {
    for rule in [
        json!({"http_statuses": [201]}),
        json!({"record_on": ["failure"]}),
    ] {
        let mut entry = json!({"name": "r", "session": "start"});
        entry
            .as_object_mut()
            .unwrap()
            .extend(rule.as_object().unwrap().clone());

        assert_eq!(
            Case::new("POST", "/login")
                .rules(&json!([entry]))
                .run()
                .returned,
            None,
            "{rule}"
        );
    }
}

#[test]
fn the_id_in_a_login_is_never_that_of_the_session_that_begins() {
    let unseen = login("start")
        .headers(&[("x-session-id", "fixed")])
        .unseen()
        .recorded();
    assert_eq!(
        (unseen.session_event, unseen.session.id),
        (Some(SessionEvent::Start), None)
    );
}

#[test]
fn a_login_that_fails_begins_nothing() {
    let run = login("start")
        .headers(&[("x-session-id", "old")])
        .status("401")
        .run();
    let record = run.record.unwrap();

    assert_eq!(
        (run.returned, record.session.id, record.session_event),
        (None, whole("old"), None)
    );

    let grpc = |status: &str| {
        let headers = [("content-type", "application/grpc")];
        login("start")
            .headers(&headers)
            .response_header("grpc-status", status)
            .run()
    };

    assert_eq!(grpc("16").returned, None);
    assert_eq!(grpc("0").returned, Some(FRESH.to_string()));
}

#[test]
fn a_logout_ends_the_session_of_the_request() {
    let run = login("end").headers(&[("x-session-id", "mine")]).run();
    let record = run.record.unwrap();

    assert_eq!((run.returned, record.session.id), (None, whole("mine")));
    assert_eq!(record.session_event, Some(SessionEvent::End));
    assert_eq!(
        login("end").status("500").recorded().session_event,
        None,
        "it did not end"
    );
    assert_eq!(login("none").recorded().session_event, None);
}
