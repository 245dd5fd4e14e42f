//! What one request may cost beyond its bytes: a few bytes of JSON can stand for much memory and many rows.

use super::DecodeError;
use super::json::{KeyValue, Logs, Message, ResourceLogs};

/// Most records in one request; keeps its transaction well below the time for which others wait.
pub const MAX_RECORDS: usize = 10_000;

/// Most opening braces in one request. Each object costs memory, an empty record a hundred times its three bytes.
/// The smallest sensible attributes reach this number in about 16 MiB.
pub const MAX_BRACES: usize = 1_000_000;

/// Most bytes by which a request may grow because each record is kept with the attributes of its resource.
pub const MAX_REPEATED_BYTES: usize = 16 * 1024 * 1024;

/// To be called before `text` is parsed.
pub(super) fn check_text(text: &str) -> Result<(), DecodeError> {
    let braces = text.bytes().filter(|byte| *byte == b'{').count();
    if braces > MAX_BRACES {
        return Err(DecodeError::TooLarge(format!("body has more than {MAX_BRACES} opening braces")));
    }
    Ok(())
}

/// To be called before the attributes of resources are copied to records.
pub(super) fn check_logs(logs: &Logs) -> Result<(), DecodeError> {
    let groups = || logs.resource_logs.iter().map(|Message(group)| group);
    if groups().map(records).sum::<usize>() > MAX_RECORDS {
        return Err(DecodeError::TooLarge(format!("body has more than {MAX_RECORDS} records")));
    }
    if groups().map(repeated_bytes).sum::<usize>() > MAX_REPEATED_BYTES {
        let message = "resource attributes are too large for that many records";
        return Err(DecodeError::TooLarge(format!("{message}, together more than {MAX_REPEATED_BYTES} bytes")));
    }
    Ok(())
}

fn records(group: &ResourceLogs) -> usize {
    group.scope_logs.iter().map(|Message(scope)| scope.log_records.len()).sum()
}

fn repeated_bytes(group: &ResourceLogs) -> usize {
    let copies = records(group).saturating_sub(1);
    let attributes = group.resource.0.attributes.iter();
    copies.saturating_mul(attributes.map(|Message(attribute)| text_bytes(attribute)).sum())
}

/// Size of the attribute as JSON text, without escapes in its name.
fn text_bytes(attribute: &KeyValue) -> usize {
    attribute.key.len() + attribute.value.0.to_string().len()
}
