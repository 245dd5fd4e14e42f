//! Memory of Envoy with the audit cluster up, down, and up again. It is compared with an Envoy
//! without the filter after as many requests.

use std::fs;
use std::time::Duration;

use testkit::bench::progress;
use testkit::cpu;
use testkit::now;

use super::case::{Case, Clusters};
use super::subject::{Counts, Subject};

/// Requests to one Envoy before the other's turn.
const TURN: usize = 2000;
/// Minutes of load after which memory is read; it is also read at the end.
const MARKS: [usize; 2] = [1, 2];
/// Requests at full speed while the audit cluster answers.
const DELIVERED: usize = 20_000;
/// Deadline for the buffer to become empty: the filter retries after 30 seconds at most.
const DRAINED: Duration = Duration::from_secs(60);
const KIB_PER_MIB: f64 = 1024.0;
const BYTES_PER_MIB: f64 = 1024.0 * 1024.0;

/// An Envoy and its last measurement.
struct Watched {
    subject: Subject,
    /// Requests and their time at the last measurement.
    last: (usize, Duration),
    /// RSS when the buffer was full, in KiB.
    full: Option<i64>,
}

/// One measurement of an Envoy.
struct Sight {
    /// In KiB.
    rss: i64,
    /// Growth since the buffer was full, in KiB.
    growth: Option<i64>,
    /// Requests per second since the previous measurement.
    rate: Option<f64>,
}

impl Watched {
    async fn start(case: Case, clusters: &Clusters) -> Self {
        Self {
            subject: Subject::start(case, clusters).await,
            last: (0, Duration::ZERO),
            full: None,
        }
    }

    fn look(&mut self) -> Sight {
        let rss = resident(self.subject.envoy.pid());
        let (sent, loaded) = (self.subject.sent, self.subject.loaded);
        let (sent_before, loaded_before) = std::mem::replace(&mut self.last, (sent, loaded));
        let seconds = (loaded - loaded_before).as_secs_f64();
        let rate = (seconds > 0.0).then(|| (sent - sent_before) as f64 / seconds);

        Sight {
            rss,
            growth: self.full.map(|full| rss - full),
            rate,
        }
    }
}

/// Measures for this many minutes of load on the Envoy with the filter while the audit cluster is
/// down.
pub async fn run(minutes: usize) {
    let mut clusters = Clusters::start().await;
    clusters.down.up().await;
    let mut audit = Watched::start(Case::Down, &clusters).await;
    let mut none = Watched::start(Case::NoFilter, &clusters).await;
    let cores = cpu::part([audit.subject.envoy.pid(), none.subject.envoy.pid()]);

    print_head(&cores);
    print_sights("at rest", &mut audit, &mut none).await;
    for _ in 0..DELIVERED / TURN {
        turn(&mut audit, &mut none).await;
    }
    print_sights("up, under load", &mut audit, &mut none).await;

    clusters.down.down().await;
    fill(&mut audit, &mut none).await;
    print_sights("down, buffer full", &mut audit, &mut none).await;
    for mark in MARKS
        .into_iter()
        .filter(|mark| *mark < minutes)
        .chain([minutes])
    {
        load_until(mark, &mut audit, &mut none).await;
        print_sights(&format!("down, {mark} min"), &mut audit, &mut none).await;
    }

    clusters.down.up().await;
    drain(&audit).await;
    print_sights("up, drained", &mut audit, &mut none).await;

    println!(
        "\n  the memory of the filter's VM is part of Envoy's RSS, and not visible by itself\n"
    );
}

async fn fill(audit: &mut Watched, none: &mut Watched) {
    audit.subject.fill().await;
    none.subject
        .run(audit.subject.sent - none.subject.sent)
        .await;
    for watched in [audit, none] {
        watched.full = Some(resident(watched.subject.envoy.pid()));
        watched.subject.loaded = Duration::ZERO;
        watched.last.1 = Duration::ZERO;
    }
}

async fn drain(audit: &Watched) {
    let end = now() + DRAINED;
    while audit.subject.counts().await.held > 0 {
        assert!(now() < end, "the buffer is not empty after {DRAINED:?}");
    }
}

async fn turn(audit: &mut Watched, none: &mut Watched) {
    for watched in [audit, none] {
        watched.subject.run(TURN).await;
    }
}

/// The two alternate, so that each is loaded at full speed, and both get equally many requests.
async fn load_until(mark: usize, audit: &mut Watched, none: &mut Watched) {
    let end = Duration::from_secs(60 * mark as u64);
    while audit.subject.loaded < end {
        turn(audit, none).await;
        progress::show(&format!(
            "memory: {} of {} s",
            audit.subject.loaded.as_secs(),
            end.as_secs()
        ));
    }

    progress::end();
}

fn print_head(cores: &str) {
    println!("Memory of Envoy (VmRSS) under tracked requests at full speed, one worker; {cores}");
    println!(
        "                      audit filter                                                                  no filter"
    );
    let sight = format!("{:>9} {:>11} {:>10}", "RSS", "since full", "requests/s");
    println!(
        "  {:<18} {sight}  {:>9} {:>9}  {:>16}   {sight}",
        "moment", "captured", "dropped", "in the buffer"
    );
}

async fn print_sights(moment: &str, audit: &mut Watched, none: &mut Watched) {
    let Counts {
        captured,
        dropped,
        held,
        held_bytes,
        ..
    } = audit.subject.counts().await;

    let held = format!("{held} ({:.1} MiB)", held_bytes as f64 / BYTES_PER_MIB);
    let [with, without] = [audit, none].map(|watched| sight(&watched.look()));
    println!("  {moment:<18} {with}  {captured:>9} {dropped:>9}  {held:>16}   {without}");
}

fn sight(Sight { rss, growth, rate }: &Sight) -> String {
    let growth = growth.map_or(String::new(), |growth| format!("{growth:+} KiB"));
    let rate = rate.map_or(String::new(), |rate| format!("{rate:.0}"));
    format!(
        "{:>5.1} MiB {growth:>11} {rate:>10}",
        *rss as f64 / KIB_PER_MIB
    )
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> i64 {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs, on Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("the status has VmRSS");

    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("VmRSS is a number of KiB")
}
