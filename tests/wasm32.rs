//! The core's unit tests and the simulation, compiled for wasm32 as the filter is, with overflow
//! checks: values of `usize` have 32 bits there, and 64 natively.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; the lint's exception covers test functions only, not their helpers"
)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// Fewer than natively: a seed takes longer here, and the worlds are the same.
const SEEDS: &str = "500";
/// Upper bound of the output of any run, in bytes.
const MOST_OUTPUT: usize = 16 << 20;

/// The test program for this target, unit tests or simulation.
fn program(name: &str) -> PathBuf {
    static MESSAGES: OnceLock<Vec<Value>> = OnceLock::new();
    let messages = MESSAGES.get_or_init(build);
    let of_target =
        |message: &&Value| message["target"]["name"] == name && message["executable"].is_string();
    let message = messages.iter().find(of_target).unwrap();
    PathBuf::from(message["executable"].as_str().unwrap())
}

fn build() -> Vec<Value> {
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "test",
        "--quiet",
        "--locked",
        "--lib",
        "--test",
        "simulation",
        "--no-run",
    ]);
    build.args(["--target", "wasm32-wasip1", "--message-format", "json"]);

    let output = build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cannot be built; is there the target? rustup target add wasm32-wasip1"
    );

    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Runs a test program to its end. Its imports from Envoy trap: no unit test calls them.
fn run(name: &str, variables: &[(&str, &str)]) -> String {
    let engine = Engine::default();
    let module = Module::from_file(&engine, program(name)).unwrap();
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |context| context).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();

    let output = MemoryOutputPipe::new(MOST_OUTPUT);
    let mut system = WasiCtxBuilder::new();
    system
        .args(&[name])
        .envs(variables)
        .stdout(output.clone())
        .stderr(output.clone());

    let mut store = Store::new(&engine, system.build_p1());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .unwrap();
    let ended = start.call(&mut store, ());
    drop(store);

    let text = String::from_utf8_lossy(&output.contents()).into_owned();
    let code = ended.err().map_or(Some(0), |error| {
        error.downcast_ref::<I32Exit>().map(|exit| exit.0)
    });
    assert_eq!(code, Some(0), "{name} has failed:\n{text}");

    text
}

#[test]
fn unit_tests_pass() {
    let text = run("audit_filter", &[]);
    assert!(
        text.contains("test result: ok.") && !text.contains("running 0 tests"),
        "{text}"
    );
}

#[test]
fn every_record_is_accounted_for() {
    let text = run("simulation", &[("SIMULATION_SEEDS", SEEDS)]);
    assert!(text.contains("1 passed"), "{text}");
}
