//! The value of an attribute, and its text in both JSON forms.

use crate::writer::Writer;

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    /// A string from raw bytes; invalid UTF-8 becomes U+FFFD.
    Text(&'v [u8]),
    /// A string of UTF-8 that needs no escaping.
    Word(&'v [u8]),
    /// An integer.
    Int(u64),
    /// A boolean.
    Flag(bool),
    /// Microseconds, written as milliseconds.
    Micros(u64),
}

impl Value<'_> {
    /// Writes the value as JSON.
    pub(super) fn push_json(self, out: &mut Writer) {
        match self {
            Self::Text(bytes) => out.push_text(bytes),
            Self::Word(word) => {
                out.push(b'"');
                out.push_bytes(word);
                out.push(b'"');
            }
            Self::Int(number) => out.push_int(number),
            Self::Flag(flag) => out.push_str(if flag { "true" } else { "false" }),
            Self::Micros(micros) => out.push_millis(micros),
        }
    }
}

/// One `KeyValue` of OTLP/JSON.
pub(super) fn push_attribute(out: &mut Writer, [prefix, name]: [&str; 2], value: Value<'_>) {
    out.push_piece(br#"{"key":""#);
    out.push_str(prefix);
    out.push_str(name);
    out.push_piece(br#"","value":{""#);
    push_value(out, value);
    out.push_str("}}");
}

/// The only member of an `AnyValue`, after the opening quote of its name. A 64-bit integer is a
/// string.
fn push_value(out: &mut Writer, value: Value<'_>) {
    out.push_str(match value {
        Value::Text(_) | Value::Word(_) => r#"stringValue":"#,
        Value::Int(_) => r#"intValue":"#,
        Value::Flag(_) => r#"boolValue":"#,
        Value::Micros(_) => r#"doubleValue":"#,
    });

    let quote = if let Value::Int(_) = value { "\"" } else { "" };
    out.push_str(quote);
    value.push_json(out);
    out.push_str(quote);
}

/// One member of a flat object that is not its first.
pub(super) fn push_member(out: &mut Writer, [prefix, name]: [&str; 2], value: Value<'_>) {
    out.push_str(",\"");
    out.push_str(prefix);
    out.push_str(name);
    out.push_str("\":");
    value.push_json(out);
}
