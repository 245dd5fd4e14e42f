//! Compares records with the same uid.

use serde_json::{Map, Value};

use crate::db::DbError;
use crate::ledger::entry::Entry;
use crate::record::is_of_transport;

/// Whether two records have the same content; attributes of the transport do not count.
pub(super) fn same(kept: &Entry, sent: &Entry) -> Result<bool, DbError> {
    if fields(kept) != fields(sent) {
        return Ok(false);
    }
    Ok(kept.attributes == sent.attributes || content(kept)? == content(sent)?)
}

/// The fields of a record beside its attributes.
fn fields(entry: &Entry) -> impl PartialEq {
    (
        &entry.time,
        &entry.observed_time,
        &entry.severity,
        &entry.event_name,
        &entry.trace_id,
        &entry.span_id,
        &entry.body,
    )
}

/// The attributes without those that describe how the record was delivered.
fn content(entry: &Entry) -> Result<Map<String, Value>, DbError> {
    let of_transport = |name: &str| is_of_transport(name, &entry.event_name);
    Ok(entry
        .attributes()?
        .into_iter()
        .filter(|(name, _)| !of_transport(name))
        .collect())
}
