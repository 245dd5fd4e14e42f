//! The cost of the filter on a real Envoy, compared with Envoy's built-in features. How to read it:
//! `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod agreement;
mod groups;
mod own;
mod ratios;

use std::path::Path;

use testkit::bench::measure::{Measured, Size, measure};
use testkit::bench::options::{Count, Program};
use testkit::bench::{artefacts, machine, table};

/// Size limit of the filter's file.
const TARGET_BYTES: u64 = 409_600;

const COUNTS: [Count; 5] = [
    Count {
        name: "--rounds",
        default: 20,
        meaning: "slices of each row",
    },
    Count {
        name: "--requests",
        default: 2000,
        meaning: "requests of a slice at full speed, for the CPU time",
    },
    Count {
        name: "--paced",
        default: 500,
        meaning: "requests of a slice at 4000 a second, for the client's times",
    },
    Count {
        name: "--again",
        default: 5,
        meaning: "how often at most a disturbed slice is taken again",
    },
    Count {
        name: "--repeat",
        default: 1,
        meaning: "measures each group so often, and prints how far the ratios are apart",
    },
];

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let groups = groups::ALL.map(|group| (group.name, group.about));
    let program = Program {
        name: "cost",
        about: "Measures what the filter adds to a request on a real Envoy: CPU time, and the client's time.",
        groups: &groups,
        counts: COUNTS,
        texts: &[],
    };
    let (line, [rounds, requests, paced, again, repeat]) = program.read();
    let size = Size {
        rounds,
        requests,
        paced,
        again,
    };
    println!("{}\n{size}", machine::describe());
    print_sizes();

    for group in groups::ALL.iter().filter(|group| line.picks(group.name)) {
        let mut runs = Vec::new();
        for _ in 0..repeat {
            let measured = measure(group.name, (group.rows)(), size).await;
            table::print(&measured);
            ratios::print(&measured);
            runs.push(measured);
        }
        if repeat > 1 {
            agreement::print(&runs.iter().collect::<Vec<&Measured>>());
        }
    }
}

fn print_sizes() {
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let [full, lean, do_nothing] = [
        artefacts::full(),
        artefacts::lean(),
        artefacts::do_nothing(),
    ]
    .map(size);

    println!(
        "audit: {full} bytes (target: at most {TARGET_BYTES}); lean: {lean} bytes; do-nothing: {do_nothing} bytes\n"
    );
}
