//! What is measured at a size beside questions: bytes, memory, exports, `verify`.

use std::io;

use testkit::{now, quantile};

use crate::build::Build;
use crate::database::Kind;
use crate::state::State;
use crate::transfer;

/// Formats of exports.
pub const FORMATS: [&str; 2] = ["ndjson", "parquet"];
/// How often exports and `verify` are repeated, unless that takes more seconds in all.
const ROUNDS: usize = 3;
const BUDGET: f64 = 120.0;

/// Ends the programs in order, and keeps the bytes of their ledgers.
pub fn bytes(state: &mut State, builds: &mut [Build], kind: Kind, size: u64) {
    for build in builds {
        // After a kill the program must first put the database in order.
        build.program();
        build.stop();
        let bytes = build.database.bytes() as f64 / size as f64;
        state.set(&build.key(kind, size, "bytes"), bytes);
    }
}

/// Records a second of each export.
pub fn exports(state: &mut State, builds: &mut [Build], kind: Kind, size: u64) {
    for format in FORMATS {
        let rates = rates(builds, size, |build| {
            let path = format!("/api/records?format={format}");
            let bytes = transfer::get(build.program().address, &path, &mut io::sink());
            assert!(bytes.unwrap() > 0, "the export is empty");
        });
        for (build, rate) in builds.iter().zip(rates) {
            state.set(&build.key(kind, size, format), rate);
        }
    }
}

/// Keeps the peak of the memory that questions and exports took, and ends the programs.
pub fn peak(state: &mut State, builds: &mut [Build], kind: Kind, size: u64) {
    for build in builds {
        let peak = build.peak();
        build.stop();
        state.set(&build.key(kind, size, "peak of questions"), peak as f64);
    }
}

/// Records a second of `verify`, from its start to its end.
pub fn verify(state: &mut State, builds: &mut [Build], kind: Kind, size: u64) {
    let rates = rates(builds, size, |build| {
        let output = build.verify().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", build.name);
    });
    for (build, rate) in builds.iter().zip(rates) {
        state.set(&build.key(kind, size, "verify"), rate);
    }
}

/// The median rates of what all builds do by turns.
fn rates(builds: &mut [Build], size: u64, mut act: impl FnMut(&mut Build)) -> Vec<f64> {
    let mut rates = vec![Vec::new(); builds.len()];
    let start = now();

    for turn in 0..ROUNDS {
        for place in 0..builds.len() {
            let index = (place + turn) % builds.len();
            let begin = now();
            act(&mut builds[index]);
            rates[index].push(size as f64 / begin.elapsed().as_secs_f64());
        }
        if start.elapsed().as_secs_f64() > BUDGET * builds.len() as f64 {
            break;
        }
    }
    rates.iter().map(|rates| quantile(rates, 0.5)).collect()
}
