//! A dry run: which rule a request would match.

use std::str::FromStr;

use audit_filter::config::Config;
use audit_filter::recorder::dry_run::{Effect, Finding, Part, Request, findings as of_rules};

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
        let (method, rest) = text
            .split_once(' ')
            .ok_or("must be a method and a path, such as 'POST /v1/x'")?;
        let line = |authority: &str, target: &str| Self {
            method: method.to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
        };

        if rest.contains(' ') {
            return Err("must be a method and a target: it has a second space".to_owned());
        }
        // RFC 9112, section 3.2: a tunnel has a host alone, and `*` stands for the whole server.
        let without_scheme = rest
            .strip_prefix("https://")
            .or_else(|| rest.strip_prefix("http://"));
        match without_scheme.unwrap_or(rest) {
            authority if method == "CONNECT" && !authority.contains('/') => Ok(line(authority, "")),
            rest => match rest.find('/').map(|start| rest.split_at(start)) {
                Some((authority, target)) => Ok(line(authority, target)),
                None if rest.ends_with('*') => Ok(line(rest.trim_end_matches('*'), "*")),
                None if without_scheme.is_some() => Ok(line(rest, "/")),
                None => Err("must have a path that starts with /".to_owned()),
            },
        }
    }
}

/// Reads `name: value`.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("must be a name and a value, such as 'x-env: prod'")?;

    let name = name.trim().to_ascii_lowercase();
    if name == "host" {
        return Err(
            "Envoy has no host header: put the host before the path, as in 'POST api.example.com/v1/x'".to_owned()
        );
    }
    if name.is_empty() || name.contains(' ') {
        return Err("must have a name before the colon, such as 'x-env: prod'".to_owned());
    }
    Ok((name, value.trim().to_owned()))
}

/// A line for each rule, as for a request of a trusted peer.
pub(super) fn findings(
    config: &Config,
    line: &RequestLine,
    headers: &[(String, String)],
) -> Vec<String> {
    if !config.recorder.enabled {
        return vec!["enabled is false: nothing is recorded".to_owned()];
    }

    let request = Request {
        method: line.method.clone(),
        target: line.target.clone(),
        authority: line.authority.clone(),
        headers: headers.to_vec(),
    };
    let Some(found) = of_rules(&config.recorder, &request) else {
        return vec!["it is a batch of this filter: it is not recorded".to_owned()];
    };
    let is_met = found
        .iter()
        .any(|finding| matches!(finding, Finding::Met { .. }));

    let rules = config.recorder.policy.iter().zip(found);
    let lines = rules.map(|(rule, finding)| format!("{}: {}", rule.name, text(finding)));
    let unmet = (!is_met).then(|| "no rule matches: it is not recorded".to_owned());
    lines.chain(unmet).collect()
}

fn text(finding: Finding) -> String {
    match finding {
        Finding::Met { http, grpc, effect } if http == grpc => part(http, "", effect),
        Finding::Met { http, grpc, effect } => {
            let parts = [
                (http, " if it is no gRPC call"),
                (grpc, " if it is a gRPC call"),
            ];
            let concerned = parts
                .into_iter()
                .filter(|(of, _)| *of != Part::Unconcerned)
                .map(|(of, condition)| part(of, condition, effect));
            concerned.collect::<Vec<_>>().join("; ")
        }
        Finding::Covered => "does not matter: an earlier rule decides".to_owned(),
        Finding::Ambiguous => {
            "does not match: an upstream may read the path or host in another way".to_owned()
        }
        Finding::Differs(key) => format!("does not match: {key}"),
    }
}

fn part(of: Part, condition: &str, effect: Effect) -> String {
    let becomes = match effect {
        Effect::Records => "it is recorded, if the rule wants its end",
        Effect::Excludes => "it is not recorded",
        Effect::SetsTracking => "it is not recorded here, and control headers are set",
        Effect::SkipsEmptyContext => {
            "it is not recorded, since it has no context (tracking.on_empty_context: skip)"
        }
    };
    match of {
        Part::Decides => format!("decides{condition}: {becomes}"),
        Part::Follows => {
            format!("decides{condition} about ends that no rule before records: {becomes}")
        }
        Part::Unconcerned => "does not matter".to_owned(),
    }
}
