//! The command `token-ref`: computes the reference of a known token, to search for it. It uses the
//! filter's own code.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::{env, fs};

use audit_filter::recorder::token::{HmacKey, MIN_HMAC_KEY_BYTES, TokenMode};
use clap::{Args, ValueEnum};

/// Arguments of the command line: neither the token nor the key, since other users of the machine
/// can see them.
#[derive(Args)]
pub(crate) struct Flags {
    /// How the filter records tokens, `session.token_mode`
    #[arg(long, value_enum, default_value_t = Mode::Hmac)]
    mode: Mode,
    /// Id of the key in `session.hmac_keys`; needed for hmac
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Environment variable that holds the key
    #[arg(long, value_name = "NAME", default_value = "AUDIT_HMAC_KEY")]
    key_env: OsString,
    /// File that holds the key; a newline at its end does not count
    #[arg(long, value_name = "PATH", conflicts_with = "key_env")]
    key_file: Option<PathBuf>,
    /// Taken so that a refusal does not repeat it
    #[arg(hide = true)]
    token: Option<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Hmac,
    Sha256,
}

/// Why there is no reference. No variant holds an argument: it may be a secret in the wrong place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenRefError {
    #[error("the token is read from stdin, not from the command line")]
    TokenOnCommandLine,
    #[error("stdin: there is no token")]
    NoToken,
    #[error("stdin: {0}")]
    Stdin(io::Error),
    #[error("--key-id is missing; it is the id of a key in the filter's session.hmac_keys")]
    NoKeyId,
    #[error("--key-env: there is no such environment variable")]
    NoKey,
    #[error("--key-file: {0}")]
    KeyFile(io::Error),
    #[error("the key has {0} bytes, and must have at least {MIN_HMAC_KEY_BYTES}")]
    ShortKey(usize),
    #[error("stdout: {0}")]
    Stdout(io::Error),
}

impl TokenRefError {
    /// Whether other flags or another input are needed.
    pub(crate) fn is_usage(&self) -> bool {
        !matches!(self, Self::Stdin(_) | Self::Stdout(_))
    }
}

/// Prints the reference of the token that stdin holds.
pub(crate) fn run(flags: Flags) -> Result<(), TokenRefError> {
    if flags.token.is_some() {
        return Err(TokenRefError::TokenOnCommandLine);
    }

    let mode = match flags.mode {
        Mode::Hmac => TokenMode::Hmac(key(flags)?),
        Mode::Sha256 => TokenMode::Sha256,
    };

    // Only `TokenMode::Omit` has no reference.
    let reference = mode.reference(&token()?).unwrap_or_default();
    writeln!(io::stdout(), "{reference}").map_err(TokenRefError::Stdout)
}

fn key(flags: Flags) -> Result<HmacKey, TokenRefError> {
    let id = flags.key_id.ok_or(TokenRefError::NoKeyId)?;

    let key = match flags.key_file {
        Some(path) => without_newline(fs::read(path).map_err(TokenRefError::KeyFile)?),
        None => env::var_os(flags.key_env)
            .ok_or(TokenRefError::NoKey)?
            .into_vec(),
    };

    if key.len() < MIN_HMAC_KEY_BYTES {
        return Err(TokenRefError::ShortKey(key.len()));
    }
    HmacKey::new(&id, &key).ok_or(TokenRefError::ShortKey(key.len()))
}

fn token() -> Result<Vec<u8>, TokenRefError> {
    let mut token = Vec::new();
    io::stdin()
        .read_to_end(&mut token)
        .map_err(TokenRefError::Stdin)?;

    let token = without_newline(token);
    if token.is_empty() {
        Err(TokenRefError::NoToken)
    } else {
        Ok(token)
    }
}

/// Without the one newline that editors and `echo` put at the end.
fn without_newline(mut text: Vec<u8>) -> Vec<u8> {
    text.pop_if(|last| *last == b'\n');
    text
}
