//! The cost of the filter on a real Envoy, compared with Envoy's built-in features. How to read it:
//! `benches/README.md`.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

mod agreement;
mod groups;
mod own;
mod ratios;

use std::fs;

use testkit::bench::artefacts::{self, Build};
use testkit::bench::measure::{Measured, Size, measure};
use testkit::bench::options::{Count, Program, Text, fail};
use testkit::bench::{machine, table};

/// Size limit of the filter's file.
const TARGET_BYTES: u64 = 409_600;
/// Other builds in one run: more rows would make a round too long to compare its slices.
const MOST_OTHERS: usize = 2;
const AGAINST: &str = "--against";

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
const TEXTS: [Text; 1] = [Text {
    name: AGAINST,
    value: "WASM",
    meaning: "another build of the filter to compare with; may be given twice",
}];

// One thread: load generator, sink and upstream share one core, Envoy has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let groups = groups::ALL.map(|group| (group.name, group.about));
    let program = Program {
        name: "cost",
        about: "Measures what the filter adds to a request on a real Envoy: CPU time, and the client's time.",
        groups: &groups,
        counts: COUNTS,
        texts: &TEXTS,
    };
    let (line, [rounds, requests, paced, again, repeat]) = program.read();
    let others = others(line.values(AGAINST)).unwrap_or_else(|mistake| fail(&mistake));
    let size = Size {
        rounds,
        requests,
        paced,
        again,
    };
    println!("{}\n{size}", machine::describe());
    print_sizes(&others);

    for group in groups::ALL.iter().filter(|group| line.picks(group.name)) {
        let mut runs = Vec::new();
        for _ in 0..repeat {
            let measured = measure(group.name, (group.rows)(&others), size).await;
            table::print(&measured);
            ratios::print(&measured);
            runs.push(measured);
        }
        if repeat > 1 {
            agreement::print(&runs.iter().collect::<Vec<&Measured>>());
        }
    }
}

fn others<'a>(paths: impl Iterator<Item = &'a str>) -> Result<Vec<Build>, String> {
    let builds: Vec<Build> = (1..)
        .zip(paths)
        .map(|(number, path)| Build::other(number, path))
        .collect::<Result<_, _>>()
        .map_err(|mistake| format!("{AGAINST} {mistake}"))?;

    if builds.len() > MOST_OTHERS {
        return Err(format!("{AGAINST} may be given {MOST_OTHERS} times"));
    }
    Ok(builds)
}

fn print_sizes(others: &[Build]) {
    let do_nothing = Build {
        name: "do-nothing".to_owned(),
        wasm: artefacts::do_nothing().to_owned(),
    };
    println!("target of audit: at most {TARGET_BYTES} bytes");

    for build in [&[Build::full(), Build::lean(), do_nothing], others].concat() {
        let bytes = fs::metadata(&build.wasm).unwrap().len();
        println!("{}: {bytes} bytes, {}", build.name, build.wasm.display());
    }
    println!();
}
