//! The cost of a request while the audit cluster hangs and the buffer fills.

use std::time::Duration;

use serde_json::json;
use testkit::bench::audit::{self, USER_HEADER};
use testkit::bench::measure::WARM_UP;
use testkit::bench::origin::Origin;
use testkit::bench::progress;
use testkit::bench::requests::{Requests, Traffic};
use testkit::bench::row::Row;
use testkit::bench::subject::Subject;
use testkit::cpu;
use testkit::now;
use testkit::quantile;

pub const NAME: &str = "buffered";
/// For the help.
pub const ABOUT: &str = "records in the buffer while the audit cluster hangs";

/// Capacity of the buffer in records.
const RECORDS: usize = 10_000;
/// Requests of a slice, each of which leaves a record.
const STEP: usize = 1000;
/// Slices until the buffer is full, plus one with dropped records.
const STEPS: usize = RECORDS / STEP + 1;
/// A limit in bytes that is never reached.
const BYTES: u32 = 64 << 20;
/// Deadline for the buffer to become full or empty.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// CPU time per request in microseconds: for each step one entry per round.
type Steps = [Vec<f64>; STEPS];

/// Fills the buffer this many times, and prints the measurements.
pub async fn run(rounds: usize) {
    let origin = Origin::start().await;
    let requests = Requests::new(Traffic::Tracked);
    let mut none = Subject::start(Row::no_filter(requests), &origin).await;
    let mut audit = Subject::start(row(requests), &origin).await;
    let cores = cpu::part([none.envoy.pid(), audit.envoy.pid()]);

    for subject in [&mut none, &mut audit] {
        subject.slice(WARM_UP).await;
    }

    let (mut base, mut with) = (Steps::default(), Steps::default());
    for round in 0..rounds {
        progress::show(&format!("{NAME}: round {} of {rounds}", round + 1));
        audit.sink.hang(true);
        for (base, with) in base.iter_mut().zip(&mut with) {
            base.push(none.slice(STEP).await.micros);
            with.push(audit.slice(STEP).await.micros);
        }
        until(&audit, "full", |held| held >= RECORDS as u64).await;
        audit.sink.hang(false);
        until(&audit, "empty", |held| held == 0).await;
    }

    progress::end();
    println!("{NAME}; {cores}; {rounds} rounds");
    print(&base, &with);
}

/// The timeout is so long that hung attempts stay in flight.
fn row(requests: Requests) -> Row {
    let mut configuration = audit::usual(USER_HEADER);
    configuration["buffer"] =
        json!({"max_records": RECORDS, "max_bytes": BYTES, "immediate_reserve_percent": 0});
    configuration["audit_cluster"]["timeout"] = json!("10m");
    Row::audit("", requests, &configuration)
}

/// Waits until the number of buffered records satisfies `is_so`.
async fn until(audit: &Subject, state: &str, is_so: fn(u64) -> bool) {
    let end = now() + DEADLINE;

    while !audit
        .envoy
        .stats("audit_filter.buffer.records")
        .await
        .values()
        .copied()
        .any(is_so)
    {
        assert!(
            now() < end,
            "the buffer is not {state} within {DEADLINE:?}: {}",
            audit.envoy.log()
        );
        tokio::time::sleep(POLL).await;
    }
}

fn print(base: &Steps, with: &Steps) {
    println!(
        "  in the buffer before       no filter       added, us   added / added with an empty buffer"
    );
    println!("                      median   decile   median   decile   median   decile");

    let values = |share| {
        let both = base
            .iter()
            .zip(with)
            .map(|(base, with)| [base, with].map(|micros| quantile(micros, share)));
        both.map(|[none, with]| (none, with - none))
            .collect::<Vec<_>>()
    };

    let (medians, lows) = (values(0.5), values(0.1));
    for (step, ((none, added), (none_low, added_low))) in medians.iter().zip(&lows).enumerate() {
        let [ratio, ratio_low] = [added / medians[0].1, added_low / lows[0].1];
        println!(
            "  {:>18}  {none:>7.2}  {none_low:>7.2}  {added:>7.2}  {added_low:>7.2}  {ratio:>7.2}  {ratio_low:>7.2}",
            step * STEP
        );
    }
    println!();
}
