//! The cost added by each row, relative to the first row with the filter.

use testkit::bench::measure::{Measured, Outcome};
use testkit::quantile;

/// Prints the curve of a group.
pub fn print(measured: &Measured) {
    println!("  added by the filter / added in the first row, median (lowest decile)");
    let with: Vec<&Outcome> = measured
        .outcomes
        .iter()
        .filter(|row| row.name.starts_with("audit"))
        .collect();

    for row in &with {
        let [median, low] =
            [0.5, 0.1].map(|share| added(measured, row, share) / added(measured, with[0], share));
        let workers = if row.workers == 1 {
            String::new()
        } else {
            format!(", {} workers", row.workers)
        };

        println!(
            "    {:<34} {median:>6.2} ({low:>5.2})",
            format!("{}{workers}", row.name)
        );
    }
    println!();
}

fn added(measured: &Measured, outcome: &Outcome, share: f64) -> f64 {
    quantile(&outcome.micros(), share) - quantile(&measured.base(outcome).micros(), share)
}
