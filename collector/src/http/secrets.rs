//! Tokens, certificates and authorities of clients. They are read at the start, and again when a
//! file changes or SIGHUP arrives, so that replacing them needs no restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::http::auth::{Access, TokenError, Tokens};
use crate::http::tls::{self, Files, TlsError};

/// How often the files are checked; Kubernetes takes a minute or so to update a changed Secret in a
/// pod.
const LOOK: Duration = Duration::from_secs(2);

/// Why a file cannot be used. No content of the file is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The flag of a file with tokens, and what is wrong with the file.
    #[error("{0}: {1}")]
    Tokens(&'static str, TokenError),
    /// The certificate, its key, or the authorities.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Files with tokens; without one, no token is required.
#[derive(Clone, Debug, Default)]
pub struct TokenFiles {
    /// For clients that send records.
    pub ingest: Option<PathBuf>,
    /// For clients that read.
    pub read: Option<PathBuf>,
}

/// The last valid content of the files.
pub struct Current {
    /// Required tokens.
    pub access: watch::Receiver<Access>,
    /// `None`: plain HTTP.
    pub tls: Option<watch::Receiver<TlsAcceptor>>,
}

/// The files, and the channels for their content.
pub struct Secrets {
    tokens: TokenFiles,
    files: Option<Files>,
    access: watch::Sender<Access>,
    tls: Option<watch::Sender<TlsAcceptor>>,
}

impl Secrets {
    /// Reads all files for the first time.
    ///
    /// # Errors
    ///
    /// See [`SecretsError`].
    pub fn read(tokens: TokenFiles, files: Option<Files>) -> Result<(Self, Current), SecretsError> {
        let (access, seen_access) = watch::channel(tokens.access()?);
        let (tls, seen_tls) = files
            .as_ref()
            .map(tls::acceptor)
            .transpose()?
            .map(watch::channel)
            .unzip();

        let current = Current {
            access: seen_access,
            tls: seen_tls,
        };

        Ok((
            Self {
                tokens,
                files,
                access,
                tls,
            },
            current,
        ))
    }

    /// Reads the files again after a change, and at each signal. Unusable files change nothing: a
    /// certificate and its key are seldom replaced in one moment.
    pub async fn keep_up(self, mut signal: Signal) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.state();

        loop {
            let is_signalled = tokio::select! {
                received = signal.recv() => received.is_some(),
                _ = looks.tick() => false,
            };

            let state = self.state();
            if is_signalled || state != seen {
                seen = state;
                self.read_anew();
            }
        }
    }

    fn read_anew(&self) {
        match self.try_read_anew() {
            Ok(()) => info!("tokens and certificates were read anew"),
            Err(error) => warn!("tokens and certificates stay as they are: {error}"),
        }
    }

    fn try_read_anew(&self) -> Result<(), SecretsError> {
        let access = self.tokens.access()?;
        if let (Some(files), Some(current)) = (&self.files, &self.tls) {
            current.send_replace(tls::acceptor(files)?);
        }
        self.access.send_replace(access);
        Ok(())
    }

    /// Modification time and length of each file. Links are followed: Kubernetes changes a link.
    fn state(&self) -> Vec<Option<(SystemTime, u64)>> {
        let of_tls = self.files.iter().flat_map(
            |Files {
                 certificate,
                 key,
                 client_ca,
             }| {
                [
                    Some(certificate.as_path()),
                    Some(key.as_path()),
                    client_ca.as_deref(),
                ]
            },
        );

        let all = [self.tokens.ingest.as_deref(), self.tokens.read.as_deref()]
            .into_iter()
            .chain(of_tls);

        all.flatten()
            .map(|path| {
                fs::metadata(path)
                    .and_then(|data| Ok((data.modified()?, data.len())))
                    .ok()
            })
            .collect()
    }
}

impl TokenFiles {
    fn access(&self) -> Result<Access, SecretsError> {
        Ok(Access {
            ingest: tokens("--ingest-token-file", self.ingest.as_deref())?,
            read: tokens("--read-token-file", self.read.as_deref())?,
        })
    }
}

fn tokens(flag: &'static str, file: Option<&Path>) -> Result<Option<Tokens>, SecretsError> {
    file.map(Tokens::from_file)
        .transpose()
        .map_err(|error| SecretsError::Tokens(flag, error))
}
