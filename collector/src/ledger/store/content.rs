//! From a shape and the values of a row to what the record holds.

use std::borrow::Cow;

use super::dictionary::json_string;
use super::shape::{COLUMNS, Form, NEXT_NUMBER, NUMBER, Shape, Source, column_text};
use super::values::{Line, lines, read};
use crate::ledger::entry::searched;
use crate::record::Attributes;

/// What follows from the shape and the values of a row. Nothing is copied.
pub(crate) struct Content<'t> {
    pub(crate) event_name: Cow<'t, str>,
    pub(crate) severity: i64,
    attributes: Parts<'t>,
}

/// The text of the attributes.
enum Parts<'t> {
    /// Each value behind its piece, and the last piece.
    Joined {
        pieces: &'t [String],
        values: Vec<Cow<'t, str>>,
        columns: &'t [Source; COLUMNS.len()],
    },
    Whole {
        text: &'t str,
        parsed: Attributes,
    },
}

/// The searched texts: stream, service, rule, action, outcome, user, name, email, session and token.
pub(crate) type Texts<'c> = [Option<Cow<'c, str>>; 10];

impl<'t> Content<'t> {
    /// The content of a row with this uid; `text` yields the texts of its segment. `None` when they do
    /// not fit together.
    pub(super) fn read(
        shape: &'t Shape,
        values: &'t str,
        uid: &str,
        text: impl Fn(i64) -> Option<&'t str>,
    ) -> Option<Self> {
        let Form::Template { pieces, columns } = &shape.form else {
            return Self::whole(values);
        };

        let values: Vec<Cow<'t, str>> = lines(values)
            .map(|line| match read(line) {
                Line::Text(id) => text(id).map(Cow::Borrowed),
                Line::Uid => Some(Cow::Owned(json_string(uid))),
                Line::Inline(value) => Some(Cow::Borrowed(value)),
            })
            .collect::<Option<_>>()?;

        (pieces.len() == values.len() + 1).then(|| Self {
            event_name: Cow::Borrowed(&shape.event_name),
            severity: shape.severity,
            attributes: Parts::Joined {
                pieces,
                values,
                columns,
            },
        })
    }

    /// The content of a row that is stored whole.
    fn whole(values: &'t str) -> Option<Self> {
        let mut lines = values.splitn(3, '\n');
        let event_name: String = serde_json::from_str(lines.next()?).ok()?;
        let severity = lines.next()?.parse().ok()?;
        let text = lines.next()?;

        Some(Self {
            event_name: Cow::Owned(event_name),
            severity,
            attributes: Parts::Whole {
                text,
                parsed: serde_json::from_str(text).ok()?,
            },
        })
    }

    /// The text of the attributes, piece by piece.
    pub(crate) fn attributes(&self, mut each: impl FnMut(&str)) {
        match &self.attributes {
            Parts::Whole { text, .. } => each(text),
            Parts::Joined { pieces, values, .. } => {
                let values = values.iter().map(AsRef::as_ref).chain([""]);
                for (piece, value) in pieces.iter().zip(values) {
                    each(piece);
                    each(value);
                }
            }
        }
    }

    /// Its length in bytes.
    pub(crate) fn attributes_len(&self) -> usize {
        let mut length = 0;
        self.attributes(|text| length += text.len());
        length
    }

    /// The searched texts.
    pub(crate) fn texts(&self) -> Texts<'_> {
        std::array::from_fn(|place| self.text(if place < NUMBER { place } else { place + 1 }))
    }

    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        match &self.attributes {
            Parts::Joined { .. } => column_text(self.value(column)?),
            Parts::Whole { parsed, .. } => {
                let text = parsed.get(*COLUMNS.get(column)?)?.as_str()?;
                Some(Cow::Owned(searched(text)))
            }
        }
    }

    /// `audit.sequence.number`.
    pub(crate) fn sequence_number(&self) -> Option<i64> {
        self.number(NUMBER)
    }

    /// `audit.sequence.next`.
    pub(crate) fn next_number(&self) -> Option<i64> {
        self.number(NEXT_NUMBER)
    }

    fn number(&self, column: usize) -> Option<i64> {
        match &self.attributes {
            Parts::Joined { .. } => self.value(column)?.parse().ok(),
            Parts::Whole { parsed, .. } => parsed.get(*COLUMNS.get(column)?)?.as_i64(),
        }
    }

    /// The JSON text of a column.
    fn value(&self, column: usize) -> Option<&str> {
        let Parts::Joined {
            values, columns, ..
        } = &self.attributes
        else {
            return None;
        };
        match columns.get(column)? {
            Source::Absent => None,
            Source::Constant(value) => Some(value),
            Source::Line(index) => values.get(*index).map(AsRef::as_ref),
        }
    }
}
