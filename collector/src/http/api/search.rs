//! `GET /api/search`: suggestions while a user, a name, an e-mail, a session or an action is typed.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{Given, Kind, Parameter, Sent};
use crate::http::json::Json;
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::time::Clock;
use crate::views::terms::{self, TermKind, suggestions};

pub(super) const PATH: &str = "/api/search";

/// Suggestions of each kind when the client sets no limit.
const DEFAULT_LIMIT: i64 = 5;
/// Most suggestions of each kind.
const MAX_LIMIT: i64 = 20;

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "q",
        kind: Kind::Text,
        description: "The beginning of a user, a name, an e-mail, a session or an action, or of one of the first eight words \
            of a name or an action; required. The case of letters matters in sessions only.",
    },
    Parameter {
        name: "limit",
        kind: Kind::Number(1, MAX_LIMIT),
        description: "Most suggestions of each kind; 5 when absent.",
    },
];

/// Suggestions, kind by kind, each in alphabetical order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Search {
    suggestions: Vec<SuggestionAnswer>,
}

/// A text that begins with what was typed, or has a word that does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestion)]
pub(super) struct SuggestionAnswer {
    /// What it is.
    kind: SuggestionKind,
    /// The text, cut to 256 bytes.
    value: String,
    /// `user.id` of the user that it belongs to; null for an action, and where it is not known.
    #[schema(required)]
    user_id: Option<String>,
}

/// What a suggestion is: the parameter of `/api/records` that finds its records. A session may be
/// one without a `session.id`; its value is then the reference of its token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SuggestionKind {
    /// `user.id`.
    User,
    /// `user.name`.
    UserName,
    /// `user.email`.
    UserEmail,
    /// The key of a session.
    Session,
    /// `audit.action`.
    Action,
}

impl From<TermKind> for SuggestionKind {
    fn from(kind: TermKind) -> Self {
        match kind {
            TermKind::User => Self::User,
            TermKind::UserName => Self::UserName,
            TermKind::UserEmail => Self::UserEmail,
            TermKind::Session => Self::Session,
            TermKind::Action => Self::Action,
        }
    }
}

impl From<terms::Suggestion> for SuggestionAnswer {
    fn from(found: terms::Suggestion) -> Self {
        Self {
            kind: found.kind.into(),
            value: found.value,
            user_id: found.user_id,
        }
    }
}

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<Search>, Refusal> {
    let mut given = Given::read(sent, PARAMETERS, now())?;
    let limit = given
        .number("limit", 1, MAX_LIMIT)?
        .unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let typed = given
        .text("q")
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Refusal::invalid("q must be the beginning of a text"))?;

    let found = ledger
        .read(move |connection| suggestions(connection, typed.trim(), limit))
        .await?;
    Ok(Json(Search {
        suggestions: found.into_iter().map(SuggestionAnswer::from).collect(),
    }))
}
