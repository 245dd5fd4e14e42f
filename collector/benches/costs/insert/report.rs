//! Output of the rounds.

use std::time::Duration;

use testkit::quantile;

use super::load::{CONNECTIONS, Cost};

/// Results of the collector under load, and of the bare loop.
pub struct Round {
    pub load: Cost,
    pub bare: Duration,
}

/// Prints medians, and the quartiles of the ratio within each round. Quartiles far apart mean that
/// the machine was too busy.
pub fn print(name: &str, records: u64, rounds: &[Round]) {
    let per_second = |wall: Duration| records as f64 / wall.as_secs_f64();
    let micros = |nanos: u64| nanos as f64 / 1000.0 / records as f64;
    let of = |value: &dyn Fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();

    println!(
        "{name}: {} rounds of {records} records, batches of 100, {CONNECTIONS} connections",
        rounds.len()
    );
    println!(
        "  collector                  {:8.0} records/s (median)",
        quantile(&of(&|round| per_second(round.load.wall)), 0.5)
    );

    let ratios = of(&|round| round.bare.as_secs_f64() / round.load.wall.as_secs_f64());
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&ratios, share));
    let median = quantile(&of(&|round| per_second(round.bare)), 0.5);
    println!("  bare loop                  {median:8.0} records/s (median)");
    println!(
        "    ratio                    {middle:8.2} (median; middle half of the rounds {low:.2} to {high:.2})"
    );

    let collector = quantile(&of(&|round| micros(round.load.collector_nanos)), 0.5);
    let load = quantile(&of(&|round| micros(round.load.load_nanos)), 0.5);
    println!("  CPU a record: collector {collector:.1} us, load generator {load:.1} us");
    let settled = quantile(
        &of(&|round| round.load.settled_after.as_secs_f64() * 1000.0),
        0.5,
    );
    println!("  idle {settled:.0} ms after the last answer");
}
