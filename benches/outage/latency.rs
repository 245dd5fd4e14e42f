//! The time of a tracked request at a pace while the audit cluster hangs, in short alternating
//! slices.

use testkit::bench::measure::Size;
use testkit::bench::pace::RATE;
use testkit::bench::progress;
use testkit::cpu;
use testkit::quantile;

use super::case::{Case, Clusters};
use super::subject::Subject;

const CASES: [Case; 3] = [Case::NoFilter, Case::Up, Case::Hung];
/// The percentiles of every slice.
const PERCENTILES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// One case, and the percentiles of its slices.
struct Measured {
    subject: Subject,
    /// Microseconds: for each of [`PERCENTILES`] one list with one entry per round.
    micros: [Vec<f64>; PERCENTILES.len()],
}

impl Measured {
    async fn start(mut subject: Subject, clusters: &Clusters) -> Self {
        subject.prepare(clusters).await;
        Self {
            subject,
            micros: Default::default(),
        }
    }

    async fn slice(&mut self, requests: usize, clusters: &Clusters) {
        let times = self.subject.run_paced(requests).await;
        self.subject.settle(clusters).await;
        for (micros, (_, share)) in self.micros.iter_mut().zip(PERCENTILES) {
            micros.push(quantile(&times, share));
        }
    }
}

/// Measures this many rounds, and prints.
pub async fn run(size: Size) {
    let clusters = Clusters::start().await;
    let subjects = Subject::start_all(&CASES, &clusters).await;
    let cores = cpu::part(subjects.iter().map(|subject| subject.envoy.pid()));

    let mut all = Vec::new();
    for subject in subjects {
        all.push(Measured::start(subject, &clusters).await);
    }

    progress::rounds(
        "latency",
        size.rounds,
        &mut all,
        async |measured: &mut Measured| {
            measured.slice(size.requests, &clusters).await;
        },
    )
    .await;

    println!("Time of a tracked request at {RATE} a second, in microseconds; {size}; {cores}");
    print_times(&all);
    print_ratios(&all);
}

fn print_times(all: &[Measured]) {
    println!("  median of the rounds (middle half)");
    println!("  filter                    p50                      p99");
    for case in CASES {
        let cells = find(all, case).each_ref().map(|micros| {
            let [first, median, third] = [0.25, 0.5, 0.75].map(|share| quantile(micros, share));
            format!("{median:>8.1} ({first:.1} to {third:.1})")
        });
        println!("  {:<16} {:<24} {:<24}", case.name(), cells[0], cells[1]);
    }
}

fn print_ratios(all: &[Measured]) {
    println!("\ncollector hung, compared with");
    println!("                      median     middle half of the rounds");

    for base in [Case::NoFilter, Case::Up] {
        for (index, (name, _)) in PERCENTILES.into_iter().enumerate() {
            let [hung, other] = [Case::Hung, base].map(|case| &find(all, case)[index]);
            let median = quantile(hung, 0.5) / quantile(other, 0.5);
            let rounds: Vec<f64> = hung
                .iter()
                .zip(other)
                .map(|(hung, other)| hung / other)
                .collect();
            let [first, third] = [0.25, 0.75].map(|share| quantile(&rounds, share));
            println!(
                "  {:<14} {name} {median:>8.2}   {first:>12.2} to {third:.2}",
                base.name()
            );
        }
    }

    println!();
}

fn find(all: &[Measured], case: Case) -> &[Vec<f64>; PERCENTILES.len()] {
    &all.iter()
        .find(|measured| measured.subject.case == case)
        .expect("every case is measured")
        .micros
}
