//! Limits of one request beyond its bytes: a few bytes can stand for much memory and many rows.

use super::{DecodeError, Group};
use crate::record::Attributes;

/// Most records in one request: more than the default buffer of the filter, all of which a proxy
/// that ends may send in one batch. It keeps the transaction well below the time for which others
/// wait.
pub const MAX_RECORDS: usize = 20_000;

/// Most values in one request: opening braces in JSON, messages in protobuf, values in NDJSON. Each
/// costs memory: an empty record takes a hundred times its two or three bytes. The smallest
/// sensible attributes reach this number in about 16 MiB.
pub const MAX_VALUES: usize = 1_000_000;

/// Most bytes by which a request may grow from copying the attributes of resource and scope to each
/// record.
pub const MAX_REPEATED_BYTES: usize = 16 * 1024 * 1024;

/// To be called before `text` is parsed; returns the number of its opening braces.
pub(super) fn check_json(text: &str) -> Result<usize, DecodeError> {
    let braces = text.bytes().filter(|byte| *byte == b'{').count();
    if braces > MAX_VALUES {
        return Err(DecodeError::TooLarge(format!(
            "body has more than {MAX_VALUES} opening braces"
        )));
    }
    Ok(braces)
}

/// To be called before a line of `body` is parsed. Returns the number of its values, or more where
/// texts hold commas.
pub(super) fn check_lines(body: &[u8]) -> Result<usize, DecodeError> {
    if super::ndjson::lines(body).count() > MAX_RECORDS {
        return Err(too_many_records());
    }

    let values = body
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'[' | b','))
        .count();

    if values > MAX_VALUES {
        return Err(too_many_values());
    }
    Ok(values)
}

/// To be called before the attributes of resources and scopes are copied to records.
pub(super) fn check_groups<L>(groups: &[Group<L>]) -> Result<(), DecodeError> {
    if groups.iter().map(Group::records).sum::<usize>() > MAX_RECORDS {
        return Err(too_many_records());
    }

    if groups
        .iter()
        .map(repeated_bytes)
        .fold(0, usize::saturating_add)
        > MAX_REPEATED_BYTES
    {
        let message = "attributes of resource and scope are too large for that many records";
        return Err(DecodeError::TooLarge(format!(
            "{message}, together more than {MAX_REPEATED_BYTES} bytes"
        )));
    }
    Ok(())
}

pub(super) fn too_many_records() -> DecodeError {
    DecodeError::TooLarge(format!("body has more than {MAX_RECORDS} records"))
}

pub(super) fn too_many_values() -> DecodeError {
    DecodeError::TooLarge(format!("body has more than {MAX_VALUES} values"))
}

impl<L> Group<L> {
    fn records(&self) -> usize {
        self.scopes.iter().map(|scope| scope.logs.len()).sum()
    }
}

fn repeated_bytes<L>(group: &Group<L>) -> usize {
    let of_scopes = group
        .scopes
        .iter()
        .map(|scope| copied_bytes(&scope.attributes, scope.logs.len()));
    of_scopes.fold(
        copied_bytes(&group.resource, group.records()),
        usize::saturating_add,
    )
}

/// Size of the copies for all records but the first.
fn copied_bytes(attributes: &Attributes, records: usize) -> usize {
    let copies = records.saturating_sub(1);
    if copies == 0 {
        0
    } else {
        copies.saturating_mul(text_bytes(attributes))
    }
}

/// Size of the attributes as JSON text, without escapes in their names.
fn text_bytes(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + value.to_string().len())
        .sum()
}
