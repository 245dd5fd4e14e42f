//! The `.wasm` files that are compared, each built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::support::tools;

/// The filter with every feature.
pub fn full() -> &'static Path {
    tools::wasm()
}

/// The filter without callbacks on responses.
pub fn lean() -> &'static Path {
    tools::lean_wasm()
}

/// The filter that does nothing.
pub fn do_nothing() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("do-nothing"))
}

/// The filter that makes host calls and nothing else.
pub fn bare_calls() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("bare-calls"))
}

fn build(package: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--locked", "--release"]);
    cargo.args(["--package", package, "--target", "wasm32-wasip1", "--target-dir"]).arg(directory);
    assert!(cargo.status().unwrap().success(), "{package} cannot be built");
    directory.join(format!("wasm32-wasip1/release/{}.wasm", package.replace('-', "_")))
}
