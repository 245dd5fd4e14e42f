//! The filter for records.

use crate::ledger::entry::{Entry, searched};

/// Conditions that must all hold. Text longer than a searched column is compared by its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Earliest time, in nanoseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Latest time, itself excluded.
    pub to: Option<i64>,
    /// `user.id`.
    pub user: Option<String>,
    /// `user.email`.
    pub user_email: Option<String>,
    /// `user.name`.
    pub user_name: Option<String>,
    /// `session.id`.
    pub session: Option<String>,
    /// `session.token_ref`.
    pub token_ref: Option<String>,
    /// Only records without `session.id`.
    pub without_session: bool,
    /// `audit.action`.
    pub action: Option<String>,
    /// `audit.rule`.
    pub rule: Option<String>,
    /// `audit.outcome`.
    pub outcome: Option<String>,
    /// `service.name`.
    pub service: Option<String>,
    /// `audit.stream.id`.
    pub stream: Option<String>,
    /// A part of `audit.action`; the case of ASCII letters does not matter.
    pub text: Option<String>,
}

impl Filter {
    /// Whether finding the records may take a look at all of them. `by_position`: in the order of
    /// storage.
    pub(crate) fn scans(&self, by_position: bool) -> bool {
        if by_position {
            return *self != Self::default();
        }
        // Few records have such a value, or its index shows that none has it.
        let is_selective = [
            &self.stream,
            &self.session,
            &self.token_ref,
            &self.user,
            &self.user_email,
            &self.user_name,
        ]
        .into_iter()
        .any(Option::is_some);
        self.without_session && !is_selective
    }

    /// The same with all texts as searched columns hold them, as [`Self::matches`] needs it.
    pub(super) fn as_searched(&self) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(searched);
        Self {
            user: text(&self.user),
            user_email: text(&self.user_email),
            user_name: text(&self.user_name),
            session: text(&self.session),
            token_ref: text(&self.token_ref),
            action: text(&self.action),
            rule: text(&self.rule),
            outcome: text(&self.outcome),
            service: text(&self.service),
            stream: text(&self.stream),
            text: text(&self.text).map(|text| text.to_ascii_lowercase()),
            ..*self
        }
    }

    /// Whether a record matches.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        let equal = [
            (&self.user, &entry.user_id),
            (&self.user_email, &entry.user_email),
            (&self.user_name, &entry.user_name),
            (&self.session, &entry.session_id),
            (&self.token_ref, &entry.token_ref),
            (&self.action, &entry.action),
            (&self.rule, &entry.rule),
            (&self.outcome, &entry.outcome),
            (&self.service, &entry.service_name),
            (&self.stream, &entry.stream_id),
        ]
        .into_iter()
        .all(|(wanted, kept)| wanted.is_none() || wanted == kept);

        equal
            && !(self.without_session && entry.session_id.is_some())
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && self.has_text(entry.action.as_deref())
    }

    fn has_text(&self, action: Option<&str>) -> bool {
        let Some(text) = &self.text else {
            return true;
        };
        action.is_some_and(|action| action.to_ascii_lowercase().contains(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_index_answers_is_a_scan() {
        let some = || Some("x".to_owned());
        let without_session = Filter {
            without_session: true,
            ..Filter::default()
        };
        let user = Filter {
            user: some(),
            ..without_session.clone()
        };
        let outcome = Filter {
            outcome: some(),
            ..Filter::default()
        };

        for (filter, scans) in [
            (&Filter::default(), false),
            (&without_session, true),
            (&user, false),
            (&outcome, false),
        ] {
            assert_eq!(filter.scans(false), scans, "{filter:?}");
        }

        assert!(user.scans(true));
        assert!(!Filter::default().scans(true));
    }
}
