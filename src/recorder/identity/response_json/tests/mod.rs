//! Bodies in chunks, and the values found in them.

mod document;

use std::rc::Rc;

use super::*;
use crate::quota::Quota;
use proptest::prelude::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: &[u8] = br#"{"user":{"id":42,"a/b":"c~d"}}"#;

fn begin(headers: &[(&str, &str)], max_bytes: usize) -> Body {
    begin_within(&Quota::new(usize::MAX), headers, max_bytes)
}

/// A body of connection 1.
fn begin_within(quota: &Rc<Quota>, headers: &[(&str, &str)], max_bytes: usize) -> Body {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    Body::begin(&headers, max_bytes, quota.lease(Some(1)))
}

/// Passes a chunk as the adapter does.
fn give(body: &mut Body, chunk: &[u8]) {
    let wanted = body.wants(chunk.len());
    body.push(&chunk[..wanted], chunk.len());
}

fn user_id(body: &Body) -> Result<String, Unavailable> {
    find(body, "/user/id")
}

fn find(body: &Body, pointer: &str) -> Result<String, Unavailable> {
    body.find(&Pointer::parse(pointer).unwrap())
        .map(|value| String::from_utf8(value).unwrap())
}

fn capacity(body: &Body) -> usize {
    body.kept.as_ref().map_or(0, Vec::capacity)
}

#[track_caller]
fn check(headers: &[(&str, &str)], expected: Result<&str, Unavailable>) {
    let mut body = begin(headers, 100);
    assert_eq!(body.wants(TEXT.len()) > 0, expected.is_ok(), "{headers:?}");
    give(&mut body, TEXT);
    assert_eq!(
        user_id(&body).as_deref().map_err(|why| *why),
        expected,
        "{headers:?}"
    );
}

#[test]
fn only_json_is_read() {
    for json in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json ;x",
        "application/problem+json",
        "application/vnd.api+json; ext=\"a, b\"",
        "a/b+JSON;v=1",
        "Text/Json",
        // As Envoy joins several.
        "application/json,application/json",
        "text/plain, application/json;charset=utf-8",
    ] {
        check(&[("content-type", json)], Ok("42"));
    }

    for other in [
        "text/html",
        "",
        "text/html,text/plain",
        "application/jsonp",
        "application/json-seq",
        "text/jsonl",
        "application/x-json",
        "json",
        "+jso",
        "text/html; x=+json",
        "application/grpc",
    ] {
        check(&[("content-type", other)], Err(Unavailable::NotJson));
    }

    check(&[], Ok("42"));
}

#[test]
fn an_encoded_body_is_not_read() {
    check(&[JSON, ("content-encoding", "")], Ok("42"));
    check(&[JSON, ("content-encoding", "Identity")], Ok("42"));
    check(&[JSON, ("content-encoding", "identity,identity")], Ok("42"));

    for coding in ["gzip", "br", "identity, gzip", "gzip,identity", "identity2"] {
        check(
            &[JSON, ("content-encoding", coding)],
            Err(Unavailable::Encoded),
        );
    }

    check(
        &[
            JSON,
            ("content-encoding", "identity"),
            ("content-encoding", "gzip"),
        ],
        Err(Unavailable::Encoded),
    );
}

#[test]
fn a_body_that_is_announced_as_too_large_is_not_read() {
    check(&[JSON, ("content-length", "100")], Ok("42"));
    for length in ["101", "4294967296", "4294967297", "18446744073709551615"] {
        check(
            &[JSON, ("content-length", length)],
            Err(Unavailable::TooLarge),
        );
    }

    for length in ["", "x", "-1", "30, 30"] {
        check(&[JSON, ("content-length", length)], Ok("42"));
    }
}

#[test]
fn a_body_that_grows_too_large_is_given_up_at_once() {
    let mut body = begin(&[JSON], 100);
    give(&mut body, &[b' '; 100]);
    assert!(body.kept.is_ok());
    assert_eq!(body.wants(1), 0);

    body.push(b"", 1);
    assert_eq!(
        (user_id(&body), capacity(&body)),
        (Err(Unavailable::TooLarge), 0)
    );
    assert_eq!(body.wants(1), 0);

    give(&mut body, TEXT);
    assert_eq!(user_id(&body), Err(Unavailable::TooLarge));
}

#[test]
fn a_body_with_a_hole_has_no_value() {
    let mut body = begin(&[JSON], 100);
    body.push(br#"{"user":{"id":4"#, 15);
    body.push(b"", 3);
    body.push(b"2}}", 3);
    assert_eq!(
        (user_id(&body), body.wants(1)),
        (Err(Unavailable::NotJson), 0)
    );
}

#[test]
fn memory_is_taken_once_when_the_length_is_known() {
    let mut body = begin(&[JSON, ("content-length", "80")], 100);
    assert_eq!(capacity(&body), 0);
    give(&mut body, b"[");
    assert_eq!(capacity(&body), 80);
    give(&mut body, &[b' '; 79]);
    assert_eq!(capacity(&body), 80);
}

#[test]
fn an_empty_body_is_no_json() {
    let mut body = begin(&[JSON], 100);
    assert_eq!(user_id(&body), Err(Unavailable::NotJson));
    give(&mut body, b"");
    assert_eq!(user_id(&body), Err(Unavailable::NotJson));
}

#[test]
fn pointers() {
    let mut body = begin(&[JSON], 100);
    give(&mut body, TEXT);
    assert_eq!(find(&body, "/user/a~1b").as_deref(), Ok("c~d"));
    for absent in ["", "/", "/user", "/user/", "/user/id/", "/user/a~01b"] {
        assert_eq!(find(&body, absent), Err(Unavailable::Absent), "{absent}");
    }

    let names = |text| Pointer::parse(text).map(|pointer| pointer.0);
    assert_eq!(names(""), Some(vec![]));
    assert_eq!(names("/"), Some(vec![String::new()]));
    assert_eq!(
        names("/~01/~1~0//x"),
        Some(["~1", "/~", "", "x"].map(str::to_owned).to_vec())
    );
    for none in ["user", "#/user", "/~", "/a~2", "/~/0", "/a~", " /a"] {
        assert_eq!(names(none), None, "{none}");
    }
}

#[test]
fn words_of_the_wire() {
    let all = [
        Unavailable::Encoded,
        Unavailable::TooLarge,
        Unavailable::NotJson,
        Unavailable::Absent,
    ];

    assert_eq!(
        all.map(Unavailable::as_str),
        [
            "unavailable:encoded",
            "unavailable:too_large",
            "unavailable:not_json",
            "unavailable:absent"
        ]
    );
}

/// Chunks of a text, split at these indexes.
fn chunks<'t>(text: &'t [u8], cuts: &[prop::sample::Index]) -> Vec<&'t [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    ends.extend([0, text.len()]);
    ends.sort_unstable();
    ends.windows(2)
        .map(|pair| &text[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #[test]
    fn chunks_make_the_same_body_as_the_whole(
        text in prop_oneof![Just(TEXT.to_vec()), prop::collection::vec(any::<u8>(), 0..60)],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        max_bytes in 0..80_usize,
        announced in prop::option::of(0..80_usize),
    ) {
        let length = announced.map(|length| length.to_string()).unwrap_or_default();
        let headers = [JSON, ("content-length", &length)];
        let (mut whole, mut parts) = (begin(&headers, max_bytes), begin(&headers, max_bytes));
        give(&mut whole, &text);

        for chunk in chunks(&text, &cuts) {
            give(&mut parts, chunk);
            prop_assert!(capacity(&parts) <= max_bytes);
        }

        prop_assert_eq!(&whole.kept, &parts.kept);
        prop_assert_eq!(whole.kept.is_err(), text.len().max(announced.unwrap_or(0)) > max_bytes);
        prop_assert_eq!(user_id(&whole), user_id(&parts));
    }

    #[test]
    fn no_chunks_make_it_panic(
        pushes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), prop_oneof![0..12_usize, Just(usize::MAX)]), 0..8),
        headers in prop::collection::vec((prop::sample::select(vec!["content-type", "content-length", "content-encoding"]), "[ -~]{0,20}"), 0..3),
        max_bytes in prop_oneof![0..30_usize, Just(usize::MAX)],
    ) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).chain([JSON]).collect();
        let mut body = begin(&headers, max_bytes);
        for (fetched, chunk_bytes) in pushes {
            let _ = body.wants(chunk_bytes);
            body.push(&fetched, chunk_bytes);
            prop_assert!(body.kept.as_ref().map_or(0, Vec::len) <= max_bytes);
        }

        let _ = user_id(&body);
    }

    #[test]
    fn any_text_is_a_pointer_or_none(text in "[/~01a\u{f6}]{0,8}") {
        // Not removed: the bytes around an escape must not form a new one.
        let tildes_are_escapes = !text.replace("~0", "x").replace("~1", "x").contains('~');
        let is_pointer = (text.is_empty() || text.starts_with('/')) && tildes_are_escapes;
        prop_assert_eq!(Pointer::parse(&text).is_some(), is_pointer);
    }
}

#[test]
fn what_all_bodies_keep_is_bounded() {
    let quota = Quota::new(4000);
    let announced = [JSON, ("content-length", "400")];
    let mut bodies: Vec<Body> = (0..4)
        .map(|_| begin_within(&quota, &announced, 1000))
        .collect();
    bodies.iter_mut().for_each(|body| give(body, TEXT));

    let found: Vec<_> = bodies.iter().map(user_id).collect();
    let kept = || Ok("42".to_owned());

    assert_eq!(
        found,
        [
            kept(),
            kept(),
            Err(Unavailable::TooLarge),
            Err(Unavailable::TooLarge)
        ],
        "a quarter: 1000 bytes"
    );
    assert_eq!(quota.used(), 800, "what is announced is taken at once");
    assert_eq!(bodies[3].wants(1), 0, "no more is read");

    bodies.remove(0);
    let mut next = begin_within(&quota, &[JSON], 1000);
    give(&mut next, &[b' '; 590]);
    assert_eq!((next.kept.is_ok(), quota.used()), (true, 990));
    give(&mut next, &[b' '; 20]);
    assert_eq!(
        (user_id(&next), quota.used()),
        (Err(Unavailable::TooLarge), 400),
        "what was kept of it is given back"
    );

    drop((bodies, next));
    assert_eq!(quota.used(), 0);
}

#[test]
fn a_body_that_is_given_up_keeps_nothing() {
    let quota = Quota::new(usize::MAX);
    for spoil in [
        |body: &mut Body| body.push(&[], 1),
        |body: &mut Body| give(body, &[b' '; 100]),
    ] {
        let mut body = begin_within(&quota, &[JSON], 100);
        give(&mut body, TEXT);
        assert_eq!(quota.used(), TEXT.len());
        spoil(&mut body);
        assert_eq!((capacity(&body), quota.used()), (0, 0));
    }
}
