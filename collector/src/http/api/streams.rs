//! `GET /api/streams`: the completeness of the streams.

use axum::Json;
use axum::extract::State;

use super::parameters::{Given, Parameter, Sent};
use crate::completeness::{Moment, Report};
use crate::http::app::AppState;
use crate::http::refusal::Refusal;
use crate::time::nanos;
use crate::views::streams;

pub(super) const PATH: &str = "/api/streams";

pub(super) const PARAMETERS: &[Parameter] = &[];

pub(super) async fn get(
    State(state): State<AppState>,
    sent: Sent,
) -> Result<Json<Report>, Refusal> {
    let now = (state.now_unix_nano)();
    Given::read(sent, PARAMETERS, now)?;
    let moment = Moment {
        now,
        grace: nanos(state.views.grace),
    };

    Ok(Json(
        state
            .ledger
            .ask(move |connection| streams::report(connection, moment))
            .await?,
    ))
}
