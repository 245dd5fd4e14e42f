//! The table.

use std::time::Duration;

use crate::play::{Observed, Played};

const COLUMNS: [&str; 8] = [
    "sent",
    "stored",
    "twice",
    "accounted",
    "unaccounted",
    "p99 +ms",
    "unanswered",
    "laws",
];

/// Prints a line for each row, and broken laws below it.
pub fn print(results: &[Played]) {
    let Some(first) = results.first() else {
        println!("no row of the fault matrix is asked for");
        return;
    };
    let baseline = first.seen.as_ref().map(p99).unwrap_or_default();
    println!("{}", line("fault", &COLUMNS.map(str::to_owned)));

    for result in results {
        println!("{}", line(result.row.name, &cells(result, baseline)));
    }

    println!(
        "\np99 +ms: 99th percentile of the time of user requests, less the {baseline:.1?} of the first row"
    );
    println!(
        "unanswered: user requests that the upstream's answer did not reach; they are not counted as sent"
    );

    for result in results {
        if let Some(bound) = result.seen.as_ref().and_then(bound) {
            println!("\n\"{}\": {bound}", result.row.name);
        }
    }

    for result in results {
        for breach in result.breaches() {
            println!("\nbroken in \"{}\": {breach}", result.row.name);
        }
    }
}

/// The audit cluster's bound for a proxy that was killed.
fn bound(seen: &Observed) -> Option<String> {
    let unknown = seen.count.unknown.filter(|_| seen.killed.is_some())?;
    let (streams, missing, held, most) = (
        unknown.streams,
        unknown.missing,
        unknown.held,
        unknown.most(),
    );

    Some(format!(
        "{streams} streams fell silent, {missing} numbers are missing for certain and no more than {held} exchanges beyond, \
         {most} together; {} requests have no record",
        seen.count.missing.len()
    ))
}

fn cells(result: &Played, baseline: Duration) -> [String; 8] {
    let verdict = if result.breaches().is_empty() {
        "hold"
    } else {
        "BROKEN"
    }
    .to_owned();
    let Some(seen) = &result.seen else {
        let mut empty: [String; 8] = std::array::from_fn(|_| String::new());
        empty[7] = verdict;
        return empty;
    };

    let count = &seen.count;
    let [sent, stored, twice, accounted, unaccounted, unanswered] = [
        count.sent,
        count.stored,
        count.duplicates,
        count.accounted,
        count.unaccounted,
        seen.disturbed(),
    ]
    .map(|number| number.to_string());
    let slower = (p99(seen).as_secs_f64() - baseline.as_secs_f64()) * 1000.0;

    [
        sent,
        stored,
        twice,
        accounted,
        unaccounted,
        format!("{slower:+.1}"),
        unanswered,
        verdict,
    ]
}

fn line(name: &str, cells: &[String; 8]) -> String {
    let [
        sent,
        stored,
        twice,
        accounted,
        unaccounted,
        slower,
        unanswered,
        laws,
    ] = cells;

    format!(
        "{name:<24} {sent:>6} {stored:>6} {twice:>6} {accounted:>10} {unaccounted:>12} {slower:>8} {unanswered:>11}  {laws}"
    )
}

/// For requests with the upstream's answer.
fn p99(seen: &Observed) -> Duration {
    let mut times: Vec<Duration> = seen
        .calls
        .iter()
        .filter(|call| call.is_answered)
        .filter_map(|call| call.took)
        .collect();
    times.sort_unstable();

    times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
}
