//! The `.wasm` files under comparison, each built once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::tools;

/// The first bytes of every WebAssembly module (its specification, section 5.5.16).
const MAGIC: &[u8] = b"\0asm";

/// A build of the filter, as the name of a row begins.
#[derive(Clone, Debug)]
pub struct Build {
    /// `audit`, `lean`, or `other 1` and so on.
    pub name: String,
    /// Its module.
    pub wasm: PathBuf,
}

impl Build {
    /// The filter with every feature: `audit`.
    pub fn full() -> Self {
        Self {
            name: "audit".to_owned(),
            wasm: full().to_owned(),
        }
    }

    /// The filter without callbacks on responses: `lean`.
    pub fn lean() -> Self {
        Self {
            name: "lean".to_owned(),
            wasm: lean().to_owned(),
        }
    }

    /// A build from elsewhere, such as the one before a change: `other NUMBER`.
    ///
    /// # Errors
    /// When the file cannot be read, or is no WebAssembly module.
    pub fn other(number: usize, path: &str) -> Result<Self, String> {
        let wasm = fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?;
        let bytes = fs::read(&wasm).map_err(|error| format!("{path}: {error}"))?;
        if !bytes.starts_with(MAGIC) {
            return Err(format!("{path}: not a WebAssembly module"));
        }

        let name = format!("other {number}");
        Ok(Self { name, wasm })
    }
}

/// The filter with every feature.
pub fn full() -> &'static Path {
    tools::wasm()
}

/// The filter without callbacks on responses.
pub fn lean() -> &'static Path {
    tools::lean_wasm()
}

/// The filter that does nothing.
pub fn do_nothing() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| tools::built("do-nothing"))
}

/// The filter that makes host calls and nothing else.
pub fn bare_calls() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| tools::built("bare-calls"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_must_be_a_module() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other.wasm");
        let text = path.to_str().unwrap();
        assert_eq!(
            Build::other(1, text).unwrap_err(),
            format!("{text}: No such file or directory (os error 2)")
        );

        fs::write(&path, "text").unwrap();
        assert_eq!(
            Build::other(1, text).unwrap_err(),
            format!("{text}: not a WebAssembly module")
        );

        fs::write(&path, MAGIC).unwrap();
        assert_eq!(Build::other(2, text).unwrap().name, "other 2");
    }
}
