//! Attributes of an exchange that are not columns of its row.

use serde::Deserialize;
use serde_json::Value;

use crate::ledger::StoredEntry;

/// A record of an exchange, in contrast to losses and the life of a stream.
pub(super) struct Exchange<'k> {
    pub(super) kept: &'k StoredEntry,
    pub(super) attributes: ExchangeAttributes,
}

/// Attributes of any type, as a sender may send them.
#[derive(Default, Deserialize)]
pub(super) struct ExchangeAttributes {
    #[serde(rename = "audit.stage")]
    stage: Option<Value>,
    #[serde(rename = "audit.session.event")]
    event: Option<Value>,
    #[serde(rename = "user.name")]
    user_name: Option<Value>,
    #[serde(rename = "audit.session.context")]
    context: Option<Value>,
    #[serde(rename = "audit.session.context_hashed")]
    hashed: Option<Value>,
}

impl<'k> Exchange<'k> {
    /// `None` when `kept` is not a record of an exchange.
    pub(super) fn read(kept: &'k StoredEntry) -> Option<Self> {
        if !matches!(kept.entry.event_name.as_str(), "audit.http" | "audit.rpc") {
            return None;
        }
        Some(Self {
            kept,
            attributes: serde_json::from_str(&kept.entry.attributes).unwrap_or_default(),
        })
    }

    /// Whether it counts as its exchange. An exchange acknowledged before it was forwarded has a
    /// `received` record, too, and a long one a record of its start.
    pub(super) fn counts(&self) -> bool {
        !matches!(text(&self.attributes.stage), Some("received" | "started"))
    }

    /// Whether its rule ends the session.
    pub(super) fn ends_session(&self) -> bool {
        text(&self.attributes.event) == Some("end")
    }

    /// `user.name`.
    pub(super) fn user_name(&self) -> Option<&str> {
        text(&self.attributes.user_name)
    }

    /// The session context, unless only its hash was recorded.
    pub(super) fn context(&self) -> Option<&str> {
        let hashed = self
            .attributes
            .hashed
            .as_ref()
            .is_some_and(|value| value != &Value::Bool(false));
        text(&self.attributes.context).filter(|_| !hashed)
    }
}

fn text(value: &Option<Value>) -> Option<&str> {
    value.as_ref().and_then(Value::as_str)
}
