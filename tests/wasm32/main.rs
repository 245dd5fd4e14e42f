//! The core's unit tests and the simulation, compiled for wasm32 as the filter is, with overflow
//! checks: values of `usize` have 32 bits there, and 64 natively.
#![cfg(test)]

mod system;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use system::System;
use wasmtime::{Engine, Module, Store};

/// Fewer than natively: a seed takes longer here, and the worlds are the same.
const SEEDS: &str = "SIMULATION_SEEDS=500";

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
fn run(name: &str, variables: &[&str]) -> String {
    let engine = Engine::default();
    let module = Module::from_file(&engine, program(name)).unwrap();
    let mut linker = system::linker(&engine).unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();

    let mut store = Store::new(&engine, System::new(&[name], variables));
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .unwrap();
    let ended = start.call(&mut store, ());

    let system = store.into_data();
    let text = String::from_utf8_lossy(&system.output).into_owned();
    let is_success = ended.is_ok() || system.exit_code == Some(0);
    assert!(is_success, "{name} has failed: {ended:?}\n{text}");

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
    let text = run("simulation", &[SEEDS]);
    assert!(text.contains("1 passed"), "{text}");
}
