//! The guarantees of a ledger, on a real SQLite and on a real PostgreSQL: one suite for both.

mod append;
mod auditor;
mod backup;
mod compare;
mod fixture;
mod migrate;
mod neighbours;
mod prove;
mod query_plans;
mod questions;
mod readable;
mod retention;
mod set_back;
mod stranger;
mod stream_view;
mod streams;
mod tamper;
mod tree;
mod verify;
mod visible;

/// Runs each test on both databases.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::ledger::fixture::Fixture::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::ledger::fixture::Fixture::postgres()).await;
            })+
        }
    };
}
pub(crate) use on_both;
