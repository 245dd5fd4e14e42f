//! Where the attributes of a record or of a batch go, in either format.

use std::time::Duration;

use uuid::Uuid;

use super::Format;
use crate::json::Writer;
use crate::time::nanos;

/// The name of an attribute, and in one piece with what OTLP writes around it: the end of the attribute before, the name,
/// and the start of the value. Names need no escaping.
#[derive(Clone, Copy)]
pub(super) struct Name<const N: usize> {
    plain: &'static str,
    piece: [u8; N],
}

impl<const N: usize> Name<N> {
    /// One of the names that [`name`] makes, which knows how long the piece is.
    pub(super) const fn new(plain: &'static str, piece: &'static str) -> Self {
        let Some(piece) = piece.as_bytes().first_chunk() else { unreachable!() };
        Self { plain, piece: *piece }
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
    ($name:literal, $kind:literal) => {{
        const PIECE: &str = concat!(r#"}},{"key":""#, $name, $kind);
        const NAME: $crate::wire::sink::Name<{ PIECE.len() }> = $crate::wire::sink::Name::new($name, PIECE);
        NAME
    }};
}
pub(super) use name;

/// Writes attributes one after the other. A name is written where it is asked for, since its length is known only there; what
/// follows it in one place for all, to keep the module small.
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
    #[inline(always)]
    pub(super) fn text<const N: usize>(&mut self, name: Name<N>, value: &[u8]) {
        self.open(&name);
        self.string(value);
    }

    #[inline(never)]
    fn string(&mut self, value: &[u8]) {
        self.quoted(|out| out.push_inside(value));
    }

    /// A string that needs no escaping.
    #[inline(always)]
    pub(super) fn word<const N: usize>(&mut self, name: Name<N>, value: &str) {
        self.open(&name);
        self.plain_string(value);
    }

    #[inline(never)]
    fn plain_string(&mut self, value: &str) {
        self.quoted(|out| out.push_str(value));
    }

    /// A UUID with a word before it.
    pub(super) fn uuid<const N: usize>(&mut self, name: Name<N>, prefix: &str, value: Uuid) {
        self.open(&name);
        self.quoted(|out| {
            out.push_str(prefix);
            out.push_uuid(value.as_u128());
        });
    }

    /// An integer, which OTLP writes as a string.
    #[inline(always)]
    pub(super) fn int<const N: usize>(&mut self, name: Name<N>, value: u64) {
        self.open(&name);
        self.int_value(value);
    }

    #[inline(never)]
    fn int_value(&mut self, value: u64) {
        self.out.push_int(value);
        if self.format == Format::OtlpJson {
            self.out.push(b'"');
        }
    }

    /// A boolean.
    pub(super) fn flag<const N: usize>(&mut self, name: Name<N>, value: bool) {
        self.open(&name);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A duration in milliseconds, exact to the microsecond.
    pub(super) fn millis<const N: usize>(&mut self, name: Name<N>, value: Duration) {
        self.open(&name);
        self.out.push_millis(nanos(value) / 1000);
    }

    /// A string from raw bytes, by a name that only the configuration knows, in two parts. It needs no escaping.
    pub(super) fn named(&mut self, prefix: &str, name: &str, value: &[u8]) {
        let (open, kind) = match self.format {
            Format::OtlpJson => (self.skip_end(OPEN.as_bytes()), TEXT),
            Format::Ndjson => (b",\"".as_slice(), "\":"),
        };
        self.out.push_bytes(open);
        for piece in [prefix, name, kind] {
            self.out.push_str(piece);
        }
        self.string(value);
    }

    /// A string if there is one.
    #[inline(always)]
    pub(super) fn optional<const N: usize>(&mut self, name: Name<N>, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A string if it is not empty.
    #[inline(always)]
    pub(super) fn present<const N: usize>(&mut self, name: Name<N>, value: &[u8]) {
        self.optional(name, Some(value).filter(|value| !value.is_empty()));
    }

    /// Writes a name; the caller writes its value.
    #[inline(always)]
    fn open<const N: usize>(&mut self, name: &Name<N>) {
        if self.format == Format::OtlpJson && !self.is_first {
            self.out.push_piece(&name.piece);
        } else {
            self.open_otherwise(name.plain, &name.piece);
        }
    }

    #[inline(never)]
    fn open_otherwise(&mut self, plain: &str, piece: &[u8]) {
        match self.format {
            Format::OtlpJson => {
                let piece = self.skip_end(piece);
                self.out.push_bytes(piece);
            }
            Format::Ndjson => {
                self.out.push_str(",\"");
                self.out.push_str(plain);
                self.out.push_str("\":");
            }
        }
    }

    /// Leaves out what would end the attribute before the first.
    #[inline(always)]
    fn skip_end<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
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
