//! The table.

use std::time::Duration;

use crate::play::{Observed, Played};

const COLUMNS: [&str; 8] = ["fault", "sent", "stored", "dupl.", "accounted", "unaccounted", "p99 +ms", "laws"];

/// Prints a line for each row, and below what breaks a law.
pub fn print(results: &[Played]) {
    let baseline = results.first().and_then(|first| first.seen.as_ref()).map(p99);
    println!("{}", line(COLUMNS.map(str::to_owned)));
    for result in results {
        println!("{}", line(cells(result, baseline)));
    }
    println!("\np99 +ms: 99th percentile of user requests, less that of the first row ({baseline:?})");
    for result in results {
        for breach in result.breaches() {
            println!("\nbroken in \"{}\": {breach}", result.row.name);
        }
    }
}

fn cells(result: &Played, baseline: Option<Duration>) -> [String; 8] {
    let verdict = if result.breaches().is_empty() { "hold" } else { "BROKEN" }.to_owned();
    let Some(seen) = &result.seen else {
        let [sent, stored, duplicates, accounted, unaccounted, slower] = std::array::from_fn(|_| String::new());
        return [result.row.name.to_owned(), sent, stored, duplicates, accounted, unaccounted, slower, verdict];
    };
    let count = &seen.count;
    let [sent, stored, duplicates, accounted, unaccounted] =
        [count.sent, count.stored, count.duplicates, count.accounted, count.unaccounted].map(|cell| cell.to_string());
    let slower = (p99(seen).as_secs_f64() - baseline.unwrap_or_default().as_secs_f64()) * 1000.0;
    let slower = format!("{slower:+.1}");
    [result.row.name.to_owned(), sent, stored, duplicates, accounted, unaccounted, slower, verdict]
}

fn line(cells: [String; 8]) -> String {
    let [fault, sent, stored, duplicates, accounted, unaccounted, slower, laws] = cells;
    format!("{fault:<24} {sent:>6} {stored:>6} {duplicates:>6} {accounted:>9} {unaccounted:>11} {slower:>8}  {laws}")
}

/// Of the requests that the upstream has answered.
fn p99(seen: &Observed) -> Duration {
    let mut times: Vec<Duration> = seen.calls.iter().filter(|call| call.is_answered).map(|call| call.took).collect();
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}
