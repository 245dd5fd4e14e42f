//! The pipeline in virtual time under random traffic, a hostile audit cluster and crashing VMs. In
//! all cases each record is accounted for, memory stays bounded, and losses are reported.
//!
//! Beside it, workers of one process that assign numbers to a common session.
//!
//! `SIMULATION_SEEDS=n` runs more seeds, `SIMULATION_SEED=s` replays one.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod collector;
#[cfg(not(target_family = "wasm"))]
mod correlation;
mod host;
mod settings;
mod shared;
mod worker;
mod world;

use audit_filter::stats::Counter;
use world::World;

const DEFAULT_SEEDS: u64 = 10_000;
const STEPS: usize = 100;
/// Counters of the recorder, which the simulation does not run.
const OF_REQUESTS: [Counter; 7] = [
    Counter::Excluded,
    Counter::Ambiguous,
    Counter::SkippedEmptyContext,
    Counter::HeadersStripped,
    Counter::HeadersSpoofed,
    Counter::RequestsSeen,
    Counter::JournalRefused,
];

type Totals = [u64; Counter::ALL.len()];

#[test]
fn every_record_is_accounted_for() {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    if let Some(seed) = variable("SIMULATION_SEED") {
        run(seed);
        return;
    }

    let seeds = variable("SIMULATION_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let totals = if cfg!(target_family = "wasm") {
        run_all(0..seeds)
    } else {
        run_in_threads(seeds)
    };

    for (total, (counter, name)) in totals.into_iter().zip(Counter::ALL) {
        assert!(
            total > 0 || OF_REQUESTS.contains(&counter),
            "no seed has ever counted {name}"
        );
    }
}

fn run_in_threads(seeds: u64) -> Totals {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let shares: Vec<_> = (0..threads)
        .map(|first| std::thread::spawn(move || run_all((first..seeds).step_by(threads as usize))))
        .collect();
    let mut totals = Totals::default();

    for share in shares {
        add(
            &mut totals,
            share.join().expect("a seed has failed; it is named above"),
        );
    }

    totals
}

fn run_all(seeds: impl Iterator<Item = u64>) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        let on_failure = PrintSeed(seed);
        add(&mut totals, run(seed).totals());
        std::mem::forget(on_failure);
    }
    totals
}

fn add(totals: &mut Totals, more: Totals) {
    totals
        .iter_mut()
        .zip(more)
        .for_each(|(total, more)| *total += more);
}

/// Prints the seed when a run panics.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        eprintln!(
            "seed {0} failed; replay it with SIMULATION_SEED={0}",
            self.0
        );
    }
}

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }

    // Only some seeds: it takes as long as the rest of the run.
    if seed.is_multiple_of(8) {
        world.heal_and_rest();
    }

    world.heal_and_end();
    world.check_end();
    world
}
