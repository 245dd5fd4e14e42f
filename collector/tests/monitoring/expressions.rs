//! The metrics that an expression of PromQL reads. Whether it is valid is for `promtool`.

/// Metrics by their name, and the labels that an expression compares.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    /// A name, or a regular expression of names.
    pub name: String,
    pub labels: Vec<String>,
}

/// Words before a list of labels in parentheses.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Operators and modifiers that are words.
const OPERATORS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
/// Aggregations, whose argument may come behind a list of labels.
const AGGREGATIONS: [&str; 6] = ["sum", "max", "min", "count", "group", "topk"];

/// All selectors of an expression.
pub fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;

    while let Some(start) = rest.find(|c| is_start(c) || c == '{') {
        // A duration and a number in exponential notation have letters, too.
        let (before, word) = rest.split_at(start);
        let is_number = before.ends_with(|c: char| c.is_ascii_digit());
        let (word, after) = word.split_at(word.find(|c| !is_part(c)).unwrap_or(word.len()));
        rest = after.trim_start();

        if is_number || OPERATORS.contains(&word) || AGGREGATIONS.contains(&word) {
            continue;
        }
        if LISTS.contains(&word) {
            rest = rest.split_once(')').map_or("", |(_, rest)| rest);
        } else if word.is_empty() || !rest.starts_with('(') {
            let (selector, after) = selector(word, rest);
            found.push(selector);
            rest = after;
        }
    }
    found
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The selector with this name and the matchers at the beginning of a text, and the text behind.
fn selector<'t>(name: &str, text: &'t str) -> (Selector, &'t str) {
    let mut selector = Selector {
        name: name.to_owned(),
        labels: Vec::new(),
    };
    let Some(matchers) = text.strip_prefix('{') else {
        return (selector, text);
    };

    let (matchers, rest) = matchers.split_once('}').expect("a closing brace");
    let mut parts = matchers.split('"');
    while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
        let label = label.trim_matches([',', ' ', '\n', '=', '!', '~']);
        match label {
            "__name__" => selector.name = value.to_owned(),
            label => selector.labels.push(label.to_owned()),
        }
    }
    (selector, rest)
}

#[test]
fn selectors_are_read() {
    let expression = r#"{__name__=~"j.+"} + sum without (le) (rate(a_total{x="b c",y=~"d|e"}[5m])) / on (job) group_left ()
        max by (k) (f:g) > 0.5 and h unless present_over_time(i[6h:1m] offset 10m) == 1e3"#;
    let read: Vec<_> = selectors(expression)
        .into_iter()
        .map(|selector| (selector.name, selector.labels.join(" ")))
        .collect();
    let expected = [
        ("j.+", ""),
        ("a_total", "x y"),
        ("f:g", ""),
        ("h", ""),
        ("i", ""),
    ];
    let expected = expected.map(|(name, labels)| (name.to_owned(), labels.to_owned()));
    assert_eq!(read, expected);
}
