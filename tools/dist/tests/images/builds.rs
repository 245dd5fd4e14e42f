//! The same bytes from two builds: another folder, another home of cargo.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{digest_of, released};

/// Folders of the repository that no build reads.
const UNREAD: [&str; 2] = [".git", "target"];
/// What cargo changes in its home for itself.
const OWN: [&str; 4] = [
    ".global-cache",
    ".package-cache",
    ".package-cache-mutate",
    "bin",
];

/// The module, below the top of the repository.
const BUILT: &str = "target/audit_filter.wasm";

/// Files below a folder by their paths.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();

    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            let below = files(&path).into_iter();
            found.extend(below.map(|(file, bytes)| (name.join(file), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if UNREAD.iter().any(|unread| name == *unread) {
            continue;
        }

        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A home of cargo in another place, with the same sources.
fn home(folder: &Path) -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cargo"));
    let other = folder.join("home-of-cargo");
    fs::create_dir(&other).unwrap();

    for entry in fs::read_dir(home).unwrap() {
        let entry = entry.unwrap();
        if !OWN.iter().any(|own| entry.file_name() == *own) {
            symlink(entry.path(), other.join(entry.file_name())).unwrap();
        }
    }
    other
}

fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The repository in another folder, with another home of cargo.
struct Elsewhere {
    place: TempDir,
    tree: PathBuf,
    cargo_home: PathBuf,
}

impl Elsewhere {
    fn new() -> Self {
        let place = TempDir::with_prefix("audit-filter-elsewhere-").unwrap();
        let tree = place.path().join("a").join("sources");
        copy(testkit::tools::root(), &tree);
        let cargo_home = home(place.path());
        Self {
            place,
            tree,
            cargo_home,
        }
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.current_dir(&self.tree).args(arguments);
        command.env_remove("CARGO_TARGET_DIR");
        command.env("CARGO_HOME", &self.cargo_home);
        run(command.env("CARGO_NET_OFFLINE", "true"))
    }
}

#[test]
fn another_folder_and_another_home_make_the_same_bytes() {
    let elsewhere = Elsewhere::new();
    elsewhere.run(&elsewhere.tree.join("wasm-build.sh"), &[]);
    let built = fs::read(elsewhere.tree.join(BUILT)).unwrap();
    let module = fs::read(released().join("audit_filter.wasm")).unwrap();
    assert!(built == module, "the modules differ");

    let out = elsewhere.place.path().join("out");
    let dist = Path::new(env!("CARGO_BIN_EXE_dist"));
    let into = ["--file", BUILT, "--out"];
    let image = ["module", "--name", "audit-filter"];
    let digest = elsewhere.run(
        dist,
        &[&image, &into[..], &[out.to_str().unwrap()]].concat(),
    );
    let expected = format!("sha256:{}", digest_of("audit-filter"));
    assert_eq!(digest.trim_end(), expected);
    let archive = format!("audit-filter-{}.tar", env!("CARGO_PKG_VERSION"));
    assert!(fs::read(out.join(&archive)).unwrap() == fs::read(released().join(&archive)).unwrap());

    let bill = out.join("bill");
    let of = [
        "sbom",
        "--package",
        "audit-filter",
        "--target",
        "wasm32-wasip1",
    ];
    let compiler = compiler();
    let by = [
        "--build",
        "target/audit_filter.build.json",
        "--compiler",
        &compiler,
    ];
    elsewhere.run(
        dist,
        &[&of[..], &by, &into, &[bill.to_str().unwrap()]].concat(),
    );
    let first = released().join("audit_filter.wasm.cdx.json");
    assert!(
        fs::read(bill).unwrap() == fs::read(first).unwrap(),
        "the bills differ"
    );
}

fn compiler() -> String {
    let version = run(Command::new("rustc")
        .arg("--version")
        .current_dir(testkit::tools::root()));
    version.split_whitespace().nth(1).unwrap().to_owned()
}
