//! How the cost of the filter grows with its work. How to read it: `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod buffered;
mod curve;
mod groups;

use testkit::bench::measure::{Size, measure};
use testkit::bench::options::{Count, Program};
use testkit::bench::{machine, table};

const COUNTS: [Count; 3] = [
    Count {
        name: "--rounds",
        default: 20,
        meaning: "slices of each row",
    },
    Count {
        name: "--requests",
        default: 2000,
        meaning: "requests of a slice; a slice of the group buffered has 1000",
    },
    Count {
        name: "--again",
        default: 5,
        meaning: "how often at most a disturbed slice is taken again; none of buffered is",
    },
];

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut names = groups::ALL.map(|group| (group.name, group.about)).to_vec();
    names.push((buffered::NAME, buffered::ABOUT));
    let program = Program {
        name: "growth",
        about: "Measures how the cost of the filter on a real Envoy grows with one quantity.",
        groups: &names,
        counts: COUNTS,
        texts: &[],
    };
    let (line, [rounds, requests, again]) = program.read();
    let size = Size {
        rounds,
        requests,
        paced: 0,
        again,
    };
    println!("{}\n{size}\n", machine::describe());

    for group in groups::ALL.iter().filter(|group| line.picks(group.name)) {
        let measured = measure(group.name, (group.rows)(), size).await;
        table::print(&measured);
        curve::print(&measured);
    }

    if line.picks(buffered::NAME) {
        buffered::run(size.rounds).await;
    }
}
