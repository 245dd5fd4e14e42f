//! The JSON reader, compared with serde_json among others.

use proptest::prelude::*;
use serde_json::Value;

use super::super::document::{Miss, value_at};

fn find(text: &[u8], path: &[&str]) -> Result<String, Miss> {
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    value_at(text, &path).map(|value| String::from_utf8(value).unwrap())
}

#[track_caller]
fn check(text: &str, path: &[&str], expected: &str) {
    assert_eq!(
        find(text.as_bytes(), path).as_deref(),
        Ok(expected),
        "{text} {path:?}"
    );
}

#[track_caller]
fn check_miss(text: impl AsRef<[u8]>, path: &[&str], expected: Miss) {
    let text = text.as_ref();
    assert_eq!(
        find(text, path),
        Err(expected),
        "{} {path:?}",
        String::from_utf8_lossy(text)
    );
}

#[test]
fn a_number_keeps_its_text() {
    for number in [
        "0",
        "-0",
        "42",
        "9007199254740993",
        "12345678901234567890123",
        "1.10",
        "1e3",
        "-1.5E+07",
        "2E-1",
    ] {
        check(number, &[], number);
        check(&format!(" {{\"id\" :\n{number}\t}}\r\n"), &["id"], number);
        check(&format!("[{number},0]"), &["0"], number);
    }
}

#[test]
fn a_byte_order_mark_is_ignored_at_the_start_only() {
    check("\u{feff}{\"id\":42}", &["id"], "42");
    check("\u{feff} 42", &[], "42");
    check("\"\u{feff}a\"", &[], "\u{feff}a");
    check("{\"\u{feff}id\":1,\"id\":2}", &["id"], "2");

    for text in [
        "\u{feff}",
        "\u{feff}\u{feff}42",
        " \u{feff}42",
        "42\u{feff}",
        "[\u{feff}42]",
    ] {
        check_miss(text, &[], Miss::Malformed);
    }

    for start in [&b"\xef\xbb"[..], b"\xfe\xff", b"\xff\xfe"] {
        check_miss([start, b"42"].concat(), &[], Miss::Malformed);
    }
}

#[test]
fn a_string_is_decoded() {
    check(r#""plain""#, &[], "plain");
    check(r#""\"\\\/\b\f\n\r\t""#, &[], "\"\\/\u{8}\u{c}\n\r\t");
    check(
        r#""\u00F6\u20ac\u0000\ud83d\ude00 ö""#,
        &[],
        "\u{f6}\u{20ac}\0\u{1f600} \u{f6}",
    );
    check(r#"["","a\\"]"#, &["1"], "a\\");
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    check(r#""a\ud83db""#, &[], "a\u{fffd}b");
    check(r#""\ude00\ud83d""#, &[], "\u{fffd}\u{fffd}");
    check(r#""\ud83d\ud83d\ude00""#, &[], "\u{fffd}\u{1f600}");
    check(r#""\ud83d\n\ud83dude00""#, &[], "\u{fffd}\n\u{fffd}ude00");
    check(r#"{"\ud83d":1,"b":2}"#, &["b"], "2");
}

#[test]
fn a_path_leads_through_objects_and_arrays() {
    let text = r#"{"a":{"b":[{"c":1},[2,"x"],{"":3}]},"b":4,"0":5}"#;
    check(text, &["a", "b", "0", "c"], "1");
    check(text, &["a", "b", "1", "1"], "x");
    check(text, &["a", "b", "2", ""], "3");
    check(text, &["b"], "4");
    check(text, &["0"], "5");

    for path in [
        &["c"][..],
        &["a", "c"],
        &["a", "b", "3"],
        &["b", "b"],
        &["a", "b", "1", "1", "0"],
        &["A"],
    ] {
        check_miss(text, path, Miss::Absent);
    }
}

#[test]
fn an_index_has_no_leading_zeros_and_no_sign() {
    check("[[1,2]]", &["0", "1"], "2");
    for index in [
        "00",
        "01",
        "-",
        "-0",
        "+0",
        "",
        "a",
        " 0",
        "2",
        "18446744073709551616",
        "4294967295",
    ] {
        check_miss("[1,2]", &[index], Miss::Absent);
    }

    check_miss("[]", &["0"], Miss::Absent);
}

#[test]
fn what_is_no_text_and_no_number_is_absent() {
    for value in [
        "true",
        "false",
        "null",
        "{}",
        "[]",
        r#""""#,
        r#"{"a":1}"#,
        "[1]",
    ] {
        check_miss(value, &[], Miss::Absent);
        check_miss(format!(r#"{{"id":{value}}}"#), &["id"], Miss::Absent);
    }
}

#[test]
fn of_a_key_that_comes_twice_the_last_value_counts() {
    check(r#"{"a":1,"b":2,"a":3}"#, &["a"], "3");
    check(r#"{"a":{"b":1},"\u0061":{"b":2}}"#, &["a", "b"], "2");
    check_miss(r#"{"a":{"b":1},"a":{}}"#, &["a", "b"], Miss::Absent);
    check_miss(r#"{"a":1,"a":null}"#, &["a"], Miss::Absent);
}

#[test]
fn a_key_is_compared_decoded() {
    check(r#"{"\u0069d":1}"#, &["id"], "1");
    check(r#"{"a\/b":1,"a\\nb":2}"#, &["a/b"], "1");
    check(r#"{"a\nb":1,"a\\nb":2}"#, &["a\\nb"], "2");
    check_miss(r#"{"\\u0069d":1}"#, &["id"], Miss::Absent);
}

#[test]
fn the_whole_text_must_be_json() {
    for text in [
        "",
        " ",
        "{",
        "[1",
        r#"{"id""#,
        r#"{"id":"#,
        r#"{"id":1"#,
        r#""abc"#,
        r#""abc\""#,
        "tru",
        "-",
        "1.",
        "1e",
        "1e+",
        r#"{"id":1}x"#,
        r#"{"id":1}{}"#,
        r#"{"id":1,}"#,
        "[1,]",
        "[,1]",
        "[1 2]",
        r#"{"id" 1}"#,
        "{1:2}",
        "{,}",
        "[1}",
        r#"{"id":1]"#,
        "01",
        "+1",
        ".5",
        "1.e1",
        "0x1",
        "--1",
        "NaN",
        "True",
        "nulll",
        "'a'",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u12"#,
        "\"a\nb\"",
        "\"\u{1}\"",
        "// a\n1",
        "\u{a0}1",
        r#"{"id":1}}"#,
        "]",
        ":",
        "1,2",
    ] {
        check_miss(text, &[], Miss::Malformed);
        check_miss(text, &["id"], Miss::Malformed);
    }

    check_miss(b"{\"id\":1,\"a\":\"\xff\"}", &["id"], Miss::Malformed);
    check_miss(b"\"\xed\xa0\x80\"", &[], Miss::Malformed);
}

#[test]
fn nesting_has_no_limit() {
    const DEPTH: usize = 100_000;
    check_miss("[".repeat(DEPTH), &["0"], Miss::Malformed);
    check_miss(r#"{"a":"#.repeat(DEPTH), &["a"], Miss::Malformed);
    let nested = format!("{}7{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    check_miss(&nested, &["0"], Miss::Absent);
    check(&format!("[{nested},8]"), &["1"], "8");
    let nested = format!("{}7{}", "[".repeat(200), "]".repeat(200));
    check(&nested, &["0"; 200], "7");
}

const KEYS: [&str; 4] = ["a", "0", "1", "\u{f6}"];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(&KEYS[..]).prop_map(|key| format!("{key:?}")), 1 => Just(r#""\u0061""#.to_owned())]
}

/// A JSON text with white space, duplicate keys, and escapes.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,2})(\\.[0-9]{1,3})?([eE][+-]?[0-9])?",
        "\\PC{0,3}".prop_map(|text| Value::String(text).to_string()),
        prop::sample::select(vec![
            "true",
            "false",
            "null",
            r#""""#,
            r#""\u00f6\n\ud83d\ude00""#
        ])
        .prop_map(str::to_owned),
    ];

    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (key(), "[ \n\t]?", inner.clone())
            .prop_map(|(key, space, value)| format!("{key}{space}:{value}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..4), "[ \r]?")
                .prop_map(|(items, end)| format!("[{}{end}]", items.join(","))),
            prop::collection::vec(member, 0..5)
                .prop_map(|members| format!("{{ {}}}", members.join(", "))),
        ]
    })
}

fn paths() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&KEYS[..]), 0..4)
}

proptest! {
    #[test]
    fn a_value_is_what_serde_json_finds(text in document(), path in paths()) {
        let document: Value = serde_json::from_str(&text).unwrap();
        let pointer: String = path.iter().map(|name| format!("/{name}")).collect();
        let found = find(text.as_bytes(), &path);

        match document.pointer(&pointer) {
            Some(Value::String(content)) if !content.is_empty() => prop_assert_eq!(found.as_ref(), Ok(content)),
            Some(Value::Number(number)) => {
                let found = found.unwrap();
                prop_assert!(text.contains(&found));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Number>(&found).unwrap(), number);
            }
            _ => prop_assert_eq!(found, Err(Miss::Absent)),
        }
    }

    /// Except for JSON that serde_json rejects: unpaired surrogates, and numbers out of its range.
    #[test]
    fn a_text_is_json_when_serde_json_says_so(
        text in document(), changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, "[]\\[{}:,\"\\\\ \n\u{1}ntu.+0-]"), 1..4)
    ) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, removed, inserted) in changes {
            let at = at.index(text.len() + 1);
            text.splice(at..(at + removed).min(text.len()), inserted.chars());
        }

        let text: String = text.into_iter().collect();
        let theirs = serde_json::from_str::<Value>(&text).map_err(|error| error.to_string());
        let is_beyond_them = matches!(&theirs, Err(why) if why.contains("out of range") || why.contains("hex escape"));
        prop_assume!(!is_beyond_them);

        let ours = find(text.as_bytes(), &[]);
        prop_assert_eq!(ours == Err(Miss::Malformed), theirs.is_err(), "{:?}", theirs);
    }

    #[test]
    fn a_text_that_breaks_off_is_no_json(text in document(), cut in any::<prop::sample::Index>()) {
        let text = format!("[{text}]");
        let cut = text.as_bytes().get(..cut.index(text.len())).unwrap();
        prop_assert_eq!(find(cut, &[]), Err(Miss::Malformed));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"[]{}:,\"\\u1d8e-.tn ".to_vec())], 0..60), path in paths()) {
        let _ = find(&bytes, &path);
        let text = [b"{\"a\":\"", &bytes[..], b"\"}"].concat();
        let _ = find(&text, &["a"]);
    }
}
