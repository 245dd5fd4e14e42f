//! Limits of the lean artefact, which has no callbacks on responses.

use super::{Config, ConfigError};
use crate::recorder::session::SessionEvent;

/// Refuses rules that need callbacks on responses. Status, headers and trailers are read at the
/// end, without callbacks.
///
/// # Errors
/// Every such rule, and the name of the artefact that supports it.
pub fn check(config: Config) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let rules = config
        .recorder
        .policy
        .iter()
        .enumerate()
        .filter(|(_, rule)| config.recorder.enabled && rule.recorded);

    for (index, rule) in rules {
        let mut refuse = |what: &str| {
            let name = &rule.name;
            problems.push(format!(
                "rules[{index}] ({name}): {what} needs audit_filter.wasm; this is audit_filter_lean.wasm"
            ));
        };
        if rule.identity.reads_body() {
            refuse("identity from response_json");
        }
        if rule.session == Some(SessionEvent::Start) {
            refuse("session: start");
        }
    }

    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError { problems })
    }
}
