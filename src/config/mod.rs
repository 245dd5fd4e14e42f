//! The filter's configuration: parses bytes into settings, or returns every problem with its path.

mod capture;
mod decode;
mod delivery;
mod identity;
mod journal;
pub mod lean;
mod lints;
mod node;
mod object;
mod patterns;
mod problems;
mod repeated;
mod request;
mod rules;
#[cfg(not(target_family = "wasm"))]
pub mod schema;
mod session;
mod shape;
mod text;
mod trail;
mod trust;
mod units;
mod value_source;

#[cfg(test)]
mod tests;

use std::fmt;

pub use decode::Environment;
use node::Node;
use object::Object;
use problems::Problems;

use crate::pipeline;
use crate::recorder::RecorderSettings;
use crate::recorder::rules::own_batch::OwnBatch;
use crate::wire::{Resource, SDK_NAME};

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For the per-request side.
    pub recorder: RecorderSettings,
    /// For the per-worker side.
    pub pipeline: pipeline::settings::PipelineSettings,
    /// Warnings for the operator, `path: sentence` each, in the order of discovery.
    pub warnings: Vec<String>,
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

/// Reads a configuration: JSON text (`google.protobuf.StringValue`) or a serialized
/// `google.protobuf.Struct`. `environment` resolves `${NAME}` inside string values.
///
/// # Errors
/// All problems found: unknown keys, wrong types, values out of range.
pub fn parse(bytes: &[u8], environment: Environment<'_>) -> Result<Config, ConfigError> {
    let mut value = decode::decode(bytes).map_err(|sentence| ConfigError {
        problems: vec![format!("configuration: {sentence}")],
    })?;

    let problems = Problems::default();
    for path in repeated::keys(bytes) {
        problems.add(|| path, "stands twice");
    }
    decode::fill_variables(&mut value, environment, &problems);
    let config = Node::root(&value, &problems).object().and_then(read);
    let journal_keys = journal::keys(environment, &problems);

    let (problems, warnings) = problems.into_vecs();
    match config {
        Some(mut config) if problems.is_empty() => {
            config.pipeline.journal_keys = journal_keys;
            config.warnings = warnings;
            Ok(config)
        }
        _ => Err(ConfigError { problems }),
    }
}

/// All keys but `audit_cluster.cluster`, with their defaults, as a JSON object. Two depend on other
/// keys: `session.token_mode` is `hmac` with a key, and `trust.cidrs` is empty where certificates
/// or principals are named.
pub const DEFAULTS: &str = include_str!("defaults.json");

/// `service.name` when none is configured.
const DEFAULT_SERVICE: &str = "unknown-service";

fn read(mut object: Object<'_>) -> Option<Config> {
    let enabled = object.read("enabled", true, Node::boolean);
    let service = object.read("service", String::new(), |node| {
        node.text().map(str::to_owned)
    });
    let target = object
        .required("audit_cluster")
        .and_then(|node| delivery::target(&node));

    let identity = identity::global(object.field("identity"));
    let (correlation_headers, correlation_scope) =
        request::correlation(object.field("correlation"));
    let tracking = request::tracking(object.field("tracking"), correlation_headers);
    request::check_names(&tracking, &object);
    let policy = rules::policy(&mut object, &identity, &tracking);
    let trust = trust::trust(object.field("trust"));
    let session = session::session(object.field("session"));
    let [started_after, alive_interval] = request::stages(object.field("stages"));
    let batch = delivery::batch(object.field("batch"));
    let buffer = delivery::buffer(object.field("buffer"));
    let retry = delivery::retry(object.field("retry"));

    lints::off(enabled, &policy, &object);
    let own_batch = target
        .as_ref()
        .map(|target| OwnBatch::new(SDK_NAME, &target.path, &target.headers));
    if let Some((own_batch, target)) = own_batch.as_ref().zip(target.as_ref()).filter(|_| enabled) {
        let content_type = target.format.content_type();
        if own_batch.is_recorded_by(&policy, &target.authority, content_type) {
            lints::loops(own_batch, &trust, &object);
        }
    }
    object.finish();

    let service = if service.is_empty() {
        DEFAULT_SERVICE.to_owned()
    } else {
        service
    };
    let (target, own_batch) = (target?, own_batch?);

    Some(Config {
        recorder: RecorderSettings {
            enabled,
            policy,
            tracking,
            trust,
            own_batch,
            session,
            correlation_scope,
            started_after,
        },
        pipeline: pipeline::settings::PipelineSettings {
            resource: Resource {
                service,
                instance: String::new(),
            },
            target,
            batch,
            buffer,
            retry,
            alive_interval,
            journal_keys: Vec::new(),
        },
        warnings: Vec::new(),
    })
}
