//! The quick starts: short, and each command runs, with stand-ins for what needs a cluster.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::documents::root;

/// Most lines of a section, beside empty ones and its heading.
const MAX_LINES: usize = 15;
const DIGEST: &str = "da982e8df5c1584e6683888030236f5383d809d58868c772d24e122eaac928e8";
/// What is not run: clients of a cluster, of a registry and of a daemon, and Envoy.
const STAND_INS: [&str; 4] = ["docker", "envoy", "kubectl", "skopeo"];

/// Succeeds if the files that its arguments name exist.
const STAND_IN: &str = r#"#!/usr/bin/env bash
set -euo pipefail
needed() { [[ -e "$1" ]] || { echo "${0##*/}: no file $1" >&2; exit 1; }; }
while (($#)); do
  case $1 in
  -f | --file | --input | --patch-file | --config-path) needed "$2" ;;
  -k) needed "$2/kustomization.yaml" ;;
  --from-file=*) needed "${1##*=}" ;;
  oci-archive:*) image=${1#oci-archive:} && needed "${image%:*}" ;;
  esac
  shift
done
"#;

/// The collector as a program that does not serve: it must know the flags.
const COLLECTOR: &str = r#"#!/usr/bin/env bash
[[ "$1" == check-config ]] && exec "$COLLECTOR" "$@" || exec "$COLLECTOR" "$@" --help >/dev/null
"#;

/// The heading and the text of each section.
fn sections() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("../docs/quick-start.md")).unwrap();
    let sections = text.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (heading, text) = section.split_once('\n').unwrap();
            (heading.to_owned(), text.to_owned())
        })
        .collect()
}

/// Its commands, all in the foreground, so that each can fail: the stand-ins do not serve.
fn commands(section: &str) -> String {
    let block = section.split("```sh\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    block.replace(" &\n", "\n")
}

fn write_program(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A folder with the names of a release.
fn release() -> TempDir {
    let folder = TempDir::with_prefix("audit-filter-quick-start-").unwrap();
    let path = folder.path();
    copy(&root(), &path.join("deploy"));
    symlink(root().join("../envoy"), path.join("envoy")).unwrap();
    write_program(&path.join("audit-collector"), COLLECTOR);
    for archive in ["audit-collector", "audit-filter"] {
        fs::write(
            path.join(format!("{archive}-{}.tar", env!("CARGO_PKG_VERSION"))),
            "",
        )
        .unwrap();
    }
    let digests = format!(
        "file  {0} audit_filter.wasm\nimage {DIGEST} audit-filter\n",
        DIGEST.replace('d', "0")
    );
    fs::write(path.join("DIGESTS"), digests).unwrap();

    fs::create_dir(path.join("bin")).unwrap();
    for program in STAND_INS {
        write_program(&path.join("bin").join(program), STAND_IN);
    }
    folder
}

/// Runs commands in the folder of a release.
fn run(release: &Path, commands: &str) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(release)
        .env("PATH", format!("{}:{path}", release.join("bin").display()))
        .env("COLLECTOR", env!("CARGO_BIN_EXE_audit-collector"))
        .output()
        .unwrap();

    let out = [output.stdout, output.stderr].map(|out| String::from_utf8(out).unwrap());
    if output.status.success() {
        Ok(())
    } else {
        Err(out.concat())
    }
}

#[test]
fn each_platform_has_a_short_section() {
    let sections = sections();
    let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Envoy",
            "Kubernetes",
            "Istio",
            "Envoy Gateway",
            "Docker Compose"
        ]
    );

    for (name, text) in &sections {
        let lines = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with("```"));
        let count = lines.count();
        assert!(count <= MAX_LINES, "{name} has {count} lines");
    }
}

/// In the order of the page: later sections use files of earlier ones.
#[test]
fn each_command_runs() {
    let release = release();
    for (name, text) in sections() {
        let ran = run(release.path(), &commands(&text));
        assert_eq!(ran, Ok(()), "{name}");
    }

    for file in [
        "istio/wasm-plugin/ingress.yaml",
        "istio/wasm-plugin/sidecars.yaml",
        "envoy-gateway/policy.yaml",
    ] {
        let text = fs::read_to_string(release.path().join("deploy").join(file)).unwrap();
        assert!(text.contains(&format!("sha256: \"{DIGEST}\"")), "{file}");
    }
}

#[test]
fn a_wrong_command_does_not_run() {
    let release = release();

    for wrong in [
        "kubectl apply -k deploy/istio/wasm-plugins",
        "kubectl -n audit create secret generic audit-filter --from-file=tokens",
        "skopeo copy oci-archive:audit-filter.tar:0.1.0 docker://registry.example.com/audit-filter",
        "docker compose --file deploy/compose.yaml up",
        "./audit-collector --port 4318",
        "./audit-collector check-config deploy/istio/common/collector.yaml",
    ] {
        assert!(run(release.path(), wrong).is_err(), "{wrong}");
    }
}
