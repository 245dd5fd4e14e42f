//! A dry run: which rule a request would meet.

use std::str::FromStr;

use audit_filter::config::Config;
use audit_filter::recorder::dry_run::{Finding, Request, findings as of_rules};

/// `POST /v1/x`, or `POST api.example.com/v1/x`.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    method: String,
    authority: String,
    target: String,
}

impl FromStr for RequestLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (method, rest) = text.split_once(' ').ok_or("must be a method and a path, such as 'POST /v1/x'")?;
        let rest = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")).unwrap_or(rest);
        let start = rest.find('/').ok_or("must have a path that starts with /")?;
        let (authority, target) = rest.split_at(start);
        Ok(Self { method: method.to_owned(), authority: authority.to_owned(), target: target.to_owned() })
    }
}

/// Reads `name: value`.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be a name and a value, such as 'x-env: prod'")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// A line for each rule. The peer counts as trusted: a request with the track header is tracked.
pub(super) fn findings(config: &Config, line: &RequestLine, headers: &[(String, String)]) -> Vec<String> {
    if !config.recorder.enabled {
        return vec!["enabled is false: nothing is recorded".to_owned()];
    }
    let track = &config.recorder.tracking.track_header;
    let request = Request {
        method: line.method.clone(),
        target: line.target.clone(),
        authority: line.authority.clone(),
        headers: headers.to_vec(),
        tracked: headers.iter().any(|(name, value)| name == track && value == "true"),
    };
    let policy = &config.recorder.policy;
    let lines = policy.iter().zip(of_rules(policy, &request));
    let mut lines: Vec<String> =
        lines.map(|(rule, finding)| format!("{}: {}", rule.name, text(finding, rule.recorded))).collect();
    if !lines.iter().any(|line| line.contains(DECIDES)) {
        lines.push("no rule matches: it is not recorded".to_owned());
    }
    lines
}

const DECIDES: &str = ": decides";

fn text(finding: Finding, is_recorded: bool) -> String {
    let becomes = if is_recorded { "it is recorded, if the rule wants its end" } else { "it is not recorded" };
    match finding {
        Finding::Decides([true, true]) => format!("decides: {becomes}"),
        Finding::Decides([_, true]) => format!("decides if it is a gRPC call: {becomes}"),
        Finding::Decides(_) => format!("decides if it is no gRPC call: {becomes}"),
        Finding::Follows => "records what the rules before do not want, since the request is tracked".to_owned(),
        Finding::Covered => "does not matter: an earlier rule decides".to_owned(),
        Finding::Ambiguous => "does not match: an upstream may read the path or host in another way".to_owned(),
        Finding::Differs(key) => format!("does not match: {key}"),
    }
}
