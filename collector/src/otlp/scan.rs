//! Counts the messages of an OTLP request in protobuf before they are decoded. An empty record has
//! two bytes on the wire, and two hundred in memory.

use prost::DecodeError as WireError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::limits::{MAX_RECORDS, MAX_VALUES, too_many_records, too_many_values};
use super::{DecodeError, excerpt};

/// Most messages within each other. `prost` refuses deeper ones, too, but only after it has made
/// the outer ones.
pub(super) const MAX_DEPTH: usize = 100;

/// Messages of `logs.proto`, `common.proto` and `resource.proto` that can hold others.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Logs,
    ResourceLogs,
    Resource,
    EntityRef,
    ScopeLogs,
    Scope,
    LogRecord,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
    /// One text of a repeated field.
    Text,
}

impl Kind {
    /// The kind of content of a field; `None` when its memory does not grow with its number.
    pub(super) fn of_field(self, tag: u32) -> Option<Self> {
        match (self, tag) {
            (Self::Logs, 1) => Some(Self::ResourceLogs),
            (Self::ResourceLogs, 1) => Some(Self::Resource),
            (Self::ResourceLogs, 2) => Some(Self::ScopeLogs),
            (Self::Resource, 1)
            | (Self::Scope, 3)
            | (Self::LogRecord, 6)
            | (Self::KeyValueList, 1) => Some(Self::KeyValue),
            (Self::Resource, 3) => Some(Self::EntityRef),
            (Self::EntityRef, 3 | 4) => Some(Self::Text),
            (Self::ScopeLogs, 1) => Some(Self::Scope),
            (Self::ScopeLogs, 2) => Some(Self::LogRecord),
            (Self::LogRecord, 5) | (Self::KeyValue, 2) | (Self::ArrayValue, 1) => {
                Some(Self::AnyValue)
            }
            (Self::AnyValue, 5) => Some(Self::ArrayValue),
            (Self::AnyValue, 6) => Some(Self::KeyValueList),
            _ => None,
        }
    }

    /// Whether a field is a text, or a list of them.
    pub(super) fn has_text(self, tag: u32) -> bool {
        match self {
            Self::ResourceLogs | Self::ScopeLogs => tag == 3,
            Self::EntityRef => matches!(tag, 1..=4),
            Self::Scope => matches!(tag, 1 | 2),
            Self::LogRecord => matches!(tag, 3 | 12),
            Self::KeyValue | Self::AnyValue => tag == 1,
            Self::Logs | Self::Resource | Self::ArrayValue | Self::KeyValueList | Self::Text => {
                false
            }
        }
    }

    /// Whether its messages have a field of this number beside those of [`Self::of_field`]. Fields
    /// within the parts of a record are all taken for known.
    fn has_field(self, tag: u32) -> bool {
        match self {
            Self::Logs => false,
            Self::ResourceLogs | Self::ScopeLogs => tag == 3,
            Self::LogRecord => matches!(tag, 1..=3 | 7..=12),
            _ => true,
        }
    }
}

#[derive(Default)]
struct Counts {
    values: usize,
    records: usize,
    /// The first unknown field.
    unknown: Option<u32>,
}

impl Counts {
    fn add(&mut self, kind: Kind) -> Result<(), DecodeError> {
        self.values += 1;
        self.records += usize::from(kind == Kind::LogRecord);
        if self.records > MAX_RECORDS {
            return Err(too_many_records());
        }
        if self.values > MAX_VALUES {
            return Err(too_many_values());
        }
        Ok(())
    }
}

/// Returns the number of messages in the request.
pub(super) fn check(body: &[u8]) -> Result<usize, DecodeError> {
    counts(body).map(|counts| counts.values)
}

/// The number of a field that a request, its groups or a record have not.
pub(super) fn unknown_field(body: &[u8]) -> Result<Option<u32>, DecodeError> {
    counts(body).map(|counts| counts.unknown)
}

fn counts(body: &[u8]) -> Result<Counts, DecodeError> {
    let mut counts = Counts::default();
    scan(Kind::Logs, body, MAX_DEPTH, &mut counts)?;
    Ok(counts)
}

fn scan(kind: Kind, mut rest: &[u8], depth: usize, counts: &mut Counts) -> Result<(), DecodeError> {
    let inner_depth = depth
        .checked_sub(1)
        .ok_or_else(|| refusal("messages are nested too deep"))?;

    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).map_err(wire)?;
        let inner = kind
            .of_field(tag)
            .filter(|_| wire_type == WireType::LengthDelimited);
        let Some(inner) = inner else {
            if !kind.has_field(tag) {
                counts.unknown.get_or_insert(tag);
            }
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(wire)?;
            continue;
        };

        counts.add(inner)?;
        let bytes = take_delimited(&mut rest)?;
        if inner != Kind::Text {
            scan(inner, bytes, inner_depth, counts)?;
        }
    }
    Ok(())
}

/// A body that is not an OTLP request in protobuf.
pub(super) fn refusal(why: &str) -> DecodeError {
    DecodeError::Invalid(format!(
        "body is not an OTLP logs request in protobuf: {}",
        excerpt(why, "")
    ))
}

fn take_delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let length = decode_varint(rest).map_err(wire)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (bytes, behind) = rest
        .split_at_checked(length)
        .ok_or_else(|| refusal("a field ends behind the body"))?;
    *rest = behind;
    Ok(bytes)
}

fn wire(error: WireError) -> DecodeError {
    refusal(&error.to_string())
}
