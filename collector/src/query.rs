//! `GET /api/records`: the newest records, filtered, each as one flat JSON object.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde_json::{Map, Value, json};

use crate::app::AppState;
use crate::record::UID;
use crate::refusal::Refusal;
use crate::store::{Filter, Kept};

/// Records in an answer when the client does not say.
const DEFAULT_LIMIT: u16 = 100;
/// Most records in an answer; keeps one answer to a size that a browser still shows.
const MAX_LIMIT: u16 = 1000;

/// Most characters of an unknown parameter's name that are repeated to the client.
const MAX_NAME_CHARS: usize = 64;

type Parameters = Query<Vec<(String, String)>>;

/// Lists the newest records, newest first.
pub(crate) async fn list_records(
    State(state): State<AppState>,
    parameters: Result<Parameters, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(parameters) = parameters.map_err(|_| Refusal::invalid("the query string cannot be read"))?;
    let kept = state.store.list(&filter(parameters)?).await?;
    let records: Vec<_> = kept.iter().map(flat).collect();
    Ok(Json(json!({"records": records})))
}

fn filter(parameters: Vec<(String, String)>) -> Result<Filter, Refusal> {
    let mut filter = Filter { limit: DEFAULT_LIMIT, action: None, user_id: None, session_id: None };
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => filter.limit = limit(&value)?,
            "action" => filter.action = Some(value),
            "user" => filter.user_id = Some(value),
            "session" => filter.session_id = Some(value),
            _ => return Err(unknown(&name)),
        }
    }
    Ok(filter)
}

fn limit(value: &str) -> Result<u16, Refusal> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Refusal::invalid(format!("limit must be an integer from 1 to {MAX_LIMIT}")))
}

fn unknown(name: &str) -> Refusal {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    Refusal::invalid(format!("unknown query parameter {name:?}, expected limit, action, user or session"))
}

fn flat(kept: &Kept) -> Map<String, Value> {
    let mut flat = kept.record.content.flat();
    flat.insert(UID.to_owned(), kept.record.uid.clone().into());
    flat.insert("received_at_unix_nano".to_owned(), kept.received_at_unix_nano.to_string().into());
    flat
}
