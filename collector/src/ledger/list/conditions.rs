//! A filter as conditions in SQL, with at most one index that the planner can see.
//!
//! The database leaves out most of what does not match. Some rows pass that do not: keys have 32 bits,
//! and an open shape does not show what its rows hold. [`Filter::matches`] decides.

use super::filter::Filter;
use crate::db::Cell;
use crate::ledger::store::keys::key;

/// Conditions as text and the values of their parameters.
#[derive(Default)]
pub(crate) struct Conditions<'c> {
    pub(crate) text: String,
    pub(crate) cells: Vec<Cell<'c>>,
}

impl<'c> Conditions<'c> {
    /// A text without conditions.
    pub(crate) fn of(text: String) -> Self {
        Self {
            text,
            cells: Vec::new(),
        }
    }

    /// Appends `condition` and its parameter.
    pub(crate) fn push(&mut self, condition: &str, cell: Cell<'c>) {
        self.cells.push(cell);
        self.text.push_str(condition);
        self.text.push_str(&format!("${}", self.cells.len()));
    }
}

/// How the rows are found that the conditions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// In an order of all rows: no column of the filter has an index.
    Order,
    /// The same for few rows: their shapes are looked at when they are read.
    Few,
    /// In one segment: the most selective column has its index there.
    Segment(i64),
}

/// The segment of a row, as the indexes have it.
const SEGMENT: &str = "CAST(position / 65536 AS INTEGER)";

/// The conditions of a filter on the stored columns.
pub(super) struct Columns {
    /// Column and key, in the order in which their indexes are preferred: first the one with the
    /// fewest rows for a key.
    keys: Vec<(&'static str, i64)>,
    /// Column of a shape and text.
    equal: Vec<(&'static str, String)>,
    /// A pattern for the action.
    like: Option<String>,
    without_session: bool,
}

impl Columns {
    /// Of a filter with texts as searched columns hold them.
    pub(super) fn of(filter: &Filter) -> Self {
        let keys = [
            ("session_key", &filter.session),
            ("token_key", &filter.token_ref),
            ("user_key", &filter.user),
            ("email_key", &filter.user_email),
            ("name_key", &filter.user_name),
            ("stream_key", &filter.stream),
        ];
        let equal = [
            ("action", &filter.action),
            ("rule", &filter.rule),
            ("outcome", &filter.outcome),
            ("service_name", &filter.service),
        ];

        Self {
            keys: keys
                .into_iter()
                .filter_map(|(column, text)| Some((column, key(text.as_ref()?))))
                .collect(),
            equal: equal
                .into_iter()
                .filter_map(|(column, text)| Some((column, text.clone()?)))
                .collect(),
            like: filter.text.as_deref().map(like),
            without_session: filter.without_session,
        }
    }

    /// Whether a segment has an index for one of them.
    pub(super) fn is_indexed(&self) -> bool {
        !self.keys.is_empty() || self.has_shape()
    }

    fn has_shape(&self) -> bool {
        !self.equal.is_empty() || self.like.is_some()
    }

    /// Adds the conditions on rows.
    pub(super) fn restrict<'t>(&'t self, access: Access, query: &mut Conditions<'t>) {
        let is_order = matches!(access, Access::Order | Access::Few);
        if let Access::Segment(segment) = access {
            query.push(&format!(" AND {SEGMENT} = "), Cell::Integer(segment));
        }

        for (place, (column, key)) in self.keys.iter().enumerate() {
            let hidden = if is_order || place > 0 { " + 0" } else { "" };
            query.push(&format!(" AND {column}{hidden} = "), Cell::Integer(*key));
        }
        if self.without_session {
            query.text.push_str(" AND session_key IS NULL");
        }
        if self.has_shape() {
            self.restrict_shape(access, query);
        }
    }

    fn restrict_shape<'t>(&'t self, access: Access, query: &mut Conditions<'t>) {
        match access {
            Access::Few => {}
            Access::Order => {
                let row = format!(" AND ({SEGMENT} + 0, shape_id + 0) IN (");
                query.text.push_str(&row);
                self.push_shapes("segment, id", None, query);
                query.text.push(')');
            }
            Access::Segment(segment) => {
                let hidden = if self.keys.is_empty() { "" } else { " + 0" };
                query.text.push_str(&format!(" AND shape_id{hidden} IN ("));
                self.push_shapes("id", Some(segment), query);
                query.text.push(')');
            }
        }
    }

    /// Adds the conditions on segments: each of them can have matching rows.
    pub(super) fn restrict_segments<'t>(&'t self, query: &mut Conditions<'t>) {
        if self.has_shape() {
            query.text.push_str(" AND segment IN (");
            self.push_shapes("segment", None, query);
            query.text.push(')');
        }
        if let Some((column, key)) = self.keys.first() {
            let exists = format!(
                " AND EXISTS (SELECT 1 FROM records WHERE {SEGMENT} = segments.segment AND {column} = "
            );
            query.push(&exists, Cell::Integer(*key));
            query.text.push(')');
        }
    }

    /// Adds a query for the shapes that can have matching rows, of one segment or of all.
    fn push_shapes<'t>(&'t self, columns: &str, segment: Option<i64>, query: &mut Conditions<'t>) {
        query
            .text
            .push_str(&format!("SELECT {columns} FROM shapes WHERE is_open = 1"));
        push_segment(segment, query);

        query.text.push_str(&format!(
            " UNION ALL SELECT {columns} FROM shapes WHERE 1 = 1"
        ));
        push_segment(segment, query);
        for (column, text) in &self.equal {
            query.push(&format!(" AND {column} = "), Cell::Text(text));
        }
        if let Some(pattern) = &self.like {
            query.push(" AND lower(action) LIKE ", Cell::Text(pattern));
            query.text.push_str(" ESCAPE '\\'");
        }
    }
}

fn push_segment(segment: Option<i64>, query: &mut Conditions<'_>) {
    if let Some(segment) = segment {
        query.push(" AND segment = ", Cell::Integer(segment));
    }
}

/// A pattern for a part of a text in lower case; wildcards in it are escaped.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_reader_are_plain_characters() {
        assert_eq!(like(r"get /50%_\x"), r"%get /50\%\_\\x%");
    }
}
