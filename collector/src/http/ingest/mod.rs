//! `POST /v1/logs`: reads the request, admits it, stores it, and only then answers.

mod body;
mod response;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use tokio::time::Instant;
use tracing::debug;

use crate::http::admission::Reservation;
use crate::http::refusal::{PROTOBUF, Reason, Refusal};
use crate::http::state::AppState;
use crate::ledger::Appended;
use crate::ledger::entry::Entry;
use crate::otlp::Format;
use crate::record::Record;
use body::{Compression, Incoming};
use response::Encoded;

/// Stores all records of the request, or none.
pub(crate) async fn post_logs(State(state): State<AppState>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let encoded = Encoded::of(format(&parts.headers).ok());
    let mut incoming = Incoming::new(body, &parts.headers, state.admission.limits());

    let result = take_in(&state, &parts.headers, &mut incoming).await;
    if result.is_err() {
        incoming.discard().await;
    }

    let response = match result {
        Ok(Stored { warning }) => encoded.stored(warning),
        Err(refusal) => encoded.refused(refusal),
    };

    state
        .metrics
        .answered(encoded.label(), response.status(), started.elapsed());
    response
}

async fn take_in(
    state: &AppState,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Stored, Refusal> {
    state.access.borrow().check_ingest(headers)?;
    let format = format(headers)?;
    let compression = Compression::of(headers)?;

    let mut reservation = state.admission.reserve();
    let sent = incoming.read(&state.admission, &mut reservation).await?;
    state.metrics.body_read(sent.len());
    let _place = state.admission.enter()?;

    let max_bytes = state.admission.limits().max_body_bytes;
    let (received_at, skew) = ((state.now_unix_nano)(), state.ledger.settings().skew);
    let decoder = state.admission.decoder().await;
    let decoding = tokio::task::spawn_blocking(move || {
        let _decoder = decoder;
        let mut body = compression.undo(sent, max_bytes, &mut reservation)?;
        let records = decode(format, &mut body, &mut reservation)?.into_iter();
        let entries: Vec<_> = records
            .map(|record| Entry::new(record, received_at, skew))
            .collect();
        Ok::<_, Refusal>((entries, reservation))
    });

    let (entries, _reservation) = decoding.await.map_err(|_| no_decoder())??;
    store(state, entries).await
}

/// Reserves the memory of the values before they are made.
fn decode(
    format: Format,
    body: &mut [u8],
    reservation: &mut Reservation,
) -> Result<Vec<Record>, Refusal> {
    let checked = format.check(body)?;
    reservation.grow_to_values(checked.values())?;
    Ok(checked.decode()?)
}

fn no_decoder() -> Refusal {
    let message = "the body could not be read by a fault of the collector";
    Refusal::new(Reason::Internal, message)
}

/// Result of storing the records of a request.
struct Stored {
    /// A warning for the sender although all is stored.
    warning: Option<String>,
}

/// The one place where records are stored. OTLP has no answer for a contradiction that is kept and
/// flagged, other than a warning beside success.
async fn store(state: &AppState, entries: Vec<Entry>) -> Result<Stored, Refusal> {
    state.metrics.records_received(entries.len());
    let appended = state.ledger.append(entries).await?;
    state.metrics.records_stored(appended.stored);
    state.metrics.records_duplicate(appended.duplicates);
    state.metrics.records_conflict(appended.conflict_count);

    debug!(
        stored = appended.stored,
        duplicates = appended.duplicates,
        "request stored"
    );

    let warning = contradictions(&appended);
    if appended.refused {
        return Err(Refusal::conflict(warning.unwrap_or_default()));
    }
    Ok(Stored { warning })
}

fn contradictions(appended: &Appended) -> Option<String> {
    let (count, uids) = (appended.conflict_count, appended.conflicts.join(", "));
    (count > 0).then(|| format!("{count} records are known with another content: {uids}"))
}

fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();

    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Format::Json),
        PROTOBUF | "application/protobuf" => Ok(Format::Protobuf),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Ndjson),
        _ => Err(Refusal::unsupported(
            "content-type must be application/json, application/x-protobuf or application/x-ndjson",
        )),
    }
}
