//! The programs under test, fetched and built once a test run by the repository's scripts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The Envoy binary.
pub fn envoy() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| PathBuf::from(last_line("envoy/get-envoy.sh")))
}

/// The Envoy binary of this version, pinned like the default one.
pub fn envoy_of(version: &str) -> PathBuf {
    PathBuf::from(last_line_of("envoy/get-envoy.sh", &[version]))
}

/// The filter as shipped.
pub fn wasm() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    if is_lean() {
        lean_wasm()
    } else {
        PATH.get_or_init(|| root().join(last_line("wasm-build.sh")))
    }
}

/// Whether the scenarios run the lean artefact.
pub fn is_lean() -> bool {
    std::env::var_os("AUDIT_FILTER_ARTEFACT").is_some_and(|artefact| artefact == "lean")
}

/// The filter without callbacks on responses.
pub fn lean_wasm() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| root().join(last_line_of("wasm-build.sh", &["--lean"])))
}

/// The filter that traps on demand by a header.
pub fn crashing_wasm() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| root().join(last_line_of("wasm-build.sh", &["--crashing"])))
}

/// The directory of the programs that cargo has built with the profile of this test program.
pub fn profile_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let directory = program.ancestors().nth(2);
    directory
        .expect("the program is in the directory of its dependencies")
        .to_owned()
}

/// The directory of all that cargo builds.
pub fn target_directory() -> PathBuf {
    let directory = profile_directory();
    let target = directory.parent();
    target.expect("there is one for each profile").to_owned()
}

/// Another filter of the workspace, built by its package name.
pub fn built(package: &str) -> PathBuf {
    let directory = target_directory();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--locked", "--release"]);

    cargo
        .args([
            "--package",
            package,
            "--target",
            "wasm32-wasip1",
            "--target-dir",
        ])
        .arg(&directory);

    assert!(
        cargo.status().unwrap().success(),
        "{package} cannot be built"
    );

    directory.join(format!(
        "wasm32-wasip1/release/{}.wasm",
        package.replace('-', "_")
    ))
}

/// The directory of the Python packages in `tests/requirements.txt`.
pub fn python_packages() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| PathBuf::from(last_line("tests/get-python.sh")))
}

/// The last line that a script of the repository prints: the path of what it has found or fetched.
pub fn last_line(script: &str) -> String {
    last_line_of(script, &[])
}

/// The same for a script with arguments.
pub fn last_line_of(script: &str, arguments: &[&str]) -> String {
    let output = Command::new("bash")
        .arg(root().join(script))
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{script} cannot be run: {error}"));
    assert!(output.status.success(), "{script} failed");

    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .last()
        .expect("the script prints a path")
        .to_owned()
}
