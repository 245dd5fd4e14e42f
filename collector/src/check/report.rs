//! The output: a line for each finding, as text or as JSON.

use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Accepted, but hardly intended.
    Warning,
    /// The filter refuses the configuration.
    Error,
    /// There is no verdict.
    Unreadable,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unreadable => "unreadable",
        }
    }
}

pub(super) struct Finding<'f> {
    pub(super) file: &'f Path,
    /// 0: of the whole file.
    pub(super) line: usize,
    pub(super) plugin: Option<&'f str>,
    pub(super) severity: Severity,
    pub(super) text: &'f str,
}

/// A text beside the findings, and what it is about.
pub(super) struct Shown<'s> {
    pub(super) file: &'s Path,
    pub(super) plugin: &'s str,
    /// `effective` or `request`.
    pub(super) kind: &'s str,
}

pub(super) struct Report {
    is_json: bool,
    errors: usize,
    warnings: usize,
}

impl Report {
    pub(super) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            errors: 0,
            warnings: 0,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn add(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let Finding {
            file,
            line,
            plugin,
            severity,
            text,
        } = finding;

        match severity {
            Severity::Warning => self.warnings += 1,
            Severity::Error | Severity::Unreadable => self.errors += 1,
        }

        let (file, severity, mut out) = (file.display(), severity.as_str(), io::stdout().lock());
        if self.is_json {
            let line = Some(line).filter(|line| **line > 0);
            let object = json!({
                "file": file.to_string(), "line": line, "plugin": plugin, "severity": severity, "message": text,
            });
            return writeln!(out, "{object}");
        }

        let plugin = plugin.map(|name| format!(" {name}:")).unwrap_or_default();
        // Names and keys may contain line breaks.
        writeln!(
            out,
            "{}",
            format!("{file}:{line}:{plugin} {severity}: {text}").replace(['\n', '\r'], " ")
        )
    }

    /// Prints what the flags request beside the findings.
    pub(super) fn show(&self, shown: &Shown<'_>, text: &str) -> io::Result<()> {
        let Shown { file, plugin, kind } = shown;
        let mut out = io::stdout().lock();
        if self.is_json {
            let file = file.display().to_string();
            let object = json!({"file": file, "plugin": plugin, "kind": kind, "text": text});
            return writeln!(out, "{object}");
        }

        writeln!(out, "{plugin}: {kind}")?;
        text.lines().try_for_each(|line| writeln!(out, "  {line}"))
    }

    pub(super) fn finish(&self) -> io::Result<()> {
        if self.is_json {
            return Ok(());
        }
        writeln!(
            io::stdout(),
            "{} errors, {} warnings",
            self.errors,
            self.warnings
        )
    }
}
