//! The table, the ratios and the sizes.

use std::path::Path;

use super::bench::Outcome;
use super::quantile::quantile;
use super::rows::{Filter, Row, Traffic};

/// What the audit filter may add, as a multiple of what the filter that does nothing adds to the same requests.
const TARGETS: [(Traffic, Option<f64>); 4] = [
    (Traffic::Untracked, Some(1.3)),
    (Traffic::Check, None),
    (Traffic::Tracked, Some(2.2)),
    (Traffic::TrackedGrpc, None),
];
/// What is measured by a row with it and a row without it.
const FEATURES: [(Traffic, &str, Filter, Filter); 3] = [
    (Traffic::Check, "response_json", Filter::Audit, Filter::AuditWithoutUser),
    (Traffic::Tracked, "hmac of the token", Filter::AuditWithHmac, Filter::Audit),
    (Traffic::TrackedGrpc, "hmac of the token", Filter::AuditWithHmac, Filter::Audit),
];
/// What the filter's file may have.
const TARGET_BYTES: u64 = 409_600;

/// Prints the table and the ratios.
pub fn print(outcomes: &[Outcome]) {
    println!("CPU time of Envoy a request, in microseconds");
    println!("                                           median           lowest decile   records   Envoy");
    println!("  requests             filter           in all    added    in all    added   a request    busy");
    for outcome in outcomes {
        let Outcome { row, micros, busy, recorded } = outcome;
        let base = find(outcomes, row.traffic.base(), Filter::None);
        let [median, low] = [0.5, 0.1].map(|share| quantile(micros, share));
        let [added_median, added_low] = [0.5, 0.1].map(|share| quantile(micros, share) - quantile(base, share));
        let (requests, filter) = (row.traffic.name(), row.filter.name());
        print!("  {requests:<20} {filter:<14} ");
        println!(
            "{median:>8.2} {added_median:>8.2}  {low:>8.2} {added_low:>8.2}  {recorded:>8.2}   {:>5.0} %",
            quantile(busy, 0.5) * 100.0
        );
    }
    println!("\nadded by the audit filter / added by do-nothing, same requests");
    println!("  requests               median   lowest decile   middle half of the rounds   target");
    for (traffic, target) in TARGETS {
        print_ratio(outcomes, traffic, target);
    }
    println!("\nadded by one feature, in microseconds of CPU time a request");
    println!("  requests               feature                  median   lowest decile   middle half of the rounds");
    for (traffic, feature, with, without) in FEATURES {
        let [with, without] = [with, without].map(|filter| find(outcomes, traffic, filter));
        let rounds: Vec<f64> = with.iter().zip(without).map(|(with, without)| with - without).collect();
        let difference = |share| quantile(with, share) - quantile(without, share);
        let [median, low, first, third] =
            [difference(0.5), difference(0.1), quantile(&rounds, 0.25), quantile(&rounds, 0.75)];
        let requests = traffic.name();
        println!("  {requests:<20}   {feature:<22} {median:>8.2}   {low:>13.2}   {first:>12.2} to {third:.2}");
    }
}

fn print_ratio(outcomes: &[Outcome], traffic: Traffic, target: Option<f64>) {
    let audit = find(outcomes, traffic, Filter::Audit);
    let [none, nothing] = [Filter::None, Filter::DoNothing].map(|filter| find(outcomes, traffic.base(), filter));
    let ratio = |share| {
        let [audit, none, nothing] = [audit, none, nothing].map(|micros| quantile(micros, share));
        (audit - none) / (nothing - none)
    };
    let rounds: Vec<f64> = audit
        .iter()
        .zip(none.iter().zip(nothing))
        .map(|(audit, (none, nothing))| (audit - none) / (nothing - none))
        .collect();
    let [first, third] = [0.25, 0.75].map(|share| quantile(&rounds, share));
    let target = target.map_or("none".to_owned(), |target| format!("at most {target}"));
    let (requests, median, low) = (traffic.name(), ratio(0.5), ratio(0.1));
    println!("  {requests:<20} {median:>8.2}   {low:>13.2}   {first:>12.2} to {third:<10.2}   {target}");
}

/// Prints the sizes of both filters.
pub fn print_sizes(audit: &Path, do_nothing: &Path) {
    let [audit, do_nothing] = [audit, do_nothing].map(|path| std::fs::metadata(path).unwrap().len());
    println!("\naudit_filter.wasm has {audit} bytes (target: at most {TARGET_BYTES}), do_nothing.wasm {do_nothing}");
}

fn find(outcomes: &[Outcome], traffic: Traffic, filter: Filter) -> &[f64] {
    let row = Row { traffic, filter };
    &outcomes.iter().find(|outcome| outcome.row == row).expect("the row is measured").micros
}
