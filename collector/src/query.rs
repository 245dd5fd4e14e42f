//! `GET /api/records`: records by what they say, each as one flat JSON object.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde_json::{Map, Value, json};

use crate::app::AppState;
use crate::db::DbError;
use crate::ledger::{Filter, Kept, Start};
use crate::record::UID;
use crate::refusal::Refusal;

/// Records in an answer when the client does not say.
const DEFAULT_LIMIT: i64 = 100;
/// Most records in an answer; keeps one answer to a size that a browser still shows.
const MAX_LIMIT: i64 = 1000;

/// Most characters of an unknown parameter's name that are repeated to the client.
const MAX_NAME_CHARS: usize = 64;

type Parameters = Query<Vec<(String, String)>>;

/// Lists records.
pub(crate) async fn list_records(
    State(state): State<AppState>,
    parameters: Result<Parameters, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(parameters) = parameters.map_err(|_| Refusal::invalid("the query string cannot be read"))?;
    let asked = Asked::read(parameters)?;
    let kept = state.ledger.list(asked.filter, asked.start, asked.limit).await?;
    let full = i64::try_from(kept.len()).is_ok_and(|number| number == asked.limit);
    let next =
        kept.last().filter(|_| full && !matches!(asked.start, Start::After(_))).map(|kept| kept.cursor().to_string());
    let records = kept.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({"records": records, "next_cursor": next})))
}

struct Asked {
    filter: Filter,
    start: Start,
    limit: i64,
}

impl Asked {
    fn read(parameters: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut asked = Self { filter: Filter::default(), start: Start::Newest(None), limit: DEFAULT_LIMIT };
        for (name, value) in parameters {
            asked.set(&name, value)?;
        }
        Ok(asked)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        let filter = &mut self.filter;
        let text = match name {
            "user" => &mut filter.user,
            "session" => &mut filter.session,
            "token_ref" => &mut filter.token_ref,
            "action" => &mut filter.action,
            "rule" => &mut filter.rule,
            "outcome" => &mut filter.outcome,
            "service" => &mut filter.service,
            "stream" => &mut filter.stream,
            "q" => &mut filter.text,
            _ => return self.set_place(name, &value),
        };
        *text = Some(value);
        Ok(())
    }

    fn set_place(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match name {
            "limit" => self.limit = limit(value)?,
            "cursor" => {
                let cursor = value.parse().map_err(|error| Refusal::invalid(format!("cursor: {error}")))?;
                self.start = Start::Newest(Some(cursor));
            }
            "after" => {
                let position =
                    value.parse().map_err(|_| Refusal::invalid("after must be a position, a whole number"))?;
                self.start = Start::After(position);
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

fn limit(value: &str) -> Result<i64, Refusal> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Refusal::invalid(format!("limit must be an integer from 1 to {MAX_LIMIT}")))
}

fn unknown(name: &str) -> Refusal {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    Refusal::invalid(format!("unknown query parameter {name:?}"))
}

/// A record as the API shows it.
pub(crate) fn flat(kept: &Kept) -> Result<Map<String, Value>, DbError> {
    let mut flat = kept.entry.flat()?;
    let flags: Vec<_> = [(kept.is_skewed(), "clock_skew"), (kept.conflict, "conflict")]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect();
    flat.insert(UID.to_owned(), kept.entry.uid.clone().into());
    flat.insert("received_at_unix_nano".to_owned(), kept.entry.received_at.to_string().into());
    flat.insert("position".to_owned(), kept.position.into());
    flat.insert("hash".to_owned(), hex::encode(kept.hash).into());
    flat.insert("flags".to_owned(), flags.into());
    Ok(flat)
}
