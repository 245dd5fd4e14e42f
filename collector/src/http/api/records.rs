//! `GET /api/records`: records by their content.

use std::sync::Arc;

use crate::http::json::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::export;
use super::parameters::{Given, Kind, Parameter, Sent};
use super::types::FlatRecord;
use crate::http::refusal::Refusal;
use crate::ledger::export::{Format, Formulas};
use crate::ledger::{Filter, Ledger, Page, Start};
use crate::time::Clock;

pub(super) const PATH: &str = "/api/records";

const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind: Kind::Text,
        description,
    }
}

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "from",
        kind: Kind::Time,
        description: "Not before this time.",
    },
    Parameter {
        name: "to",
        kind: Kind::Time,
        description: "Before this time.",
    },
    text("user", "`user.id`, all of it."),
    text("user_name", "`user.name`, all of it."),
    text("user_email", "`user.email`, all of it."),
    text("session", "`session.id`, all of it."),
    text("token_ref", "`session.token_ref`, all of it."),
    text("action", "`audit.action`, all of it."),
    text("rule", "`audit.rule`, all of it."),
    text("outcome", "`audit.outcome`, all of it."),
    text("service", "`service.name`, all of it."),
    text("stream", "`audit.stream.id`, all of it."),
    text(
        "q",
        "A part of `audit.action`, whatever the case of its ASCII letters.",
    ),
    Parameter {
        name: "limit",
        kind: Kind::Number(1, i64::MAX),
        description: "Most records: at most 1000, 100 when absent, with `format=json`; all when absent with the others.",
    },
    Parameter {
        name: "cursor",
        kind: Kind::Cursor,
        description: "The page after the one that gave this; `format=json` only.",
    },
    Parameter {
        name: "after",
        kind: Kind::Number(0, i64::MAX),
        description: "Only records that were stored after this position, in the order in which they were.",
    },
    Parameter {
        name: "format",
        kind: Kind::Choice(&["json", "ndjson", "csv", "parquet", "ocsf", "ecs"]),
        description: "`json`: a page, newest first. The others: everything, oldest first, as a stream; `ocsf` (1.8.0) and `ecs` (9.4.0) as lines of JSON.",
    },
    Parameter {
        name: "formulas",
        kind: Kind::Choice(&["quoted", "raw"]),
        description: "`format=csv` only. `quoted`, when absent: a text that a spreadsheet would run as a formula, or that begins with `'`, gets a `'` before it. `raw`: no text is changed.",
    },
];

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Records {
    /// Newest first; with `after`, in the order in which they were stored.
    records: Vec<FlatRecord>,
    /// For the next page; null when there is none, and with `after`.
    #[schema(required)]
    next_cursor: Option<String>,
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let mut given = Given::read(sent, PARAMETERS, now())?;
    match format(&given)? {
        None => Ok(Json(page(&ledger, &mut given).await?).into_response()),
        Some(format) => {
            let start = export_start(&given)?;
            let limit = given.number("limit", 1, i64::MAX)?.unwrap_or(i64::MAX);
            export::respond(ledger, filter(&mut given)?, start, limit, format).await
        }
    }
}

/// `None` for a page.
fn format(given: &Given) -> Result<Option<Format>, Refusal> {
    let formulas = [("quoted", Formulas::Quoted), ("raw", Formulas::Raw)];
    let formulas = given.choice("formulas", &formulas)?;
    let csv = Format::Csv(formulas.unwrap_or(Formulas::Quoted));

    let formats = [
        ("json", None),
        ("ndjson", Some(Format::Ndjson)),
        ("csv", Some(csv)),
        ("parquet", Some(Format::Parquet)),
        ("ocsf", Some(Format::Ocsf)),
        ("ecs", Some(Format::Ecs)),
    ];
    let format = given.choice("format", &formats)?.flatten();
    if formulas.is_some() && format != Some(csv) {
        return Err(Refusal::invalid("formulas needs format=csv"));
    }
    Ok(format)
}

async fn page(ledger: &Ledger, given: &mut Given) -> Result<Records, Refusal> {
    let limit = given.limit()?;
    let start = match (given.number("after", 0, i64::MAX)?, given.cursor()?) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("cursor cannot be combined with after")),
        (Some(position), None) => Start::After(position),
        (None, cursor) => Start::Newest(cursor),
    };

    let page = ledger.list(filter(given)?, start, limit).await?;
    let next_cursor = next(&page).filter(|_| !matches!(start, Start::After(_)));
    Ok(Records {
        records: FlatRecord::all(&page.rows),
        next_cursor,
    })
}

/// The cursor for the records beyond the page.
pub(super) fn next(page: &Page) -> Option<String> {
    page.rows
        .last()
        .filter(|_| page.more)
        .map(|last| last.cursor().to_string())
}

fn export_start(given: &Given) -> Result<Start, Refusal> {
    if given.has("cursor") {
        return Err(Refusal::invalid("cursor cannot be combined with an export"));
    }
    Ok(given
        .number("after", 0, i64::MAX)?
        .map_or(Start::Oldest(None), Start::After))
}

fn filter(given: &mut Given) -> Result<Filter, Refusal> {
    Ok(Filter {
        from: given.time("from")?,
        to: given.time("to")?,
        user: given.text("user"),
        user_name: given.text("user_name"),
        user_email: given.text("user_email"),
        session: given.text("session"),
        token_ref: given.text("token_ref"),
        without_session: false,
        action: given.text("action"),
        rule: given.text("rule"),
        outcome: given.text("outcome"),
        service: given.text("service"),
        stream: given.text("stream"),
        text: given.text("q"),
    })
}
