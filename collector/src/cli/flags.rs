//! The command line.

use std::path::PathBuf;

use audit_collector::http::admission;
use audit_collector::http::secrets::TokenFiles;
use audit_collector::http::tls;
use audit_collector::logs::Form;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use super::{offline, token_ref};
use crate::check;
use crate::cli::ledger_flags::LedgerFlags;

/// Takes audit records over OTLP/HTTP and keeps each of them once.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) flags: ServeFlags,
}

/// Other commands of the program.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Reports what is wrong with configurations of the filter, and what they mean; exit code 1 if
    /// one would be refused
    CheckConfig(check::Flags),
    /// Prints the reference of a token that stdin holds, to search the records for it
    TokenRef(token_ref::Flags),
    /// Checks whether records are missing and whether the ledger was tampered with; exit code 1 if
    /// so
    Verify(offline::verify::Flags),
    /// Prints the signed checkpoints, one JSON object a line, to be kept elsewhere
    Checkpoints(offline::checkpoints::Flags),
    /// Prints a document that proves one record to a reader without the ledger; docs/verify.py checks
    /// it
    Prove(offline::prove::Flags),
    /// States whether two ledgers have the same rows or one is the beginning of the other; exit code
    /// 1 if they differ
    Compare(offline::compare::Flags),
    /// Prints all records, in the order in which they were stored
    Export(offline::export::Flags),
    /// Copies the ledger to a new SQLite file and verifies the copy; a collector may write meanwhile
    Backup(offline::backup::BackupFlags),
    /// Copies such a file to a new SQLite file or to an empty PostgreSQL database, and verifies the
    /// copy
    Restore(offline::backup::RestoreFlags),
    /// Carries a ledger of the earlier format over to a new database, and verifies it; goes on where it
    /// was ended
    Migrate(offline::migrate::Flags),
    /// Empties the views (sessions, signals, usage, streams), so that the collector makes them anew
    /// from the records
    RebuildViews(offline::rebuild::Flags),
}

// No doc comments on these: clap would print them in place of that of the program.
#[derive(Args)]
pub(crate) struct ServeFlags {
    /// Address or name, and port, to listen on; of the addresses of a name the first that is free;
    /// port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4318", value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) ledger: LedgerFlags,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    #[command(flatten)]
    pub(crate) access: AccessFlags,
    #[command(flatten)]
    pub(crate) tls: TlsFlags,
    #[command(flatten)]
    pub(crate) logs: LogFlags,
}

#[derive(Args)]
pub(crate) struct LimitFlags {
    /// Most bytes of a request body, as sent and after decompression
    #[arg(long, default_value_t = admission::Limits::DEFAULT.max_body_bytes, value_name = "BYTES")]
    pub(crate) max_body_bytes: usize,
    /// Most requests to store records at once; more are answered with 429
    #[arg(long, default_value_t = admission::Limits::DEFAULT.max_requests, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_requests: usize,
    /// Most bytes of their bodies at once; more is answered with 503
    #[arg(long, default_value_t = admission::Limits::DEFAULT.max_inflight_bytes, value_name = "BYTES")]
    pub(crate) max_inflight_bytes: usize,
    /// Most open connections; more wait until one ends
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_connections: usize,
}

#[derive(Args)]
pub(crate) struct AccessFlags {
    /// File with the bearer tokens, one a line, one of which senders of records must have; read
    /// anew when it changes
    #[arg(long, value_name = "FILE")]
    ingest_token_file: Option<PathBuf>,
    /// The same for readers; they may give theirs as password, too
    #[arg(long, value_name = "FILE")]
    read_token_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TlsFlags {
    /// File with the certificate chain (PEM), read anew when it changes; without it the collector
    /// speaks plain HTTP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with the private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File with the authorities (PEM) one of which must have signed the certificate of each client
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct LogFlags {
    /// Least important log lines to write to stderr: error, warn, info, debug, trace or off
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: LevelFilter,
    /// How log lines are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl LimitFlags {
    pub(crate) fn limits(&self) -> admission::Limits {
        admission::Limits {
            max_body_bytes: self.max_body_bytes,
            max_requests: self.max_requests,
            max_inflight_bytes: self.max_inflight_bytes,
            ..admission::Limits::DEFAULT
        }
    }
}

impl AccessFlags {
    pub(crate) fn files(self) -> TokenFiles {
        TokenFiles {
            ingest: self.ingest_token_file,
            read: self.read_token_file,
        }
    }
}

impl TlsFlags {
    pub(crate) fn has_client_ca(&self) -> bool {
        self.client_ca.is_some()
    }

    /// `None` for plain HTTP.
    pub(crate) fn files(self) -> Option<tls::Files> {
        let (certificate, key) = self.tls_cert.zip(self.tls_key)?;
        Some(tls::Files {
            certificate,
            key,
            client_ca: self.client_ca,
        })
    }
}

impl LogFlags {
    pub(crate) fn form(&self) -> Form {
        match self.log_format {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
        }
    }
}

/// The name is resolved when the port is bound.
fn host_and_port(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err("must be an address or a name, a colon and a port".to_owned());
    }
    Ok(text.to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
