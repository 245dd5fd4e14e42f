//! The filter for records, and its conditions in SQL with at most one index that the planner can see.
//!
//! Each searched column has an index that is in the order of time. Without statistics, SQLite
//! prefers one of them by the order in which they were made, and reads all records with a frequent
//! outcome to find those of a rare action. A column in an expression has no index.

use super::entry::searched;
use crate::db::Cell;

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
    /// Whether finding the records may take a look at all of them, or at all that have an action, a
    /// rule or an outcome in common. `by_position`: in the order of storage.
    pub(super) fn scans(&self, by_position: bool) -> bool {
        Columns::of(self).scan(self, by_position)
    }
}

/// Conditions as text and the values of their parameters.
#[derive(Default)]
pub(crate) struct Conditions<'c> {
    pub(crate) text: String,
    pub(crate) cells: Vec<Cell<'c>>,
}

impl<'c> Conditions<'c> {
    /// Appends `condition` and its parameter.
    pub(crate) fn push(&mut self, condition: &str, cell: Cell<'c>) {
        self.cells.push(cell);
        self.text.push_str(condition);
        self.text.push_str(&format!("${}", self.cells.len()));
    }
}

/// How many of the columns in [`Columns::of`] have few records for each value.
const SELECTIVE: usize = 6;

/// The conditions of a filter on the searched columns.
pub(super) struct Columns {
    /// Column and value, in the order in which their indexes are preferred: first the one with the
    /// fewest records for a value.
    equal: Vec<(&'static str, String)>,
    /// Whether the first of them has few records for each value.
    is_selective: bool,
    /// `service.name` has no index.
    service: Option<String>,
    /// A pattern for the action.
    like: Option<String>,
}

impl Columns {
    pub(super) fn of(filter: &Filter) -> Self {
        let indexed = [
            ("stream_id", &filter.stream),
            ("session_id", &filter.session),
            ("token_ref", &filter.token_ref),
            ("user_id", &filter.user),
            ("user_email", &filter.user_email),
            ("user_name", &filter.user_name),
            ("action", &filter.action),
            ("rule", &filter.rule),
            ("outcome", &filter.outcome),
        ];
        let is_selective = indexed
            .iter()
            .take(SELECTIVE)
            .any(|(_, text)| text.is_some());
        let equal = indexed
            .into_iter()
            .filter_map(|(column, text)| Some((column, searched(text.as_ref()?))));

        Self {
            equal: equal.collect(),
            is_selective,
            service: filter.service.as_deref().map(searched),
            like: filter.text.as_ref().map(|text| like(&searched(text))),
        }
    }

    /// See [`Filter::scans`].
    fn scan(&self, filter: &Filter, by_position: bool) -> bool {
        let unindexed = self.service.is_some() || self.like.is_some();
        if by_position {
            return *filter != Filter::default();
        }
        let more = unindexed || filter.without_session || self.equal.len() > 1;
        more && !self.is_selective
    }

    /// Adds the conditions. Pages by position are read in the order of positions, without an index
    /// of a column.
    pub(super) fn restrict<'t>(
        &'t self,
        filter: &Filter,
        by_position: bool,
        query: &mut Conditions<'t>,
    ) {
        for (place, (column, value)) in self.equal.iter().enumerate() {
            let hidden = if by_position || place > 0 {
                " || ''"
            } else {
                ""
            };
            query.push(&format!(" AND {column}{hidden} = "), Cell::Text(value));
        }

        if let Some(service) = &self.service {
            query.push(" AND service_name = ", Cell::Text(service));
        }
        if let Some(pattern) = &self.like {
            query.push(" AND lower(action) LIKE ", Cell::Text(pattern));
            query.text.push_str(" ESCAPE '\\'");
        }
        if filter.without_session {
            query.text.push_str(" AND session_id IS NULL");
        }

        let hidden = if by_position { " + 0" } else { "" };
        for (comparison, time) in [(">=", filter.from), ("<", filter.to)] {
            if let Some(time) = time {
                let condition = format!(" AND at_unix_nano{hidden} {comparison} ");
                query.push(&condition, Cell::Integer(time));
            }
        }
    }
}

/// A pattern for a part of a text; wildcards in it are escaped.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_reader_are_plain_characters() {
        assert_eq!(like(r"GET /50%_\x"), r"%get /50\%\_\\x%");
    }

    #[test]
    fn what_no_single_index_answers_is_a_scan() {
        let some = || Some("x".to_owned());
        let user = || Filter {
            user: some(),
            ..Filter::default()
        };
        let outcome = || Filter {
            outcome: some(),
            ..Filter::default()
        };

        for (filter, scans) in [
            (Filter::default(), false),
            (user(), false),
            (outcome(), false),
            (
                Filter {
                    text: some(),
                    ..user()
                },
                false,
            ),
            (
                Filter {
                    text: some(),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    service: some(),
                    ..Filter::default()
                },
                true,
            ),
            (
                Filter {
                    service: some(),
                    ..outcome()
                },
                true,
            ),
            (
                Filter {
                    rule: some(),
                    ..outcome()
                },
                true,
            ),
        ] {
            assert_eq!(filter.scans(false), scans, "{filter:?}");
        }

        assert!(user().scans(true));
        assert!(!Filter::default().scans(true));
    }
}
