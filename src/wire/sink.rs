//! Writes the attributes of a record or batch in each format.

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use super::name::{MAX_PIECE, Name, RECORD_ATTRIBUTES};
use super::protobuf::{self, Field, MAX_SHORT, STRING_VALUE, bool_value, double_value, int_value};
use super::value::{Value, push_attribute, push_member};
use crate::copy::copy_ascii;
use crate::time::nanos;
use crate::writer::{UUID_LENGTH, Writer, uuid_text};

/// Longest prefix of a UUID.
const MAX_UUID_PREFIX: usize = 4;

/// Format of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `KeyValue` messages of a log record.
    Record,
    /// `KeyValue` messages of another parent, each with this field key.
    Protobuf(u8),
    /// Objects of OTLP/JSON; the first has no comma before it.
    Json { is_first: bool },
    /// Members of an object that already has members.
    Flat,
}

/// Writes attributes one after the other.
///
/// Most are short and part of a protobuf record. Their name is written inline at the call, where
/// its length is a constant. The rest is shared code, to keep the module small.
pub(super) struct Sink<'o> {
    out: &'o mut Writer,
    form: Form,
}

impl<'o> Sink<'o> {
    /// Attributes of a protobuf record.
    pub(super) fn record(out: &'o mut Writer) -> Self {
        Self {
            out,
            form: Form::Record,
        }
    }

    /// Attributes as messages; `list` is the field key in their parent.
    pub(super) fn protobuf(out: &'o mut Writer, list: u8) -> Self {
        Self {
            out,
            form: Form::Protobuf(list),
        }
    }

    /// Attributes as elements of an OTLP/JSON array.
    pub(super) fn json(out: &'o mut Writer) -> Self {
        Self {
            out,
            form: Form::Json { is_first: true },
        }
    }

    /// Attributes as members of an object that already has members.
    pub(super) fn flat(out: &'o mut Writer) -> Self {
        Self {
            out,
            form: Form::Flat,
        }
    }

    /// Whether the attributes of record, scope and resource are in one object.
    pub(super) fn is_flat(&self) -> bool {
        self.form == Form::Flat
    }

    /// A string from raw bytes.
    pub(super) fn text(&mut self, name: &'static Name, value: &[u8]) {
        self.string(name, value, false);
    }

    /// A string that needs no escaping.
    pub(super) fn word(&mut self, name: &'static Name, value: &str) {
        self.string(name, value.as_bytes(), true);
    }

    /// A UUID with a prefix of at most four characters.
    pub(super) fn uuid(&mut self, name: &'static Name, prefix: &str, value: Uuid) {
        let mut text = [0; MAX_UUID_PREFIX + UUID_LENGTH];
        let length = prefix.len() + UUID_LENGTH;
        if let Some((before, digits)) = text.split_at_mut_checked(prefix.len()) {
            before.copy_from_slice(prefix.as_bytes());
            if let Some(digits) = digits.first_chunk_mut() {
                *digits = uuid_text(value.into_bytes());
            }
        }
        self.string(name, text.get(..length).unwrap_or_default(), true);
    }

    /// An integer.
    pub(super) fn int(&mut self, name: &'static Name, value: u64) {
        self.number(name, Value::Int(value));
    }

    /// A boolean.
    pub(super) fn flag(&mut self, name: &'static Name, value: bool) {
        self.put(["", name.plain], Value::Flag(value));
    }

    /// A duration in milliseconds, exact to the microsecond.
    pub(super) fn millis(&mut self, name: &'static Name, value: Duration) {
        self.number(name, Value::Micros(nanos(value) / 1000));
    }

    /// A string from raw bytes, with a configured name in two parts. The name needs no escaping.
    pub(super) fn named(&mut self, prefix: &str, name: &str, value: &[u8]) {
        self.put([prefix, name], Value::Text(value));
    }

    /// A string if there is one.
    #[inline(always)]
    pub(super) fn optional(&mut self, name: &'static Name, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A string if it is not empty.
    #[inline(always)]
    pub(super) fn present(&mut self, name: &'static Name, value: &[u8]) {
        self.optional(name, Some(value).filter(|value| !value.is_empty()));
    }

    /// A string; `is_word`: it needs no escaping.
    #[inline(never)]
    fn string(&mut self, name: &'static Name, text: &[u8], is_word: bool) {
        let is_put = self.form == Form::Record && put_short(self.out, name, text);
        if !is_put {
            self.put_string(name.plain, text, is_word);
        }
    }

    /// Out of line, since it has a stack frame.
    #[inline(never)]
    fn put_string(&mut self, name: &str, text: &[u8], is_word: bool) {
        let kind = if is_word { Value::Word } else { Value::Text };
        self.put(["", name], kind(text));
    }

    #[inline(never)]
    fn number(&mut self, name: &'static Name, value: Value<'_>) {
        match number_value(value) {
            Some(number) if self.form == Form::Record => {
                put_number(self.out, name, &number);
            }
            _ => self.put(["", name.plain], value),
        }
    }

    /// Names need no escaping.
    #[inline(never)]
    fn put(&mut self, name: [&str; 2], value: Value<'_>) {
        match &mut self.form {
            Form::Record => put_protobuf(self.out, RECORD_ATTRIBUTES, name, value),
            Form::Protobuf(list) => put_protobuf(self.out, *list, name, value),
            Form::Json { is_first } => {
                if !std::mem::take(is_first) {
                    self.out.push(b',');
                }
                push_attribute(self.out, name, value);
            }
            Form::Flat => push_member(self.out, name, value),
        }
    }
}

fn put_protobuf(out: &mut Writer, list: u8, name: [&str; 2], value: Value<'_>) {
    match value {
        Value::Text(bytes) => protobuf::push_text(out, list, name, &utf8(bytes)),
        Value::Word(word) => protobuf::push_text(out, list, name, word),
        Value::Int(_) | Value::Flag(_) | Value::Micros(_) => {
            if let Some(number) = number_value(value) {
                protobuf::push_number(out, list, name, &number);
            }
        }
    }
}

/// Writes a short attribute of a record: one of ASCII whose length is one byte. False: it is not
/// such a one, and nothing is written.
fn put_short(out: &mut Writer, name: &Name, text: &[u8]) -> bool {
    const HEAD: usize = 3;
    let bytes = name.length + HEAD + text.len();
    if bytes - 2 > MAX_SHORT {
        return false;
    }

    let written = out.fill(MAX_PIECE + HEAD + text.len(), |room| {
        let head = [text.len() as u8 + 2, STRING_VALUE, text.len() as u8];
        let value = put_head(room, name, bytes, head);
        let room = value.and_then(|value| value.get_mut(..text.len()));
        let is_ascii = room.is_some_and(|room| copy_ascii(room, text));
        if is_ascii { bytes } else { 0 }
    });
    written > 0
}

/// Writes a number of a record, an encoded `AnyValue`.
fn put_number(out: &mut Writer, name: &Name, any: &Field) {
    let bytes = name.length + 1 + any.length();

    out.fill(MAX_PIECE + 1 + any.padded().len(), |room| {
        let head = [any.length() as u8];
        if let Some(room) = put_head(room, name, bytes, head).and_then(<[u8]>::first_chunk_mut) {
            *room = any.padded();
        }
        bytes
    });
}

/// Writes the prefix of an attribute with this many bytes in all, and the start of its value.
/// Returns the room for the rest.
#[inline(always)]
fn put_head<'r, const H: usize>(
    room: &'r mut [u8],
    name: &Name,
    bytes: usize,
    head: [u8; H],
) -> Option<&'r mut [u8]> {
    let piece = room.first_chunk_mut()?;
    *piece = name.piece;
    let [_, length, ..] = piece;
    *length = bytes as u8 - 2;

    let (start, value) = room.get_mut(name.length..)?.split_first_chunk_mut()?;
    *start = head;
    Some(value)
}

/// An encoded `AnyValue` of what is not text.
fn number_value(value: Value<'_>) -> Option<Field> {
    match value {
        Value::Text(_) | Value::Word(_) => None,
        Value::Int(number) => Some(int_value(number)),
        Value::Flag(flag) => Some(bool_value(flag)),
        Value::Micros(micros) => Some(milliseconds(micros)),
    }
}

fn milliseconds(micros: u64) -> Field {
    double_value(micros as f64 / 1000.0)
}

/// Returns valid UTF-8 unchanged. `String::from_utf8_lossy` validates byte by byte.
pub(super) fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match str::from_utf8(bytes) {
        Ok(_) => Cow::Borrowed(bytes),
        Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into_bytes()),
    }
}
