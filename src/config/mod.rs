//! The filter's configuration: bytes in, settings of the rooms out, or every problem at once, each with its path.

mod capture;
mod delivery;
mod identity;
mod journal;
pub mod lean;
mod node;
mod patterns;
mod request;
mod rules;
mod session;
mod source;
mod sources;
mod text;
mod units;

#[cfg(test)]
mod tests;

use std::fmt;
use std::rc::Rc;

use node::{Node, Object, Problems};
pub use source::Environment;

use crate::record::RequireAudit;
use crate::recorder::gateway::SetTracking;
use crate::recorder::own_batch::OwnBatch;
use crate::recorder::policy::Rule;
use crate::recorder::token::TokenMode;
use crate::wire::SDK_NAME;
use crate::{pipeline, recorder};

/// A legal configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For the per-request side.
    pub recorder: recorder::Settings,
    /// For the per-worker side.
    pub pipeline: pipeline::settings::Settings,
}

impl Config {
    /// What an operator should hear of at the start, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.recorder.session.token_mode == TokenMode::Clear {
            warnings.push("session.token_mode is clear: whoever reads records can use the session tokens".to_owned());
        }
        let requires = |rule: &Rc<Rule>| rule.require_audit != RequireAudit::None;
        if !self.recorder.enabled && self.recorder.policy.iter().any(requires) {
            warnings.push("enabled is false: no request is held for require_audit".to_owned());
        }
        for rule in self.recorder.policy.iter() {
            if rule.set_tracking.as_ref().is_some_and(SetTracking::hands_on_secrets) {
                warnings.push(["rule ", &rule.name, ": set_tracking.context hands on what looks secret"].concat());
            }
        }
        warnings
    }
}

/// Why a configuration is refused: all problems found, `path: sentence` each. Its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// In the order in which they were found; never empty.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.problems.join("; ").replace(['\n', '\r'], " ");
        write!(f, "configuration refused: {line}")
    }
}

impl std::error::Error for ConfigError {}

/// Reads a configuration: JSON text (`google.protobuf.StringValue`) or a serialized `google.protobuf.Struct`.
/// `environment` resolves `${NAME}` inside string values.
///
/// # Errors
/// All problems found: unknown keys, wrong types, values out of range.
pub fn parse(bytes: &[u8], environment: Environment<'_>) -> Result<Config, ConfigError> {
    let mut value = source::decode(bytes)
        .map_err(|sentence| ConfigError { problems: vec![format!("configuration: {sentence}")] })?;
    let problems = Problems::default();
    source::fill_variables(&mut value, "", environment, &problems);
    let config = Node::root(&value, &problems).object().and_then(read);
    let journal_keys = journal::keys(environment, &problems);
    match (config, problems.into_vec()) {
        (Some(mut config), problems) if problems.is_empty() => {
            config.pipeline.journal_keys = journal_keys;
            Ok(config)
        }
        (_, problems) => Err(ConfigError { problems }),
    }
}

/// `service.name` when none is configured.
const DEFAULT_SERVICE: &str = "unknown-service";

fn read(mut object: Object<'_>) -> Option<Config> {
    let enabled = object.read("enabled", true, Node::boolean);
    let service = object.read("service", String::new(), |node| node.text().map(str::to_owned));
    let target = object.required("audit_cluster").and_then(|node| delivery::target(&node));
    let identity = identity::global(object.field("identity"));
    let (correlation_headers, correlation_scope) = request::correlation(object.field("correlation"));
    let tracking = request::tracking(object.field("tracking"), correlation_headers);
    request::check_names(&tracking, &object);
    let policy = object
        .field("rules")
        .map_or_else(|| rules::default_rules(&identity), |node| rules::rules(&node, &identity, &tracking));
    let trust = request::trust(object.field("trust"));
    let session = session::session(object.field("session"));
    let [started_after, alive_interval] = request::stages(object.field("stages"));
    let batch = delivery::batch(object.field("batch"));
    let buffer = delivery::buffer(object.field("buffer"));
    let retry = delivery::retry(object.field("retry"));
    object.finish();
    let service = if service.is_empty() { DEFAULT_SERVICE.to_owned() } else { service };
    let target = target?;
    let own_batch = OwnBatch::new(SDK_NAME, &target.path, &target.headers);
    Some(Config {
        recorder: recorder::Settings {
            enabled,
            policy,
            tracking,
            trust,
            own_batch,
            session,
            correlation_scope,
            started_after,
        },
        pipeline: pipeline::settings::Settings {
            service,
            target,
            batch,
            buffer,
            retry,
            alive_interval,
            journal_keys: Vec::new(),
        },
    })
}
