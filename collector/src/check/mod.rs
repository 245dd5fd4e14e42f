//! The command `check-config`: runs the filter's own parser on a configuration before it is
//! delivered. Istio and Envoy Gateway accept any configuration, and their proxies refuse it later.

mod build;
mod configuration;
mod explain;
mod hops;
mod json;
mod keys;
mod lints;
mod manifest;
mod node;
mod paths;
mod reader;
mod report;
mod request;
mod scalar;
mod secrets;
mod variables;
mod yaml;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use audit_filter::config::{self, Config, ConfigError};
use clap::{Args, ValueEnum};

use hops::Hops;
use manifest::Plugin;
use node::Remark;
use report::{Finding, Report, Severity, Shown};
use request::RequestLine;
use yaml::FileForm;

/// Most bytes of a file: a manifest of 10,000 lines has some 400 KB.
const MAX_BYTES: u64 = 16 << 20;

/// The file name that means stdin.
const STDIN: &str = "-";

// No doc comment: clap would print it in place of that of the command.
#[derive(Args)]
pub(crate) struct Flags {
    /// Files with configurations: plain, of Envoy, Istio (`WasmPlugin`, `TrafficExtension`,
    /// `EnvoyFilter`) or Envoy Gateway (`EnvoyExtensionPolicy`), in YAML or JSON; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also prints each configuration with its defaults
    #[arg(long)]
    explain: bool,
    /// Also prints which rule a request would meet, and why not the others: 'POST /v1/x'
    #[arg(long, value_name = "METHOD TARGET")]
    request: Option<RequestLine>,
    /// A header of that request, `name: value`; may be given several times
    #[arg(long, value_name = "HEADER", requires = "request", value_parser = request::header)]
    header: Vec<(String, String)>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    /// One object a line for each finding
    Json,
}

/// Why some files have no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("no verdict of {0} of {1} files")]
    Unreadable(usize, usize),
    #[error("stdout: {0}")]
    Stdout(#[from] io::Error),
}

/// Prints all findings. Returns whether every configuration would be accepted.
pub(crate) fn run(flags: &Flags) -> Result<bool, CheckError> {
    let mut report = Report::new(matches!(flags.format, Format::Json));
    let mut unreadable = 0;
    let mut hops = Hops::default();

    for file in &flags.files {
        if let Err((line, text)) = check_file(file, flags, &mut hops, &mut report)? {
            unreadable += 1;
            report.add(&Finding {
                file,
                line,
                plugin: None,
                severity: Severity::Unreadable,
                text: &text,
            })?;
        }
    }

    if unreadable == 0 && !report.has_errors() {
        check_hops(&hops, &mut report)?;
    }

    report.finish()?;
    match unreadable {
        0 => Ok(!report.has_errors()),
        count => Err(CheckError::Unreadable(count, flags.files.len())),
    }
}

fn check_hops(hops: &Hops, report: &mut Report) -> io::Result<()> {
    hops.unrecorded().try_for_each(|rule| {
        report.add(&Finding {
            file: rule.file,
            line: rule.line,
            plugin: Some(rule.plugin),
            severity: Severity::Warning,
            text: "set_tracking: no other configuration here records tracked requests",
        })
    })
}

/// The outer error is of stdout.
fn check_file(
    file: &Path,
    flags: &Flags,
    hops: &mut Hops,
    report: &mut Report,
) -> io::Result<Result<(), Remark>> {
    let plugins = match plugins_of(file) {
        Ok(plugins) => plugins,
        Err(trouble) => return Ok(Err(trouble)),
    };

    for plugin in &plugins {
        check(file, plugin, flags, hops, report)?;
    }
    Ok(Ok(()))
}

fn plugins_of(file: &Path) -> Result<Vec<Plugin>, Remark> {
    let text = read(file).map_err(|error| (0, error))?;
    let documents =
        yaml::read(&text, FileForm::of(file)).map_err(|error| (error.line, error.text))?;
    let plugins: Vec<Plugin> = documents.iter().flat_map(manifest::plugins).collect();

    if plugins.is_empty() {
        let kinds: Vec<&str> = documents
            .iter()
            .filter_map(|document| document.get("kind")?.text())
            .collect();
        let what = if kinds.is_empty() {
            String::new()
        } else {
            format!(" (it has: {})", kinds.join(", "))
        };
        return Err((1, format!("no configuration of the filter{what}")));
    }

    Ok(plugins)
}

fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if file == Path::new(STDIN) {
        io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };

    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("is no UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

fn check(
    file: &Path,
    plugin: &Plugin,
    flags: &Flags,
    hops: &mut Hops,
    report: &mut Report,
) -> io::Result<()> {
    for (line, sentence) in plugin.refused.iter().chain(&lints::refused(plugin)) {
        report.add(&finding(file, plugin, *line, Severity::Error, sentence))?;
    }

    let (config, problems) = verdict(plugin);
    for (severity, text) in &problems {
        let line = line_of(plugin, text);
        report.add(&finding(file, plugin, line, *severity, text))?;
    }
    if let Some(config) = config {
        for warning in &config.warnings {
            let line = line_of(plugin, warning);
            report.add(&finding(file, plugin, line, Severity::Warning, warning))?;
        }
        hops.add(file.to_owned(), &plugin.name, &config, |path| {
            plugin.configuration.line_of(path)
        });
        show(file, plugin, &config, flags, report)?;
    }

    for (line, text) in lints::of(plugin) {
        report.add(&finding(file, plugin, line, Severity::Warning, &text))?;
    }
    Ok(())
}

fn finding<'f>(
    file: &'f Path,
    plugin: &'f Plugin,
    line: usize,
    severity: Severity,
    text: &'f str,
) -> Finding<'f> {
    Finding {
        file,
        line,
        plugin: Some(&plugin.name),
        severity,
        text,
    }
}

/// The configuration, if the filter may accept it, and what is wrong with it.
///
/// A value that only the running proxy has is not judged. The others are, in a second reading
/// without those that the first one refuses.
fn verdict(plugin: &Plugin) -> (Option<Config>, Vec<(Severity, String)>) {
    let mut problems = Vec::new();
    let bytes = plugin.configuration.bytes();
    let error = match parse(plugin, &bytes) {
        Ok(config) => return (Some(config), problems),
        Err(error) => error,
    };

    let mut value = plugin.configuration.value();
    for problem in error.problems {
        let path = path_of(&problem);
        let Some(name) = unknown_variable(plugin, &problem) else {
            problems.push((Severity::Error, problem));
            continue;
        };
        let sentence =
            format!("{path}: is not checked, since only the running proxy has the value of {name}");
        paths::remove(&mut value, path);
        problems.push((Severity::Warning, sentence));
    }

    let is_refused = problems
        .iter()
        .any(|(severity, _)| *severity == Severity::Error);
    let again = || parse(plugin, value.to_string().as_bytes());
    match (!is_refused).then(again) {
        Some(Ok(config)) => (Some(config), problems),
        Some(Err(error)) => {
            let more = error.problems.into_iter();
            problems.extend(more.map(|problem| (Severity::Error, problem)));
            (None, problems)
        }
        None => (None, problems),
    }
}

fn parse(plugin: &Plugin, bytes: &[u8]) -> Result<Config, ConfigError> {
    let config = config::parse(bytes, &|name: &str| plugin.variables.value(name))?;
    if plugin.is_lean {
        config::lean::check(config)
    } else {
        Ok(config)
    }
}

/// Problems that no value of a variable mends.
const CERTAIN: [&str; 7] = [
    "unknown key",
    "stands twice",
    "environment variable",
    "has a \"${",
    "must be true or false",
    "must be a list",
    "must be an object",
];

/// The variable whose value decides about a problem.
fn unknown_variable(plugin: &Plugin, problem: &str) -> Option<String> {
    let (path, sentence) = problem.split_once(": ")?;
    if CERTAIN.iter().any(|start| sentence.starts_with(start)) {
        return None;
    }
    let text = plugin.configuration.text_at(path)?;
    plugin.variables.first_unknown(text).map(str::to_owned)
}

/// A sentence of the parser begins with the path.
fn path_of(sentence: &str) -> &str {
    sentence.split_once(": ").map_or("", |(path, _)| path)
}

fn line_of(plugin: &Plugin, sentence: &str) -> usize {
    plugin.configuration.line_of(path_of(sentence))
}

fn show(
    file: &Path,
    plugin: &Plugin,
    config: &Config,
    flags: &Flags,
    report: &mut Report,
) -> io::Result<()> {
    let shown = |kind| Shown {
        file,
        plugin: &plugin.name,
        kind,
    };
    if flags.explain {
        report.show(
            &shown("effective"),
            &explain::effective(&plugin.configuration),
        )?;
    }

    if let Some(line) = &flags.request {
        let lines = request::findings(config, line, &flags.header);
        report.show(&shown("request"), &lines.join("\n"))?;
    }
    Ok(())
}
