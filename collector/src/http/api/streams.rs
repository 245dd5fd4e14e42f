//! `GET /api/streams`: the completeness of the streams.

use std::sync::Arc;

use crate::http::json::Json;
use axum::extract::State;

use super::parameters::{Given, Parameter, Sent};
use crate::completeness::{Moment, Report};
use crate::http::refusal::Refusal;
use crate::ledger::Ledger;
use crate::time::{Clock, nanos};
use crate::views::{self, streams};

pub(super) const PATH: &str = "/api/streams";

pub(super) const PARAMETERS: &[Parameter] = &[];

pub(super) async fn get(
    State(ledger): State<Arc<Ledger>>,
    State(views): State<Arc<views::Settings>>,
    State(now): State<Clock>,
    sent: Sent,
) -> Result<Json<Report>, Refusal> {
    let now = now();
    Given::read(sent, PARAMETERS, now)?;
    let moment = Moment {
        now,
        grace: nanos(views.grace),
    };

    Ok(Json(
        ledger
            .read(move |connection| streams::report(connection, moment))
            .await?,
    ))
}
