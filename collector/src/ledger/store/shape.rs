//! What rows of one kind have in common.

use std::borrow::Cow;

use super::split::members;
use crate::ledger::entry::{MAX_SEARCHED_BYTES, searched};

/// Names of attributes with few values: these are part of the shape. Those that a client chooses
/// freely are not, such as a host or a path.
const CONSTANT: [&str; 17] = [
    "audit.action",
    "audit.hop",
    "audit.outcome",
    "audit.rpc.status_source",
    "audit.rule",
    "audit.stage",
    "audit.upstream.cluster",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "service.name",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

/// The attributes that have a column, in the order of the columns, and the next number of the stream.
pub(super) const COLUMNS: [&str; 12] = [
    "audit.stream.id",
    "audit.sequence.number",
    "service.name",
    "audit.rule",
    "audit.action",
    "audit.outcome",
    "user.id",
    "user.name",
    "user.email",
    "session.id",
    "session.token_ref",
    "audit.sequence.next",
];

/// Those of [`COLUMNS`] that are numbers.
pub(super) const NUMBER: usize = 1;
pub(super) const NEXT_NUMBER: usize = 11;

/// Most bytes of a template.
const MAX_TEMPLATE_BYTES: usize = 4096;

/// The attributes of a record: an object in which null stands for an open value, and the open values
/// in the order of their names.
pub(super) struct Template<'m> {
    pub(super) text: String,
    pub(super) open: Vec<&'m str>,
}

impl<'m> Template<'m> {
    /// The template of these attributes; with `constants`, some values are part of it. `None` when it
    /// is too long.
    pub(super) fn of(members: &[(&str, &'m str)], constants: bool) -> Option<Self> {
        let (mut text, mut open) = (String::with_capacity(1024), Vec::with_capacity(16));
        for (name, value) in members {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name);
            text.push(':');
            if constants && is_constant(name) {
                text.push_str(value);
            } else {
                text.push_str(OPEN);
                open.push(*value);
            }
        }
        if text.is_empty() {
            text.push('{');
        }
        text.push('}');

        (text.len() <= MAX_TEMPLATE_BYTES).then_some(Self { text, open })
    }
}

/// In a template, a value that each row has for itself.
const OPEN: &str = "null";

/// `name` has its quotes.
fn is_constant(name: &str) -> bool {
    unquoted(name).is_some_and(|name| CONSTANT.binary_search(&name).is_ok())
}

/// Where a column of a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The record does not have it.
    Absent,
    /// In the shape: JSON text.
    Constant(String),
    /// In the row: the number of its line.
    Line(usize),
}

/// A shape as it is read.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) event_name: String,
    pub(super) severity: i64,
    pub(super) form: Form,
}

/// How the attributes of a row are put together.
#[derive(Debug)]
pub(super) enum Form {
    /// From the texts before, between and after the open values.
    Template {
        pieces: Vec<String>,
        columns: Box<[Source; COLUMNS.len()]>,
    },
    /// The row has the name of the event, the severity and all attributes, in three lines.
    Whole,
}

impl Shape {
    /// The shape of this template; `None` when no collector writes it.
    pub(super) fn read(event_name: &str, severity: i64, template: &str) -> Option<Self> {
        let form = if template.is_empty() {
            Form::Whole
        } else {
            form(&members(template)?)
        };
        Some(Self {
            event_name: event_name.to_owned(),
            severity,
            form,
        })
    }

    /// Service, rule, action and outcome of its rows, where the shape has them; the others are open.
    pub(super) fn searched(&self) -> [Option<String>; 4] {
        let Form::Template { columns, .. } = &self.form else {
            return [const { None }; 4];
        };
        std::array::from_fn(|index| match columns.get(SERVICE + index) {
            Some(Source::Constant(value)) => column_text(value).map(Cow::into_owned),
            _ => None,
        })
    }

    /// Whether a row can have one of these four for itself.
    pub(super) fn is_open(&self) -> bool {
        match &self.form {
            Form::Whole => true,
            Form::Template { columns, .. } => columns
                .iter()
                .skip(SERVICE)
                .take(4)
                .any(|source| matches!(source, Source::Line(_))),
        }
    }
}

/// The first of the four columns of [`Shape::searched`].
const SERVICE: usize = 2;

fn form(members: &[(&str, &str)]) -> Form {
    let (mut pieces, mut piece) = (Vec::new(), String::from("{"));
    let mut columns = [const { Source::Absent }; COLUMNS.len()];

    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            piece.push(',');
        }
        piece.push_str(name);
        piece.push(':');

        let source = if *value == OPEN {
            pieces.push(std::mem::take(&mut piece));
            Source::Line(pieces.len() - 1)
        } else {
            piece.push_str(value);
            Source::Constant((*value).to_owned())
        };
        if let Some(column) = column_of(name).and_then(|column| columns.get_mut(column)) {
            *column = source;
        }
    }

    piece.push('}');
    pieces.push(piece);
    Form::Template {
        pieces,
        columns: Box::new(columns),
    }
}

fn column_of(name: &str) -> Option<usize> {
    let name = unquoted(name)?;
    COLUMNS.iter().position(|column| *column == name)
}

/// A text without quotes, if it needs no escapes.
fn unquoted(text: &str) -> Option<&str> {
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// The text of a column: that of a JSON string as it is searched for. Without escapes it has no NUL.
pub(super) fn column_text(value: &str) -> Option<Cow<'_, str>> {
    if let Some(text) = unquoted(value) {
        let (searched, _) = text.split_at(text.floor_char_boundary(MAX_SEARCHED_BYTES));
        return Some(Cow::Borrowed(searched));
    }
    let text: String = serde_json::from_str(value).ok()?;
    Some(Cow::Owned(searched(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_constants_are_in_order() {
        assert!(CONSTANT.is_sorted());
    }

    #[test]
    fn a_template_keeps_what_is_constant_and_opens_the_rest() {
        let text = r#"{"audit.action":"GET /x","user.id":"ann","x":null}"#;
        let members = members(text).unwrap();

        let template = Template::of(&members, true).unwrap();
        assert_eq!(
            template.text,
            r#"{"audit.action":"GET /x","user.id":null,"x":null}"#
        );
        assert_eq!(template.open, [r#""ann""#, "null"]);

        let all_open = Template::of(&members, false).unwrap();
        assert_eq!(
            all_open.text,
            r#"{"audit.action":null,"user.id":null,"x":null}"#
        );
        assert_eq!(Template::of(&[], true).unwrap().text, "{}");
    }

    #[test]
    fn a_shape_knows_where_its_columns_are() {
        let template = r#"{"audit.action":"GET \"x","service.name":7,"user.id":null}"#;
        let shape = Shape::read("audit.http", 9, template).unwrap();
        assert_eq!(
            shape.searched(),
            [None, None, Some("GET \"x".to_owned()), None]
        );

        let Form::Template { pieces, columns } = shape.form else {
            panic!("no template")
        };
        assert_eq!(
            pieces,
            [
                r#"{"audit.action":"GET \"x","service.name":7,"user.id":"#,
                "}"
            ]
        );
        assert_eq!(columns[6], Source::Line(0));
        assert_eq!(columns[9], Source::Absent);
    }
}
