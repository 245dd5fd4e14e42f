//! The `audit-collector` program: reads its command line and ends with an exit code for the result.

mod check;
mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;

use audit_collector::time::now_unix_nano;
use check::CheckError;
use clap::Parser as _;
use cli::flags::{Command, CommandLine};
use cli::offline::{self, OfflineError};
use cli::program::{self, StartError};
use cli::token_ref::{self, TokenRefError};

/// Exit code for flags that cannot be used; the same that clap uses.
const EXIT_USAGE: u8 = 2;

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("check-config: {0}")]
    Check(#[from] CheckError),
    #[error("token-ref: {0}")]
    TokenRef(#[from] TokenRefError),
    #[error(transparent)]
    Offline(#[from] OfflineError),
}

fn main() -> ExitCode {
    match run(CommandLine::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A failure is ignored: with stderr closed, there is no place left for the message.
            let _ = writeln!(io::stderr(), "audit-collector: {error}");
            exit_code(&error)
        }
    }
}

/// Whether all is well.
fn run(CommandLine { command, flags }: CommandLine) -> Result<bool, RunError> {
    match command {
        Some(Command::CheckConfig(flags)) => return Ok(check::run(&flags)?),
        Some(Command::TokenRef(flags)) => token_ref::run(flags)?,
        Some(Command::Verify(flags)) => {
            return Ok(offline::verify::run(flags, now_unix_nano())?);
        }
        Some(Command::Checkpoints(flags)) => offline::checkpoints::run(&flags)?,
        Some(Command::Prove(flags)) => offline::prove::run(&flags)?,
        Some(Command::Compare(flags)) => return Ok(offline::compare::run(&flags)?),
        Some(Command::Export(flags)) => offline::export::run(&flags)?,
        Some(Command::Backup(flags)) => {
            return Ok(offline::backup::backup(&flags, now_unix_nano())?);
        }
        Some(Command::Restore(flags)) => {
            return Ok(offline::backup::restore(&flags, now_unix_nano())?);
        }
        Some(Command::Migrate(flags)) => {
            return Ok(offline::migrate::run(&flags, now_unix_nano())?);
        }
        Some(Command::RebuildViews(flags)) => offline::rebuild::run(&flags)?,
        None => program::run(flags)?,
    }

    Ok(true)
}

fn exit_code(error: &RunError) -> ExitCode {
    let is_usage = match error {
        RunError::Start(error) => error.is_usage(),
        RunError::TokenRef(error) => error.is_usage(),
        // Exit code 1 means a finding in the ledger or in a configuration.
        RunError::Offline(_) | RunError::Check(_) => true,
    };

    if is_usage {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::FAILURE
    }
}
