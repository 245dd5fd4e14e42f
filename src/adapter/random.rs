//! Randomness of the host.

use uuid::{Builder, Uuid};

/// Random bytes.
///
/// # Errors
/// One sentence, when the host has none.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        format!("configuration refused: no randomness from the host (random_get): {error}")
    })?;
    Ok(bytes)
}

/// A UUIDv4.
///
/// # Errors
/// As [`bytes`].
pub(super) fn uuid() -> Result<Uuid, String> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}
