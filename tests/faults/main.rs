//! The fault matrix: losses under each fault of the audit cluster, of Envoy and of the filter, on a
//! real Envoy.
//!
//! Each row runs the same steady load on two workers, injects one fault for a while, and joins the
//! clients' answers with the stored records. `cargo test --test faults` plays all rows, prints the
//! table, and fails if a row breaks one of its laws. `-- --seconds 30` makes every row longer, `--
//! --only down` picks rows. `-- --soak 300 --seed 1` plays trouble of all kinds for so many seconds
//! instead.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod args;
mod count;
mod crowds;
mod fault;
mod law;
mod load;
mod matrix;
mod play;
mod report;
mod soak;
mod stage;
mod updates;

use std::process::ExitCode;

use args::Args;

// The load must not wait while the audit cluster writes an answer.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::FAILURE;
        }
    };

    if let Some(soak) = &args.soak {
        return match soak::run(soak).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(mistake) => {
                eprintln!("{mistake}");
                ExitCode::FAILURE
            }
        };
    }

    let results = play::all(&args).await;
    report::print(&results);
    let is_broken = results.iter().any(|result| !result.breaches().is_empty());
    if is_broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
