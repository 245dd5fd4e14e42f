//! What the handlers of all requests share. A handler takes the part that it needs, by [`FromRef`].

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::watch;

use crate::http::admission::Admission;
use crate::http::auth::Access;
use crate::http::metrics::Metrics;
use crate::http::refusal_log::RefusalLog;
use crate::ledger::Ledger;
use crate::time::Clock;
use crate::views;

/// State that all request handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The ledger of all records.
    pub ledger: Arc<Ledger>,
    /// Settings for reading its views.
    pub views: Arc<views::Settings>,
    /// Limits of all requests together.
    pub admission: Admission,
    /// Tokens for writing and for reading. A new value applies from the next request on.
    pub access: watch::Receiver<Access>,
    /// Counts for `/metrics`.
    pub metrics: Metrics,
    /// When refusals were last logged.
    pub refusals: Arc<RefusalLog>,
    /// Reads the time of receipt.
    pub now_unix_nano: Clock,
}

/// One part of the state, for handlers that need no other.
macro_rules! part {
    ($field:ident: $part:ty) => {
        impl FromRef<AppState> for $part {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        }
    };
}

part!(ledger: Arc<Ledger>);
part!(views: Arc<views::Settings>);
part!(admission: Admission);
part!(access: watch::Receiver<Access>);
part!(metrics: Metrics);
part!(refusals: Arc<RefusalLog>);
part!(now_unix_nano: Clock);
