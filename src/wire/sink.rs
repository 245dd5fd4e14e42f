//! Writes the attributes of a record or batch in each format.

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use super::name::{Name, RECORD_ATTRIBUTES};
use super::protobuf::{self, Field, STRING_VALUE, bool_value, double_value, int_value};
use super::value::{Value, push_attribute, push_member};
use crate::copy::copy_ascii;
use crate::time::nanos;
use crate::writer::{UUID_LENGTH, Writer, uuid_text};

/// Longest prefix of a UUID.
const MAX_UUID_PREFIX: usize = 4;

/// Largest length that is one byte in protobuf.
const MAX_SHORT: usize = 0x7f;

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
    #[inline(always)]
    pub(super) fn text<const N: usize>(&mut self, name: Name<N>, value: &[u8]) {
        self.string(name, value, Value::Text);
    }

    /// A string that needs no escaping.
    #[inline(always)]
    pub(super) fn word<const N: usize>(&mut self, name: Name<N>, value: &str) {
        self.string(name, value.as_bytes(), Value::Word);
    }

    /// A UUID with a prefix of at most four characters.
    pub(super) fn uuid<const N: usize>(&mut self, name: Name<N>, prefix: &str, value: Uuid) {
        let mut text = [0; MAX_UUID_PREFIX + UUID_LENGTH];
        let length = prefix.len() + UUID_LENGTH;
        if let Some((before, digits)) = text.split_at_mut_checked(prefix.len()) {
            before.copy_from_slice(prefix.as_bytes());
            if let Some(digits) = digits.first_chunk_mut() {
                *digits = uuid_text(value.as_u128());
            }
        }
        self.string(name, text.get(..length).unwrap_or_default(), Value::Word);
    }

    /// An integer.
    #[inline(always)]
    pub(super) fn int<const N: usize>(&mut self, name: Name<N>, value: u64) {
        if self.opens(&name) {
            self.close_int(N, value);
        } else {
            self.put(["", name.plain], Value::Int(value));
        }
    }

    /// A boolean.
    pub(super) fn flag<const N: usize>(&mut self, name: Name<N>, value: bool) {
        self.put(["", name.plain], Value::Flag(value));
    }

    /// A duration in milliseconds, exact to the microsecond.
    pub(super) fn millis<const N: usize>(&mut self, name: Name<N>, value: Duration) {
        let micros = nanos(value) / 1000;
        if self.opens(&name) {
            self.close_number(N, &milliseconds(micros));
        } else {
            self.put(["", name.plain], Value::Micros(micros));
        }
    }

    /// A string from raw bytes, with a configured name in two parts. The name needs no escaping.
    pub(super) fn named(&mut self, prefix: &str, name: &str, value: &[u8]) {
        self.put([prefix, name], Value::Text(value));
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

    /// A string; `kind` wraps its bytes.
    #[inline(always)]
    fn string<'v, const N: usize>(
        &mut self,
        name: Name<N>,
        text: &'v [u8],
        kind: fn(&'v [u8]) -> Value<'v>,
    ) {
        if self.opens(&name) {
            self.close_text(name.plain, text);
        } else {
            self.put(["", name.plain], kind(text));
        }
    }

    /// Writes the prefix of the value, if the attribute is one of a protobuf record.
    #[inline(always)]
    fn opens<const N: usize>(&mut self, name: &Name<N>) -> bool {
        let is_record = self.form == Form::Record;
        if is_record {
            self.out.push_piece(&name.piece);
        }
        is_record
    }

    /// Writes a string after its name.
    #[inline(never)]
    fn close_text(&mut self, name: &str, text: &[u8]) {
        const HEAD: usize = 3;

        // Bytes after the total length: key, length and text of the name, key of the value.
        let open = 3 + name.len();
        let pair = open + HEAD + text.len();
        let mut is_ascii = false;
        if pair <= MAX_SHORT {
            self.out.fill(HEAD + text.len(), |room| {
                if let Some((head, room)) = room.split_first_chunk_mut::<HEAD>() {
                    *head = [text.len() as u8 + 2, STRING_VALUE, text.len() as u8];
                    is_ascii = copy_ascii(room, text);
                }
                HEAD + text.len()
            });
        }

        if is_ascii {
            self.out.replace_back(pair + 1, pair as u8);
        } else {
            let written = if pair <= MAX_SHORT { pair } else { open };
            self.out.take_back(written + 2);
            self.put(["", name], Value::Text(text));
        }
    }

    #[inline(never)]
    fn close_int(&mut self, piece: usize, number: u64) {
        self.close_number(piece, &int_value(number));
    }

    /// Writes a number after its name.
    fn close_number(&mut self, piece: usize, number: &Field) {
        let any = number.as_bytes();
        self.out.push(any.len() as u8);
        self.out.push_bytes(any);
        let pair = piece - 2 + 1 + any.len();
        self.out.replace_back(pair + 1, pair as u8);
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
    let number = match value {
        Value::Text(bytes) => return protobuf::push_text(out, list, name, &utf8(bytes)),
        Value::Word(word) => return protobuf::push_text(out, list, name, word),
        Value::Int(number) => int_value(number),
        Value::Flag(flag) => bool_value(flag),
        Value::Micros(micros) => milliseconds(micros),
    };
    protobuf::push_number(out, list, name, &number);
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
