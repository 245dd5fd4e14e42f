//! The key that signs checkpoints and cuts, in a file as OpenSSL writes it (PKCS #8, PEM).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{}: not an Ed25519 key in PKCS #8 PEM", .0.display())]
    Format(PathBuf),
    /// The system gives no randomness.
    #[error("no randomness for a new key: {0}")]
    Randomness(String),
    /// A public key is not 64 hex digits that name a point of the curve.
    #[error("a public key is 64 hex digits")]
    Public,
}

impl KeyError {
    fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Self::File { cause, .. } if cause.kind() == kind)
    }
}

/// A key that signs.
#[derive(Clone)]
pub struct Key {
    key: SigningKey,
    id: String,
}

/// A key that checks signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl Key {
    /// Reads the key in `file`, or creates it when there is no such file. Only its owner may read a
    /// created file.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn load_or_create(file: &Path) -> Result<Self, KeyError> {
        match Self::load(file) {
            Err(error) if error.is(io::ErrorKind::NotFound) => match Self::create(file) {
                // Another process was faster.
                Err(error) if error.is(io::ErrorKind::AlreadyExists) => Self::load(file),
                created => created,
            },
            loaded => loaded,
        }
    }

    /// Reads the key in `file`.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn load(file: &Path) -> Result<Self, KeyError> {
        let pem = fs::read_to_string(file).map_err(|cause| KeyError::File {
            file: file.to_owned(),
            cause,
        })?;
        SigningKey::from_pkcs8_pem(&pem)
            .map(Self::from)
            .map_err(|_| KeyError::Format(file.to_owned()))
    }

    fn create(file: &Path) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(&random()?);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Format(file.to_owned()))?;

        let unfinished = hex::encode(random::<8>()?);
        write_new(file, &unfinished, pem.as_bytes()).map_err(|cause| KeyError::File {
            file: file.to_owned(),
            cause,
        })?;

        Ok(Self::from(key))
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// See [`PublicKey::id`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs `statement` (RFC 8032, Ed25519).
    pub fn sign(&self, statement: &[u8]) -> [u8; 64] {
        self.key.sign(statement).to_bytes()
    }
}

impl From<SigningKey> for Key {
    fn from(key: SigningKey) -> Self {
        let id = PublicKey(key.verifying_key()).id();
        Self { key, id }
    }
}

impl PublicKey {
    /// Reads 64 hex digits.
    ///
    /// # Errors
    ///
    /// [`KeyError::Public`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = hex::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(KeyError::Public)?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| KeyError::Public)
    }

    /// 64 hex digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// Names the key: the first 16 hex digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = hex::encode(Sha256::digest(self.0.as_bytes()));
        id.truncate(16);
        id
    }

    /// Whether `signature` is valid for `statement` and this key.
    pub fn verifies(&self, statement: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify(statement, &signature).is_ok())
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Randomness(error.to_string()))?;
    Ok(bytes)
}

/// Writes the file under a temporary name and links it when it is whole: half a key is worse than
/// none. The temporary name is random: in a container, a restarted process has the same process id
/// again.
fn write_new(file: &Path, suffix: &str, content: &[u8]) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(format!(".{suffix}"));

    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;

    let written = new.write_all(content).and_then(|()| new.sync_all());
    // Unlike a rename, a hard link does not replace the key that another process has just made.
    let named = written.and_then(|()| fs::hard_link(&unfinished, file));

    fs::remove_file(&unfinished)?;
    named
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_key_is_kept_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let made = Key::load_or_create(&file).unwrap();
        let read = Key::load_or_create(&file).unwrap();

        assert_eq!(made.public(), read.public());
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn keys_that_are_made_at_once_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let make = || Key::load_or_create(&file).unwrap().public();

        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });

        assert!(made.iter().all(|key| *key == make()), "{made:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_was_half_made_by_a_process_with_the_same_id_is_no_hindrance() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        fs::write(
            directory
                .path()
                .join(format!("key.pem.{}", std::process::id())),
            "-----BEGIN",
        )
        .unwrap();

        Key::load_or_create(&file).unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            Key::load_or_create(&file),
            Err(KeyError::Format(_))
        ));
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_statement() {
        let key = Key::from(SigningKey::from_bytes(&[7; 32]));
        let signature = key.sign(b"statement");

        assert!(key.public().verifies(b"statement", &signature));
        assert!(!key.public().verifies(b"statement.", &signature));
        assert!(!key.public().verifies(b"statement", &signature[..63]));
        assert!(
            !Key::from(SigningKey::from_bytes(&[8; 32]))
                .public()
                .verifies(b"statement", &signature)
        );
    }

    #[test]
    fn a_public_key_comes_back_from_its_digits() {
        let public = Key::from(SigningKey::from_bytes(&[7; 32])).public();
        assert_eq!(PublicKey::from_hex(&public.to_hex()).unwrap(), public);
        for text in ["", "zz", "00", &format!("{}00", public.to_hex())] {
            assert!(PublicKey::from_hex(text).is_err(), "{text}");
        }
    }
}
