//! Values captured by the allow-lists of a rule.

use super::*;

fn rules(capture: &Value) -> Value {
    json!([{"name": "r", "level": "request", "capture": capture}])
}

fn captured(case: Case) -> Vec<(String, String)> {
    let captured = case.recorded().captured;
    captured
        .into_iter()
        .map(|(name, value)| (name.to_string(), text(&value).to_owned()))
        .collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (format!("audit.capture.{name}"), value.to_owned())
}

#[test]
fn only_what_is_listed_is_captured() {
    let capture = json!({"query": ["q", "gone"], "request_headers": ["X-Tenant"], "response_headers": ["x-cache"]});
    let case = Case::new("GET", "/find?q=a%20b&secret=1&q=c#q=d").rules(&rules(&capture));
    let case = case
        .headers(&[("x-tenant", "a"), ("x-tenant", "b"), ("x-other", "o")])
        .response_header("x-cache", "hit");
    let expected = [
        pair("query.q", "a b, c"),
        pair("request_headers.x-tenant", "a, b"),
        pair("response_headers.x-cache", "hit"),
    ];

    assert_eq!(captured(case), expected);
}

#[test]
fn what_looks_secret_is_redacted() {
    let capture = json!({
        "query": ["password", "apiKey"], "request_headers": ["authorization", "cookie", "x-monkey"],
        "response_headers": ["set-cookie"],
    });
    let case = Case::new("GET", "/?password=hunter2&apiKey=abc").rules(&rules(&capture));
    let case = case.headers(&[
        ("authorization", "Bearer t"),
        ("cookie", "a=b"),
        ("x-monkey", "m"),
    ]);
    let found = captured(case.response_header("set-cookie", "a=b"));
    let shown: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();

    assert_eq!(
        shown,
        [
            "[REDACTED]",
            "[REDACTED]",
            "[REDACTED]",
            "[REDACTED]",
            "m",
            "[REDACTED]"
        ]
    );
}

#[test]
fn values_are_bounded() {
    let long = "x".repeat(10_000);
    let path = format!("/?q={long}");
    let capture = json!({"query": ["q"], "request_headers": ["x-a"], "response_headers": ["x-b"]});
    let case = Case::new("GET", &path)
        .rules(&rules(&capture))
        .headers(&[("x-a", &long), ("x-a", &long)]);
    for (name, value) in captured(case.response_header("x-b", &long)) {
        assert_eq!(value.len(), 256, "{name}");
    }
}

#[test]
fn the_response_is_asked_once_whatever_is_wanted_of_it() {
    let maps = |capture: Value| Case::new("GET", "/").rules(&rules(&capture)).run().maps;
    assert_eq!(maps(json!({"request_headers": ["x-a"]})), 1);
    assert_eq!(maps(json!({"response_headers": ["x-a", "x-b"]})), 1);
}
