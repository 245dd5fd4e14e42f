//! Prints the cost of every row.

use crate::bench::measure::{Measured, Outcome};
use crate::bench::subject::Slice;
use crate::quantile;

/// Statistics over the rounds: median, lowest decile, minimum.
const SHARES: [f64; 3] = [0.5, 0.1, 0.0];

impl Outcome {
    /// CPU time per request in every round, in microseconds.
    pub fn micros(&self) -> Vec<f64> {
        self.slices.iter().map(|slice| slice.micros).collect()
    }
}

/// Prints the rows of a group.
pub fn print(measured: &Measured) {
    println!("{}; {}", measured.group, measured.cores);
    println!(
        "{:68}CPU time of Envoy a request, us{:16}time of a request, us",
        "", ""
    );
    println!(
        "{:55}in all                   added{:25}median of the rounds        a request",
        "", ""
    );
    println!(
        "  {:<20} {:<26} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>9} {:>8} {:>9} {:>7} {:>6}",
        "requests",
        "filter",
        "median",
        "decile",
        "min",
        "median",
        "decile",
        "min",
        "p50",
        "p99",
        "records",
        "bytes",
        "busy"
    );

    for outcome in &measured.outcomes {
        print_row(outcome, measured.base(outcome));
    }
    println!();
}

fn print_row(outcome: &Outcome, base: &Outcome) {
    let (micros, base) = (outcome.micros(), base.micros());
    let [median, low, min] = SHARES.map(|share| quantile(&micros, share));
    let [added_median, added_low, added_min] =
        SHARES.map(|share| quantile(&micros, share) - quantile(&base, share));

    let of_rounds = |value: fn(&Slice) -> f64| {
        quantile(&outcome.slices.iter().map(value).collect::<Vec<_>>(), 0.5)
    };
    let [p50, p99, busy] = [
        of_rounds(|slice| slice.p50),
        of_rounds(|slice| slice.p99),
        of_rounds(|slice| slice.busy),
    ];

    let workers = if outcome.workers == 1 {
        String::new()
    } else {
        format!(", {} workers", outcome.workers)
    };

    println!(
        "  {:<20} {:<26} {median:>7.2} {low:>7.2} {min:>7.2} {added_median:>8.2} {added_low:>7.2} {added_min:>7.2} {p50:>9.1} \
         {p99:>8.1} {:>9.2} {:>7.0} {:>4.0} %",
        outcome.requests.traffic.name(),
        format!("{}{workers}", outcome.name),
        outcome.recorded,
        outcome.bytes,
        busy * 100.0
    );
}
