//! Paths of rules.

use super::*;

#[track_caller]
fn check_path(path: &Value, problem: &str) {
    refused(
        &with_match(&json!({"path": path})),
        &[&format!("rules[0].match.path{problem}")],
    );
}

#[test]
fn paths_of_rules() {
    let kinds = "must have exactly one of exact, prefix, suffix, template";
    let slash = r#"must start with "/""#;
    let braces = "must enclose whole segments in braces, as in /users/{id}";

    for (path, problem) in [
        (json!({"exact": "check"}), format!(".exact: {slash}")),
        (json!({"prefix": "check"}), format!(".prefix: {slash}")),
        (
            json!({"template": "users/{id}"}),
            format!(".template: {slash}"),
        ),
        (json!({"exact": ""}), ".exact: must not be empty".to_owned()),
        (
            json!({"suffix": ""}),
            ".suffix: must not be empty".to_owned(),
        ),
        (json!({"template": "/a{b}"}), format!(".template: {braces}")),
        (json!({"template": "/{}"}), format!(".template: {braces}")),
        (json!({"exact": "/a", "prefix": "/a"}), format!(": {kinds}")),
        (json!({}), format!(": {kinds}")),
    ] {
        check_path(&path, &problem);
    }

    let third =
        json!([{"name": "a"}, {"name": "b"}, {"name": "c", "match": {"path": {"exact": "x"}}}]);
    refused(
        &with("/rules", third),
        &[r#"rules[2].match.path.exact: must start with "/""#],
    );
}

/// The remedy is named for each way of writing a path that no request can match.
#[test]
fn paths_that_match_nothing() {
    for (text, given, spelling) in [
        ("/m\u{fc}ller", "\u{fc}", "%C3%BC"),
        ("/\u{1f600}", "\u{1f600}", "%F0%9F%98%80"),
        ("/a b", " ", "%20"),
        ("/a\nb", "\n", "%0A"),
        ("/a\u{7f}", "\u{7f}", "%7F"),
        ("/%61", "%61", "a"),
        ("/a%3Ab", "%3A", ":"),
        ("/a%2fb", "%2f", "%2F"),
        ("/a%c3%BC", "%c3", "%C3"),
        ("/a%", "%", "%25"),
        ("/%2g", "%", "%25"),
        ("/%2\u{fc}", "%", "%25"),
        ("/a|b", "|", "%7C"),
        (r"/a\b", r"\", "%5C"),
        ("/a?x=1", "?", "%3F"),
        ("/a#b", "#", "%23"),
    ] {
        let problem = format!(
            r#"must hold {spelling} in place of "{given}": paths are compared so, and without query"#
        );

        for kind in ["exact", "prefix", "suffix", "template"] {
            check_path(&json!({kind: text}), &format!(".{kind}: {problem}"));
        }
        check_path(
            &json!({"template": format!("/{{id}}{text}")}),
            &format!(".template: {problem}"),
        );
    }

    let brace = r#"must hold %7B in place of "{": paths are compared so, and without query"#;
    check_path(
        &json!({"exact": "/users/{id}"}),
        &format!(".exact: {brace}"),
    );
}

#[test]
fn paths_with_segments_that_are_merged_or_resolved() {
    let merged =
        r#"must not hold "//" or the segments "." and "..": paths are compared without them"#;

    for (kind, texts) in [
        (
            "exact",
            vec!["//a", "/a//", "/a/./b", "/a/../b", "/a/.", "/..", "/."],
        ),
        ("prefix", vec!["//", "/a/../b", "/a/./", "/a/..", "/.."]),
        (
            "suffix",
            vec!["a//b", "//", "/.", "/..", "a/..", "a/../b", "/./"],
        ),
        (
            "template",
            vec!["//{id}", "/{id}/..", "/./{id}", "/{id}/../b", "/{id}//b"],
        ),
    ] {
        for text in texts {
            check_path(&json!({kind: text}), &format!(".{kind}: {merged}"));
        }
    }
}

#[test]
fn paths_that_look_odd_and_match_something() {
    for path in [
        json!({"exact": "/"}),
        json!({"exact": "/a:b@c;d=e,f+g!"}),
        json!({"exact": "/a%2Fb%20%C3%BC%25"}),
        json!({"exact": "/a./..b/..."}),
        json!({"prefix": "/."}),
        json!({"prefix": "/a/."}),
        json!({"prefix": "/a."}),
        json!({"prefix": "/"}),
        json!({"suffix": "/"}),
        json!({"suffix": ".json"}),
        json!({"suffix": ".."}),
        json!({"suffix": "./b"}),
        json!({"suffix": "../b"}),
        json!({"suffix": "2Fb"}),
        json!({"template": "/v1/{user id}/a%20b/{\u{fc}}"}),
    ] {
        accepted(&with_match(&json!({"path": path})));
    }
}

#[test]
fn paths_that_no_rule_of_level_none_matches() {
    let problem = r#"rules[0].match: has a path that no rule of level none matches: upstreams read ";", "%2F", "%5C", "%25" and the like in several ways"#;
    let rule = |path: &Value, level: &str| {
        with_rule(&json!({"name": "r", "match": {"path": path}, "level": level}))
    };

    for path in [
        json!({"exact": "/a;b"}),
        json!({"exact": "/a%2Fb"}),
        json!({"prefix": "/a%5C"}),
        json!({"prefix": "/a/..b"}),
        json!({"suffix": "%00.png"}),
        json!({"template": "/{id}/a%25"}),
    ] {
        refused(&rule(&path, "none"), &[problem]);
        accepted(&rule(&path, "metadata"));
        let edge =
            json!({"name": "r", "match": {"path": path}, "set_tracking": {"operation": "o"}});
        accepted(&with_rule(&edge));
    }

    for path in [
        json!({"prefix": "/."}),
        json!({"suffix": "./b"}),
        json!({"exact": "/a%20b"}),
    ] {
        accepted(&rule(&path, "none"));
    }
}
