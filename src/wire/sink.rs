//! Where the attributes of a record or of a batch go, in either format.

use std::time::Duration;

use uuid::Uuid;

use super::Format;
use crate::json::Writer;
use crate::time::nanos;

/// The name of an attribute, and in one piece with what OTLP writes around it: the end of the attribute before, the name,
/// and the start of the value. Names need no escaping.
#[derive(Clone, Copy)]
pub(super) struct Name {
    plain: &'static str,
    piece: &'static str,
}

impl Name {
    /// One of the names that [`name`] makes.
    pub(super) const fn new(plain: &'static str, piece: &'static str) -> Self {
        Self { plain, piece }
    }
}

/// What ends an attribute of OTLP, and begins the next.
const END: &str = "}},";
/// What stands before a name in OTLP.
const OPEN: &str = r#"}},{"key":""#;
/// What stands between the name and the value of a string.
pub(super) const TEXT: &str = r#"","value":{"stringValue":""#;

/// The [`Name`] of a value of this kind.
macro_rules! name {
    (text $name:literal) => {
        name!($name, r#"","value":{"stringValue":""#)
    };
    (int $name:literal) => {
        name!($name, r#"","value":{"intValue":""#)
    };
    (flag $name:literal) => {
        name!($name, r#"","value":{"boolValue":"#)
    };
    (millis $name:literal) => {
        name!($name, r#"","value":{"doubleValue":"#)
    };
    ($name:literal, $kind:literal) => {
        $crate::wire::sink::Name::new($name, concat!(r#"}},{"key":""#, $name, $kind))
    };
}
pub(super) use name;

/// Writes attributes one after the other.
pub(super) struct Sink<'o> {
    out: &'o mut Writer,
    format: Format,
    /// In OTLP the next piece ends the attribute before it; nothing stands before the first.
    is_first: bool,
}

impl<'o> Sink<'o> {
    /// Starts a list of attributes; in NDJSON they go on with an object that is not empty.
    pub(super) fn new(out: &'o mut Writer, format: Format) -> Self {
        Self { out, format, is_first: true }
    }

    /// Ends the list.
    pub(super) fn close(self) {
        if self.format == Format::OtlpJson && !self.is_first {
            self.out.push_str("}}");
        }
    }

    /// A string from raw bytes.
    pub(super) fn text(&mut self, name: Name, value: &[u8]) {
        self.open(name);
        self.quoted(|out| out.push_inside(value));
    }

    /// A string that needs no escaping.
    pub(super) fn word(&mut self, name: Name, value: &str) {
        self.open(name);
        self.quoted(|out| out.push_str(value));
    }

    /// A UUID with a word before it.
    pub(super) fn uuid(&mut self, name: Name, prefix: &str, value: Uuid) {
        self.open(name);
        self.quoted(|out| {
            out.push_str(prefix);
            out.push_uuid(value.as_u128());
        });
    }

    /// An integer, which OTLP writes as a string.
    pub(super) fn int(&mut self, name: Name, value: u64) {
        self.open(name);
        self.out.push_int(value);
        if self.format == Format::OtlpJson {
            self.out.push(b'"');
        }
    }

    /// A boolean.
    pub(super) fn flag(&mut self, name: Name, value: bool) {
        self.open(name);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A duration in milliseconds, exact to the microsecond.
    pub(super) fn millis(&mut self, name: Name, value: Duration) {
        self.open(name);
        self.out.push_millis(nanos(value) / 1000);
    }

    /// A string from raw bytes, by a name that only the configuration knows, in two parts. It needs no escaping.
    pub(super) fn named(&mut self, prefix: &str, name: &str, value: &[u8]) {
        let (open, kind) = match self.format {
            Format::OtlpJson => (self.skip_end(OPEN), TEXT),
            Format::Ndjson => (",\"", "\":"),
        };
        for piece in [open, prefix, name, kind] {
            self.out.push_str(piece);
        }
        self.quoted(|out| out.push_inside(value));
    }

    /// A string if there is one.
    pub(super) fn optional(&mut self, name: Name, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A string if it is not empty.
    pub(super) fn present(&mut self, name: Name, value: &[u8]) {
        self.optional(name, Some(value).filter(|value| !value.is_empty()));
    }

    /// Writes a name; the caller writes its value.
    #[inline(always)]
    fn open(&mut self, name: Name) {
        match self.format {
            Format::OtlpJson => {
                let piece = self.skip_end(name.piece);
                self.out.push_str(piece);
            }
            Format::Ndjson => {
                self.out.push_str(",\"");
                self.out.push_str(name.plain);
                self.out.push_str("\":");
            }
        }
    }

    /// Leaves out what would end the attribute before the first.
    #[inline(always)]
    fn skip_end<'p>(&mut self, piece: &'p str) -> &'p str {
        if std::mem::take(&mut self.is_first) { piece.get(END.len()..).unwrap_or_default() } else { piece }
    }

    /// Writes a string; in OTLP the name has opened it.
    #[inline(always)]
    fn quoted(&mut self, write: impl FnOnce(&mut Writer)) {
        if self.format == Format::Ndjson {
            self.out.push(b'"');
        }
        write(self.out);
        self.out.push(b'"');
    }
}
