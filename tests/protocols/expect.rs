//! Expected and actual content of a row's record.

use testkit::Record;

use crate::traffic::ROW;

/// The cells of a row's record as text; empty if the attribute is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    pub records: usize,
    pub event: String,
    pub outcome: String,
    pub http: String,
    pub rpc: String,
    pub source: String,
    pub dialect: String,
    pub termination: String,
}

impl Cells {
    /// Parses a short form: `none`, or `<event> <outcome> [<http>] [<rpc>/<source>] [<dialect>] [by
    /// <termination>]`.
    ///
    /// # Panics
    ///
    /// If it is not of this form.
    pub fn parse(short: &str) -> Self {
        let mut words = short.split(' ');
        let event = match words.next() {
            Some("none") => return Self::default(),
            Some(event @ ("http" | "rpc")) => format!("audit.{event}"),
            other => panic!("no event: {other:?} of {short:?}"),
        };

        let outcome = words.next().expect("an outcome").to_owned();
        let mut cells = Self {
            records: 1,
            event,
            outcome,
            ..Self::default()
        };

        while let Some(word) = words.next() {
            if word == "by" {
                cells.termination = words.next().expect("who ended it").to_owned();
            } else if let Some((rpc, source)) = word.split_once('/') {
                (cells.rpc, cells.source) = (rpc.to_owned(), source.to_owned());
            } else if word.parse::<u16>().is_ok() {
                cells.http = word.to_owned();
            } else {
                cells.dialect = word.to_owned();
            }
        }

        cells
    }

    /// The cells of one request's records; if there are several, of the last one.
    pub fn of(records: &[Record]) -> Self {
        let Some(last) = records.last() else {
            return Self::default();
        };

        Self {
            records: records.len(),
            event: last.event.clone(),
            outcome: last.text("audit.outcome"),
            http: last.text("http.response.status_code"),
            rpc: last.text("rpc.response.status_code"),
            source: last.text("audit.rpc.status_source"),
            dialect: last.text("audit.rpc.dialect"),
            termination: last.text("audit.termination"),
        }
    }

    /// The cells in the order of the table's columns.
    pub fn columns(&self) -> [String; 8] {
        let Self {
            records,
            event,
            outcome,
            http,
            rpc,
            source,
            dialect,
            termination,
        } = self.clone();

        [
            records.to_string(),
            event,
            outcome,
            http,
            rpc,
            source,
            dialect,
            termination,
        ]
    }
}

/// An attribute of the record without a column.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// It has this value.
    Is(&'static str, String),
    /// It is present.
    Present(&'static str),
}

impl Attribute {
    /// Message for a deviation in the record of the row with this number, if any.
    pub fn breach(&self, record: &Record, row: usize) -> Option<String> {
        match self {
            Self::Is(name, value) => {
                let (found, value) = (record.text(name), value.replace(ROW, &row.to_string()));
                (found != value).then(|| format!("{name} is {found:?}, not {value:?}"))
            }
            Self::Present(name) => (!record.has(name)).then(|| format!("{name} is absent")),
        }
    }
}
