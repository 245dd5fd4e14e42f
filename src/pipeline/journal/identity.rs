//! Which stream this is, and which others may take over from it.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::pipeline::settings::Settings;

/// Which stream this is, for those that may take over from it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The VM that it lives in.
    pub vm: Uuid,
    /// The stream itself.
    pub stream: Uuid,
    /// Equal for streams that send the same to the same place.
    pub(in crate::pipeline) kin: u64,
    /// Equal for configurations of one plugin, over its updates, that write batches alike.
    pub(in crate::pipeline) plugin: u64,
}

impl Identity {
    /// `plugin`: the plugin's name in Envoy's configuration.
    #[must_use]
    pub fn new(vm: Uuid, stream: Uuid, plugin: &[u8], settings: &Settings) -> Self {
        // The two VMs may run different builds, so their hashes must not depend on one.
        let hash: [u8; 32] = Sha256::new_with_prefix(settings.target.format.content_type())
            .chain_update(plugin)
            .finalize()
            .into();
        let plugin = hash
            .first_chunk()
            .map_or(0, |start| u64::from_le_bytes(*start));
        Self {
            vm,
            stream,
            kin: settings.kin(),
            plugin,
        }
    }
}
