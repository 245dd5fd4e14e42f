//! The columns of an entry, in the order in which they are hashed.

use super::Entry;
use crate::db::Cell;

/// How many columns are hashed.
pub const HASHED: usize = 23;

impl Entry {
    /// The cells that are hashed.
    pub fn cells(&self) -> [Cell<'_>; HASHED] {
        [
            Cell::Text(&self.uid),
            Cell::Integer(self.received_at),
            Cell::Integer(self.at),
            Cell::Integer(self.time),
            Cell::Integer(self.observed_time),
            Cell::Integer(self.severity),
            Cell::Integer(self.flags),
            Cell::Text(&self.event_name),
            self.stream_id.as_deref().into(),
            self.sequence_number.into(),
            self.service_name.as_deref().into(),
            self.rule.as_deref().into(),
            self.action.as_deref().into(),
            self.outcome.as_deref().into(),
            self.user_id.as_deref().into(),
            self.user_name.as_deref().into(),
            self.user_email.as_deref().into(),
            self.session_id.as_deref().into(),
            self.token_ref.as_deref().into(),
            self.trace_id.as_deref().into(),
            self.span_id.as_deref().into(),
            self.body.as_deref().into(),
            Cell::Text(&self.attributes),
        ]
    }
}
