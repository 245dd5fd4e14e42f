//! The machine of a measurement. Costs depend on it, and so do their ratios.

use std::fs;
use std::process::Command;

use crate::tools;

/// What a value is called where it cannot be read.
const UNKNOWN: &str = "unknown";
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// CPU model, cores, clock source, kernel, and the version of Envoy, in one line.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();

    format!(
        "{}; {cores} cores; clock source {}; Linux {}; Envoy {}",
        model(&cpus),
        line_of(CLOCK),
        line_of("/proc/sys/kernel/osrelease"),
        envoy_version()
    )
}

/// The name, and the numbers that name the design where a virtual machine hides it.
fn model(cpus: &str) -> String {
    let value = |key: &str| {
        let mut lines = cpus.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| name.trim() == key);
        found.map_or(UNKNOWN, |(_, value)| value.trim())
    };
    format!(
        "{}, family {}, model {}",
        value("model name"),
        value("cpu family"),
        value("model")
    )
}

fn line_of(path: &str) -> String {
    let text = fs::read_to_string(path);
    text.map_or(UNKNOWN.to_owned(), |text| text.trim().to_owned())
}

fn envoy_version() -> String {
    let output = Command::new(tools::envoy()).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok()
        .and_then(|text| version(&text).map(str::to_owned))
        .unwrap_or(UNKNOWN.to_owned())
}

/// `envoy --version` prints `PROGRAM  version: COMMIT/VERSION/...`.
fn version(text: &str) -> Option<&str> {
    text.split_once("version: ")?.1.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_the_first_core() {
        let core = |model: &str| {
            format!(
                "processor\t: 0\ncpu family\t: 26\nmodel\t\t: {model}\nmodel name\t: EPYC: 9755\n\n"
            )
        };
        let cpus = core("2") + &core("3");
        assert_eq!(model(&cpus), "EPYC: 9755, family 26, model 2");
        assert_eq!(model(""), "unknown, family unknown, model unknown");
    }

    #[test]
    fn the_version_follows_the_commit() {
        let text = "\n/usr/bin/envoy  version: 0a1b2c/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version(text), Some("1.40.0"));
        assert_eq!(version("envoy"), None);
    }
}
