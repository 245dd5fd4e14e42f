//! The `.wasm` files that are compared, each built once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::support::tools;

/// The filter with every feature.
pub fn full() -> &'static Path {
    tools::wasm()
}

/// The filter without what costs every request; `None` where `wasm-build.sh` cannot build it.
pub fn lean() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| {
        let mut build = Command::new("bash");
        build.arg(tools::root().join("wasm-build.sh")).arg("--lean").stderr(Stdio::inherit());
        let output = build.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().filter(|_| output.status.success()).map(|path| tools::root().join(path))
    })
    .as_deref()
}

/// The filter that does nothing.
pub fn do_nothing() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--locked", "--release"]);
        cargo.args(["--package", "do-nothing", "--target", "wasm32-wasip1", "--target-dir"]).arg(directory);
        assert!(cargo.status().unwrap().success(), "do-nothing cannot be built");
        directory.join("wasm32-wasip1/release/do_nothing.wasm")
    })
}
