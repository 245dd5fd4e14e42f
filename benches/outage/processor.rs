//! CPU time of Envoy per request while the audit cluster is up, down and hung, in short alternating
//! slices.

use testkit::bench::measure::Size;
use testkit::bench::progress;
use testkit::cpu;
use testkit::quantile;

use super::case::{Case, Clusters};
use super::subject::{Counts, Subject};

const CASES: [Case; 4] = [Case::NoFilter, Case::Up, Case::Down, Case::Hung];
/// Targets: CPU time per request, as a multiple of that with the audit cluster up.
const TARGETS: [(Case, &str); 2] = [(Case::Down, "at most 1.2"), (Case::Hung, "none")];

/// One case, and the cost of its slices.
struct Measured {
    subject: Subject,
    /// Requests and counts when the first round began.
    before: (usize, Counts),
    /// Microseconds of CPU time per request, one entry per round.
    micros: Vec<f64>,
}

impl Measured {
    async fn start(mut subject: Subject, clusters: &Clusters) -> Self {
        subject.prepare(clusters).await;
        let before = (subject.sent, subject.counts().await);
        Self {
            subject,
            before,
            micros: Vec::new(),
        }
    }

    /// Where records are delivered, their delivery is included.
    async fn slice(&mut self, requests: usize, clusters: &Clusters) {
        let pid = self.subject.envoy.pid();
        let before = cpu::of_process(pid);
        self.subject.run(requests).await;
        self.subject.settle(clusters).await;
        self.micros
            .push((cpu::of_process(pid) - before) as f64 / 1000.0 / requests as f64);
    }

    /// Records acknowledged and dropped, per request.
    async fn fates(&self) -> [f64; 2] {
        let (sent, before) = self.before;
        let after = self.subject.counts().await;
        let counts = [
            after.acknowledged - before.acknowledged,
            after.dropped - before.dropped,
        ];
        counts.map(|count| count as f64 / (self.subject.sent - sent) as f64)
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
        "CPU time",
        size.rounds,
        &mut all,
        async |measured: &mut Measured| {
            measured.slice(size.requests, &clusters).await;
        },
    )
    .await;

    println!("CPU time of Envoy a tracked request, in microseconds; {size}; {cores}");
    print_costs(&all).await;
    print_ratios(&all);
}

async fn print_costs(all: &[Measured]) {
    println!("                       median           lowest decile       records a request");
    println!("  filter             in all    added    in all    added    acknowledged   dropped");

    let base = find(all, Case::NoFilter);
    for case in CASES {
        let measured = find(all, case);
        let [median, low] = [0.5, 0.1].map(|share| quantile(&measured.micros, share));
        let [added_median, added_low] = [0.5, 0.1]
            .map(|share| quantile(&measured.micros, share) - quantile(&base.micros, share));
        let [acknowledged, dropped] = measured.fates().await;

        print!(
            "  {:<16} {median:>8.2} {added_median:>8.2}  {low:>8.2} {added_low:>8.2}  ",
            case.name()
        );
        println!("{acknowledged:>14.2}  {dropped:>8.2}");
    }
}

fn print_ratios(all: &[Measured]) {
    println!("\nin all, compared with the collector up");
    println!("  filter             median   lowest decile   middle half of the rounds   target");

    let up = &find(all, Case::Up).micros;
    for (case, target) in TARGETS {
        let micros = &find(all, case).micros;
        let [median, low] = [0.5, 0.1].map(|share| quantile(micros, share) / quantile(up, share));
        let rounds: Vec<f64> = micros
            .iter()
            .zip(up)
            .map(|(micros, up)| micros / up)
            .collect();
        let [first, third] = [0.25, 0.75].map(|share| quantile(&rounds, share));

        println!(
            "  {:<16} {median:>8.2}   {low:>13.2}   {first:>12.2} to {third:<10.2}   {target}",
            case.name()
        );
    }

    println!();
}

fn find(all: &[Measured], case: Case) -> &Measured {
    all.iter()
        .find(|measured| measured.subject.case == case)
        .expect("every case is measured")
}
