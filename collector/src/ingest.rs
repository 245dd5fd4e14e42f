//! `POST /v1/logs`: checks the request, decodes it, stores it, and only then answers.

use std::io::Read as _;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tracing::debug;

use crate::app::AppState;
use crate::ledger::Appended;
use crate::ledger::entry::Entry;
use crate::otlp;
use crate::refusal::Refusal;

const JSON: &str = "application/json";

/// Stores all records of the request, or none; `{}` is OTLP's answer for "all accepted".
pub(crate) async fn post_logs(State(state): State<AppState>, request: Request) -> Result<Json<Value>, Refusal> {
    let (parts, body) = request.into_parts();
    check_content_type(&parts.headers)?;
    let encoding = Encoding::of(&parts.headers)?;
    let sent = read_body(body, state.max_body_bytes).await?;
    let body = encoding.decode(sent, state.max_body_bytes)?;
    let records = otlp::decode_json(&body)?;
    let received_at = (state.now_unix_nano)();
    let skew = state.ledger.settings().skew;
    let entries: Vec<_> = records.into_iter().map(|record| Entry::new(record, received_at, skew)).collect();
    let appended = state.ledger.append(entries).await?;
    debug!(stored = appended.stored, duplicates = appended.duplicates, "request stored");
    answer(&appended)
}

/// OTLP knows no answer for a contradiction that is kept and flagged, but a warning beside success.
fn answer(appended: &Appended) -> Result<Json<Value>, Refusal> {
    if appended.conflict_count == 0 {
        return Ok(Json(json!({})));
    }
    let (count, uids) = (appended.conflict_count, appended.conflicts.join(", "));
    let message = format!("{count} records are known with another content: {uids}");
    if appended.refused {
        return Err(Refusal::conflict(message));
    }
    Ok(Json(json!({"partialSuccess": {"rejectedLogRecords": "0", "errorMessage": message}})))
}

/// How the bytes of a body are to be read.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Identity);
        };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "identity" => Ok(Self::Identity),
            "gzip" => Ok(Self::Gzip),
            _ => Err(Refusal::unsupported("content-encoding must be gzip, identity or absent")),
        }
    }

    fn decode(self, sent: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Identity => Ok(sent),
            Self::Gzip => inflate(&sent, max_bytes),
        }
    }
}

/// Stops one byte after the limit, whatever the body would inflate to.
fn inflate(sent: &[u8], max_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let one_more = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut inflated = Vec::new();
    MultiGzDecoder::new(sent)
        .take(one_more)
        .read_to_end(&mut inflated)
        .map_err(|_| Refusal::invalid("body is not valid gzip"))?;
    if inflated.len() > max_bytes {
        return Err(Refusal::too_large(format!("body is larger than {max_bytes} bytes after decompression")));
    }
    Ok(inflated)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    Err(Refusal::unsupported(format!("content-type must be {JSON}")))
}

async fn read_body(mut body: Body, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let mut sent = Vec::new();
    while let Some(data) = next_data(&mut body).await? {
        if data.len() > max_bytes - sent.len() {
            drop(sent);
            discard(body, max_bytes).await;
            return Err(Refusal::too_large(format!("body is larger than {max_bytes} bytes")));
        }
        sent.extend_from_slice(&data);
    }
    Ok(sent)
}

/// Throws away up to `max_bytes` more: a client that is still writing when the connection closes may miss the answer.
async fn discard(mut body: Body, max_bytes: usize) {
    let mut seen = 0;
    while seen < max_bytes
        && let Ok(Some(data)) = next_data(&mut body).await
    {
        seen += data.len();
    }
}

/// The next data of the body, `None` at its end; trailers are skipped.
async fn next_data(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::invalid("body ended before it was complete"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
