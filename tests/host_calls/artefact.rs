//! The modules that are shipped, each built and compiled once.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use wasmtime::{Config, Engine, Module};

use super::budgets::{Budget, FULL, LEAN};

pub(crate) struct Artefact {
    pub(crate) name: &'static str,
    pub(crate) module: Module,
    /// The budget of each case. A case without a budget does not apply to this module.
    pub(crate) budgets: &'static [Budget],
}

/// Every module that is shipped.
pub(crate) fn artefacts() -> &'static [Artefact] {
    static ARTEFACTS: OnceLock<Vec<Artefact>> = OnceLock::new();

    ARTEFACTS.get_or_init(|| {
        let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
        let artefact = |name, flags: &[&str], budgets| {
            let module = Module::new(&engine, build(flags)).unwrap();
            Artefact {
                name,
                module,
                budgets,
            }
        };

        vec![
            artefact("full", &[], FULL),
            artefact("lean", &["--lean"], LEAN),
        ]
    })
}

/// The module with all features.
pub(crate) fn full() -> &'static Artefact {
    &artefacts()[0]
}

fn build(flags: &[&str]) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut build = Command::new("bash");
    build
        .arg("wasm-build.sh")
        .args(flags)
        .current_dir(root)
        .stderr(Stdio::inherit());
    let output = build.output().unwrap();
    assert!(output.status.success(), "wasm-build.sh failed");

    let path = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    std::fs::read(Path::new(root).join(path)).unwrap()
}
