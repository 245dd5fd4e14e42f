//! State of a session, independent of the order in which its records came.

use super::EndedBy;
use crate::ledger::entry::searched;
use crate::views::exchange::Exchange;

/// A value and the time of its record; the latest wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Latest<T>(pub(super) Option<(i64, T)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Latest<T> {
    pub(super) fn tell(&mut self, at: i64, value: Option<T>) {
        let Some(value) = value else { return };
        if self.0.as_ref().is_none_or(|(known, _)| at >= *known) {
            self.0 = Some((at, value));
        }
    }

    pub(super) fn at(&self) -> Option<i64> {
        self.0.as_ref().map(|(at, _)| *at)
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, value)| value)
    }
}

/// The name of a user and the id of that user: after a change of the user it does not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) of: Option<String>,
}

/// Fields of the last record by time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) action: Option<String>,
    pub(super) outcome: Option<String>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fold {
    pub(super) session_id: Option<String>,
    pub(super) token: Latest<String>,
    pub(super) user: Latest<String>,
    pub(super) name: Latest<Name>,
    pub(super) start: Option<i64>,
    pub(super) last: Latest<Last>,
    pub(super) end: Latest<EndedBy>,
    pub(super) events: i64,
}

impl Fold {
    /// Adds one more record.
    pub(super) fn add(&mut self, exchange: &Exchange<'_>, logout_actions: &[String]) {
        let entry = &exchange.kept.entry;
        let at = entry.at;

        self.session_id = self.session_id.take().or_else(|| entry.session_id.clone());
        self.token.tell(at, entry.token_ref.clone());
        self.user.tell(at, entry.user_id.clone());

        let name = exchange.user_name().map(searched);
        self.name.tell(
            at,
            name.map(|name| Name {
                name,
                of: entry.user_id.clone(),
            }),
        );

        self.start = Some(self.start.map_or(at, |start| start.min(at)));
        self.last.tell(
            at,
            Some(Last {
                action: entry.action.clone(),
                outcome: entry.outcome.clone(),
            }),
        );

        self.end.tell(at, ended_by(exchange, logout_actions));
        self.events += i64::from(exchange.counts());
    }
}

fn ended_by(exchange: &Exchange<'_>, logout_actions: &[String]) -> Option<EndedBy> {
    if exchange.ends_session() {
        return Some(EndedBy::Rule);
    }
    let action = exchange.kept.entry.action.as_ref()?;
    logout_actions.contains(action).then_some(EndedBy::Logout)
}
