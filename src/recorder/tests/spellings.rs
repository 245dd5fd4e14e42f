//! Alternative spellings of a path or host: they evade no rule, hide behind no excluding rule, and
//! leak no secret.

use super::*;
use crate::recorder::uri::path;

#[test]
fn a_rule_matches_every_spelling_of_its_path() {
    for (pattern, paths) in [
        (
            json!({"exact": "/v1/orders:cancel"}),
            vec![
                "/v1/orders:cancel",
                "/v1/orders%3Acancel",
                "/v1/orders%3acancel?x",
                "//v1/./orders:cancel",
                "/%761/orders:cancel",
            ],
        ),
        (
            json!({"exact": "/files/a%2Fb"}),
            vec!["/files/a%2Fb", "/files/a%2fb", "/x/../files/a%2fb"],
        ),
        (
            json!({"exact": "/a,b+c@d"}),
            vec!["/a,b+c@d", "/a%2Cb%2bc%40d"],
        ),
        (
            json!({"exact": "/m%C3%BCller"}),
            vec!["/m%C3%BCller", "/m%c3%bcller", "/m\u{fc}ller"],
        ),
        (json!({"exact": "/a%7Cb"}), vec!["/a|b", "/a%7cb"]),
        (json!({"exact": "/100%25"}), vec!["/100%25", "/100%"]),
        (
            json!({"prefix": "/admin/"}),
            vec!["/%61dmin/x", "/admin//x", "/healthz/../admin/x"],
        ),
        (
            json!({"suffix": ".json"}),
            vec!["/a%2Ejson", "/a.json?x=.xml"],
        ),
        (
            json!({"template": "/v1/{id}/a:b"}),
            vec!["/v1/42/a%3Ab", "/v1/a%2Fb/a:b", "/v1/..;/a:b"],
        ),
    ] {
        let rules = json!([{"name": "r", "match": {"path": pattern}}]);
        for path in paths {
            Case::new("GET", path).rules(&rules).rule(Some("r"));
        }
    }
}

#[test]
fn a_path_that_differs_is_another_one() {
    let rules = json!([{"name": "r", "match": {"path": {"exact": "/files/a%2Fb"}}}]);
    for path in [
        "/files/a/b",
        "/files/a%252Fb",
        "/files/a%2Fb/",
        "/files/A%2Fb",
    ] {
        Case::new("GET", path).rules(&rules).rule(None);
    }
}

/// An exclusion by path, one by host, and a rule for all other requests.
fn exclusions(pattern: &Value) -> Value {
    json!([
        {"name": "quiet", "match": {"path": pattern}, "level": "none"},
        {"name": "internal", "match": {"hosts": ["*.internal", "[::1]"]}, "level": "none"},
        {"name": "all"},
    ])
}

#[test]
fn nothing_hides_behind_an_excluded_path() {
    let prefix = exclusions(&json!({"prefix": "/healthz"}));
    for path in [
        "/healthz/..%2fadmin",
        "/healthz/%2e%2e%2Fadmin",
        "/healthz/..;/admin",
        "/healthz/..%3b/admin",
        "/healthz\\..\\admin",
        "/healthz%5c..%5cadmin",
        "/healthz/%252e%252e/admin",
        "/healthz;/../admin",
        "/healthz%00",
        "/healthz%",
        "//healthz/admin",
        "/admin/../healthz",
    ] {
        Case::new("GET", path).rules(&prefix).rule(Some("all"));
        Case::new("GET", path)
            .rules(&prefix)
            .unseen()
            .rule(Some("all"));
    }

    let suffix = exclusions(&json!({"suffix": ".png"}));
    for path in [
        "/admin;.png",
        "/admin%3F.png",
        "/admin%23.png",
        "/admin%00.png",
        "/admin%2F.png",
    ] {
        Case::new("GET", path).rules(&suffix).rule(Some("all"));
    }

    let template = exclusions(&json!({"template": "/static/{name}"}));
    Case::new("GET", "/static/..%2Fadmin")
        .rules(&template)
        .rule(Some("all"));
}

#[test]
fn plain_spellings_are_excluded() {
    let rules = exclusions(&json!({"prefix": "/healthz"}));
    for path in [
        "/healthz",
        "/healthz?x=..%2f",
        "/%68ealthz",
        "/healthz/a%20b",
        "/healthz/m%C3%BCller",
        "/healthz/a:b%40c",
    ] {
        let run = Case::new("GET", path).rules(&rules).not_recorded();
        assert_eq!(run.stats.counter(Counter::Excluded), 1, "{path}");
    }
}

#[test]
fn nothing_hides_behind_an_excluded_host() {
    let rules = exclusions(&json!({"exact": "/healthz"}));
    for authority in ["a.internal", "A.Internal:8080", "[::1]:80", "[0:0::1]"] {
        Case::new("GET", "/")
            .authority(authority)
            .rules(&rules)
            .rule(None);
    }

    for authority in [
        "a.internal.",
        "x@a.internal",
        "app.example.com,a.internal",
        "app.example.com@a.internal",
        "a.internal:80:x",
        "a%2Einternal",
    ] {
        Case::new("GET", "/")
            .authority(authority)
            .rules(&rules)
            .rule(Some("all"));
    }
}

#[test]
fn an_ambiguous_host_or_path_is_excluded_where_it_does_not_matter() {
    let by_method =
        json!([{"name": "quiet", "match": {"methods": ["GET"]}, "level": "none"}, {"name": "all"}]);

    Case::new("GET", "/a;b")
        .authority("x@a.")
        .rules(&by_method)
        .rule(None);

    let rules = exclusions(&json!({"exact": "/healthz"}));
    Case::new("GET", "/healthz")
        .authority("x@a.")
        .rules(&rules)
        .rule(None);
    Case::new("GET", "/a;b")
        .authority("a.internal")
        .rules(&rules)
        .rule(None);
}

/// A gateway's rule also has level none, but its requests are recorded at the next hop.
#[test]
fn a_gateway_speaks_for_every_spelling() {
    let edge = json!({"name": "edge", "match": {"hosts": ["app.example.com"], "path": {"prefix": "/account"}}, "set_tracking": {"operation": "o"}});
    for path in ["/account", "/account/..%2fx", "/account;x"] {
        let run = Case::new("GET", path)
            .authority("x@app.example.com.")
            .rules(&json!([edge]))
            .not_recorded();
        assert_eq!(run.set.len(), 3, "{path}");
    }
}

#[test]
fn a_host_is_recorded_by_its_name() {
    let rules =
        json!([{"name": "app", "match": {"hosts": ["app.example.com"]}}, {"name": "other"}]);
    for (authority, rule, host) in [
        ("app.example.com", "app", "app.example.com"),
        ("APP.example.com:8443", "app", "app.example.com"),
        ("app.example.com.", "app", "app.example.com"),
        ("app.example.com..:80", "app", "app.example.com"),
        ("x:secret@app.example.com", "app", "app.example.com"),
        ("%61pp%2eexample.com", "app", "app.example.com"),
        ("app.example.com:80:90", "app", "app.example.com"),
        ("app.example.com.evil", "other", "app.example.com.evil"),
        ("app.example.com@evil", "other", "evil"),
        ("[2001:DB8::7]:80", "other", "[2001:db8::7]"),
        ("", "other", ""),
    ] {
        let record = Case::new("GET", "/")
            .authority(authority)
            .rules(&rules)
            .recorded();

        assert_eq!(
            (&*record.rule, text(record.request.host())),
            (rule, host),
            "{authority}"
        );
    }

    let long = format!("{}@app.example.com", "s".repeat(bounds::MAX_NAME_BYTES));
    let record = Case::new("GET", "/")
        .authority(&long)
        .rules(&rules)
        .recorded();

    assert_eq!(
        text(record.request.host()),
        "app.example.com",
        "user information is removed before a name is cut"
    );
}

/// Known ways in which servers read a path, each as the segments that it uses.
mod readers {
    /// Cuts off the query and decodes the escapes once.
    pub(super) fn decoded(path: &str) -> String {
        let mut out = Vec::new();
        let mut rest = path.as_bytes();
        while let [first, tail @ ..] = rest {
            let digits = tail
                .get(..2)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits
                .filter(|_| *first == b'%')
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            out.push(byte.unwrap_or(*first));
            rest = if byte.is_some() { &tail[2..] } else { tail };
        }

        String::from_utf8_lossy(&out).into_owned()
    }

    /// RFC 3986, section 5.2.4, on text split at `/`; empty segments count.
    fn resolved(path: &str) -> Vec<String> {
        let mut kept: Vec<&str> = Vec::new();
        for segment in path.split('/').skip(1) {
            match segment {
                "." => {}
                ".." => drop(kept.pop()),
                _ => kept.push(segment),
            }
        }
        kept.into_iter().map(str::to_owned).collect()
    }

    /// Resolves the path, then decodes each segment (RFC 3986).
    pub(super) fn standard(path: &str) -> Vec<String> {
        resolved(path)
            .iter()
            .map(|segment| decoded(segment))
            .collect()
    }

    /// All other ways: decoded first, decoded twice, without parameters, with backslashes as
    /// slashes, up to a NUL, up to a question mark or number sign, neither merged nor resolved,
    /// unchanged.
    pub(super) fn others(path: &str) -> Vec<Vec<String>> {
        let first = |text: &str| resolved(text);
        let without_parameters = path
            .split('/')
            .map(|part| part.split(';').next().unwrap())
            .collect::<Vec<_>>()
            .join("/");
        let up_to = |stop: &[char]| decoded(path).split(stop).next().unwrap().to_owned();

        vec![
            first(&decoded(path)),
            first(&decoded(&decoded(path))),
            first(&decoded(&without_parameters)),
            first(&decoded(path).replace('\\', "/")),
            first(&up_to(&['\0'])),
            first(&up_to(&['?', '#'])),
            path.split('/').skip(1).map(decoded).collect(),
            decoded(path)
                .split('/')
                .skip(1)
                .filter(|segment| !segment.is_empty())
                .map(str::to_owned)
                .collect(),
        ]
    }
}

proptest! {
    /// A path that is not ambiguous has one meaning for all of them.
    #[test]
    fn readers_differ_only_about_ambiguous_paths(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "/", "/", ".", "..", "%2e", "%2F", "%5c", "\\", ";", "%3B", "%25", "%", "%00", "%3f", "%23", "%20", "%c3%bc", "2e", "x=1",
            ]),
            0..10,
        )
    ) {
        let path = format!("/{}", parts.concat());

        if !path::is_ambiguous(path.as_bytes()) {
            let standard = readers::standard(&path);
            for (index, other) in readers::others(&path).into_iter().enumerate() {
                // Some readers make an empty segment of a trailing slash.
                let trimmed = |segments: &[String]| segments.iter().filter(|segment| !segment.is_empty()).cloned().collect::<Vec<_>>();
                prop_assert_eq!(trimmed(&other), trimmed(&standard), "reader {} of {}", index, path);
            }
        }
    }

    /// No spelling of an excluded path prevents another path from being recorded.
    #[test]
    fn whatever_is_excluded_is_excluded_for_all_readers(
        parts in prop::collection::vec(prop::sample::select(vec!["/healthz", "/admin", "/..", "/%2e%2e", "%2F", "\\", ";", "/", "%252e%252e", "%00"]), 0..6)
    ) {
        let path = format!("/healthz{}", parts.concat());
        let rules = exclusions(&json!({"prefix": "/healthz"}));
        if Case::new("GET", &path).rules(&rules).run().record.is_none() {
            for segments in readers::others(&path) {
                prop_assert_eq!(segments.first().map(String::as_str), Some("healthz"), "{}", path);
            }
        }
    }
}
