//! `GET /api/sessions` and `GET /api/sessions/{key}`.

mod types;

use std::sync::Arc;
use std::time::Duration;

use crate::http::json::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::{page, with_next};
use super::parameters::{CURSOR, Given, Kind, LIMIT, Parameter, Sent};
use super::records::next;
use super::types::FlatRecord;
use crate::db::{Connection, DbError};
use crate::http::refusal::Refusal;
use crate::ledger::list::list as list_records;
use crate::ledger::{Cursor, Filter, Ledger, Page, Start};
use crate::time::Clock;
use crate::views;
use crate::views::sessions::{Session, SessionQuery, list, one};
use crate::views::signals::{self, Signal};
use types::{SessionAnswer, SignalAnswer};

pub(super) const PATH: &str = "/api/sessions";
pub(super) const ONE: &str = "/api/sessions/{key}";

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "user",
        kind: Kind::Text,
        description: "`user.id`, all of it.",
    },
    Parameter {
        name: "session",
        kind: Kind::Text,
        description: "`session.id`, all of it.",
    },
    Parameter {
        name: "token_ref",
        kind: Kind::Text,
        description: "`session.token_ref`, all of it.",
    },
    Parameter {
        name: "state",
        kind: Kind::Choice(&["open", "ended"]),
        description: "Only those in this state; all when absent.",
    },
    Parameter {
        name: "from",
        kind: Kind::Time,
        description: "Last seen not before this time.",
    },
    Parameter {
        name: "to",
        kind: Kind::Time,
        description: "Last seen before this time.",
    },
    LIMIT,
    CURSOR,
];

pub(super) const ONE_PARAMETERS: &[Parameter] = &[LIMIT, CURSOR];

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sessions {
    /// Last seen first.
    sessions: Vec<SessionAnswer>,
    /// For the next page; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A session, the signals of its client, and a page of its records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timeline {
    session: SessionAnswer,
    /// Changes of the fields of its context, oldest first; the latest 1000.
    signals: Vec<SignalAnswer>,
    /// Newest first.
    records: Vec<FlatRecord>,
    /// For the next page of records; null when there is none.
    #[schema(required)]
    next_cursor: Option<String>,
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(views): State<Arc<views::Settings>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<Sessions>, Refusal> {
    let now = now();
    let mut given = Given::read(sent, PARAMETERS, now)?;
    let limit = given.limit()?;
    let query = query(&mut given)?;
    let idle = views.idle;

    let found = ledger
        .read(move |connection| list(connection, &query, (now, idle), with_next(limit)))
        .await?;
    let (found, next_cursor) = page(found, limit, |last| last.cursor().to_string());

    Ok(Json(Sessions {
        sessions: found.into_iter().map(SessionAnswer::from).collect(),
        next_cursor,
    }))
}

pub(super) async fn get_one(
    State(ledger): State<Arc<Ledger>>,
    State(views): State<Arc<views::Settings>>,
    State(now): State<Clock>,
    key: Result<Path<String>, PathRejection>,
    sent: Sent,
) -> Result<Json<Timeline>, Refusal> {
    let Path(key) = key.map_err(|_| Refusal::invalid("the key of the session cannot be read"))?;
    let now = now();
    let given = Given::read(sent, ONE_PARAMETERS, now)?;
    let (limit, cursor) = (given.limit()?, given.cursor()?);
    let idle = views.idle;

    let found = ledger
        .read(move |connection| find(connection, &key, (now, idle), (cursor, limit)))
        .await?;
    let (session, signals, page) =
        found.ok_or_else(|| Refusal::not_found("there is no session with this key"))?;

    Ok(Json(Timeline {
        session: session.into(),
        signals: signals.into_iter().map(SignalAnswer::from).collect(),
        next_cursor: next(&page),
        records: FlatRecord::all(&page.rows),
    }))
}

type Found = (Session, Vec<Signal>, Page);

/// The session, the signals of its client, and a page of its records.
fn find(
    connection: &mut dyn Connection,
    key: &str,
    moment: (i64, Duration),
    (cursor, limit): (Option<Cursor>, i64),
) -> Result<Option<Found>, DbError> {
    let Some(session) = one(connection, key, moment)? else {
        return Ok(None);
    };

    let filter = match &session.session_id {
        Some(id) => Filter {
            session: Some(id.clone()),
            ..Filter::default()
        },
        None => Filter {
            token_ref: session.token_ref.clone(),
            without_session: true,
            ..Filter::default()
        },
    };

    let signals = signals::list(connection, &session.key)?;
    let records = list_records(connection, &filter, Start::Newest(cursor), limit)?;
    Ok(Some((session, signals, records)))
}

fn query(given: &mut Given) -> Result<SessionQuery, Refusal> {
    Ok(SessionQuery {
        user: given.text("user"),
        session: given.text("session"),
        token_ref: given.text("token_ref"),
        open: given.choice("state", &[("open", true), ("ended", false)])?,
        from: given.time("from")?,
        to: given.time("to")?,
        before: given.cursor()?,
    })
}
