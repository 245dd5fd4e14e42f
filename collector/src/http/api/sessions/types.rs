//! Sessions and signals as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::api::types::Nanos;
use crate::views::sessions::{EndedBy, Session};
use crate::views::signals::Signal;

/// A session: all exchanges with the same session id, or without one but with the same token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(in crate::http::api) struct SessionAnswer {
    /// Its id, else the reference of its token.
    key: String,
    /// `session.id`.
    #[schema(required)]
    session_id: Option<String>,
    /// `session.token_ref`, the latest.
    #[schema(required)]
    token_ref: Option<String>,
    /// `user.id`, the latest that is known.
    #[schema(required)]
    user_id: Option<String>,
    /// `user.name` of that user.
    #[schema(required)]
    user_name: Option<String>,
    /// Time of its first record.
    start_unix_nano: Nanos,
    /// Time of its last record.
    last_seen_unix_nano: Nanos,
    /// When it ended.
    #[schema(required)]
    end_unix_nano: Option<Nanos>,
    /// From its start to its end, or to when it was last seen.
    duration_ms: f64,
    /// How many exchanges it had.
    events: i64,
    /// `audit.action` of its last record.
    #[schema(required)]
    last_action: Option<String>,
    /// `audit.outcome` of its last record.
    #[schema(required)]
    last_outcome: Option<String>,
    /// Whether it has ended.
    state: SessionState,
    /// Why it ended.
    #[schema(required)]
    ended_by: Option<EndedBy>,
}

/// Whether a session has ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http::api) enum SessionState {
    /// It goes on.
    Open,
    /// It has ended.
    Ended,
}

/// A field of the session context that has changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signal)]
pub(in crate::http::api) struct SignalAnswer {
    /// The field.
    name: String,
    /// Its value from then on.
    value: String,
    /// Time of the record that brought it.
    since_unix_nano: Nanos,
    /// `log.record.uid` of that record.
    record_uid: String,
    /// Position of that record.
    position: i64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a double holds a year in milliseconds with all its nanoseconds' digits but the last"
)]
fn milliseconds(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

impl From<Session> for SessionAnswer {
    fn from(session: Session) -> Self {
        let end = session.end.map(|(at, _)| at);
        let until = end.unwrap_or(session.last_seen);

        Self {
            duration_ms: milliseconds(until.saturating_sub(session.start)),
            key: session.key,
            session_id: session.session_id,
            token_ref: session.token_ref,
            user_id: session.user_id,
            user_name: session.user_name,
            start_unix_nano: Nanos(session.start),
            last_seen_unix_nano: Nanos(session.last_seen),
            end_unix_nano: end.map(Nanos),
            events: session.events,
            last_action: session.last_action,
            last_outcome: session.last_outcome,
            state: if end.is_some() {
                SessionState::Ended
            } else {
                SessionState::Open
            },
            ended_by: session.end.map(|(_, by)| by),
        }
    }
}

impl From<Signal> for SignalAnswer {
    fn from(signal: Signal) -> Self {
        Self {
            name: signal.name,
            value: signal.value,
            since_unix_nano: Nanos(signal.since),
            record_uid: signal.uid,
            position: signal.position,
        }
    }
}
