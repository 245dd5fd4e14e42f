//! The truth table of protocols, filter orders and endings, on a real Envoy in two versions.
//!
//! `cargo test --test protocols -- --nocapture` plays every row on each version and prints the
//! records. It fails if a row is not as expected, or if the table in `docs/protocols.md` is not up
//! to date. `-- --only TEXT` picks rows, `-- --envoy 1.36.4` a version, `-- --write` rewrites the
//! document's table.

#![cfg(test)]
#![expect(
    clippy::string_slice,
    unreachable_pub,
    reason = "a program may panic, and has no public items"
)]

mod args;
mod client;
mod descriptor;
mod document;
mod expect;
mod filters;
mod order;
mod play;
mod report;
mod row;
mod rows;
mod stage;
mod traffic;

use std::process::ExitCode;
use std::sync::Arc;

use args::Args;

/// The versions of Envoy, the newest first.
const VERSIONS: [&str; 2] = ["1.40.0", "1.36.4"];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::FAILURE;
        }
    };

    let table = Arc::new(rows::table());
    let rows: Vec<usize> = (0..table.rows.len())
        .filter(|row| args.wants(&report::name(&table, &table.rows[*row])))
        .collect();
    if rows.is_empty() {
        eprintln!("no row has this text");
        return ExitCode::FAILURE;
    }

    if args.is_listing {
        report::list(&table, &rows);
        return ExitCode::SUCCESS;
    }

    let mut wrong = 0;
    for version in VERSIONS
        .into_iter()
        .filter(|version| args.wants_envoy(version))
    {
        let played = play::all(version, &table, &rows).await;
        wrong += report::print(version, &table, &played);
    }

    if args.writes {
        document::write(&table);
    }

    let stale = document::check(&table);
    stale.iter().for_each(|text| println!("{text}"));
    if wrong == 0 && stale.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
