//! Prints the cost of every row.

use crate::bench::measure::{Measured, Outcome};
use crate::bench::subject::Slice;
use crate::quantile;

/// Statistics of the CPU time over the rounds: median, lowest decile.
const SHARES: [f64; 2] = [0.5, 0.1];

/// Prints the rows of a group.
pub fn print(measured: &Measured) {
    println!("{}; {}", measured.group, measured.cores);
    println!(
        "{:56}CPU time of Envoy a request, us        time of a request at a pace, us",
        ""
    );
    println!(
        "{:56}in all            added              p50             p99             a request              slices",
        ""
    );
    println!(
        "  {:<20} {:<31} {:>7} {:>7}  {:>7} {:>7}  {:>7} {:>7} {:>7} {:>7}  {:>7} {:>6} {:>7} {:>10} {:>10}",
        "requests",
        "filter",
        "median",
        "decile",
        "median",
        "decile",
        "in all",
        "added",
        "in all",
        "added",
        "records",
        "bytes",
        "busy",
        "discarded",
        "disturbed"
    );

    for outcome in &measured.outcomes {
        print_row(outcome, measured.base(outcome));
    }
    println!();
}

fn print_row(outcome: &Outcome, base: &Outcome) {
    let workers = if outcome.workers == 1 {
        String::new()
    } else {
        format!(", {} workers", outcome.workers)
    };
    let name = format!("{}{workers}", outcome.name);
    print!("  {:<20} {name:<31}", outcome.requests.traffic.name());

    let (micros, base_micros) = (outcome.micros(), base.micros());
    let [median, low] = SHARES.map(|share| quantile(&micros, share));
    let [added, added_low] =
        SHARES.map(|share| quantile(&micros, share) - quantile(&base_micros, share));
    print!(" {median:>7.2} {low:>7.2}  {added:>7.2} {added_low:>7.2} ");

    print_times(&outcome.p50(), &base.p50());
    print_times(&outcome.p99(), &base.p99());
    print_slices(outcome);
}

/// Medians of the rounds; a dash where no times were measured.
fn print_times(times: &[f64], base: &[f64]) {
    if times.is_empty() {
        print!(" {:>7} {:>7}", "-", "-");
    } else {
        let [all, base] = [times, base].map(|times| quantile(times, 0.5));
        print!(" {all:>7.1} {:>7.1}", all - base);
    }
}

fn print_slices(outcome: &Outcome) {
    let share = |slice: &Slice| slice.busy;
    let busy: Vec<f64> = outcome.full.slices.iter().map(share).collect();
    println!(
        "  {:>7.2} {:>6.0} {:>5.0} % {:>10} {:>10}",
        outcome.recorded,
        outcome.bytes,
        quantile(&busy, 0.5) * 100.0,
        outcome.full.discarded + outcome.paced.discarded,
        outcome.full.disturbed + outcome.paced.disturbed
    );
}
