//! The owner of a slot: a stream and its VM, by which others may take over from it.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::pipeline::settings::PipelineSettings;

/// A stream and its VM, as they are in the directory.
#[derive(Clone, Debug)]
pub struct StreamOwner {
    /// Its VM.
    pub vm: Uuid,
    /// The stream itself.
    pub stream: Uuid,
    /// The destination fingerprint: equal for streams that send alike to the same audit cluster.
    pub(in crate::pipeline) destination: u64,
    /// Equal for configurations of one plugin, over its updates, that write batches alike.
    pub(in crate::pipeline) plugin: u64,
}

impl StreamOwner {
    /// `plugin`: the plugin's name in Envoy's configuration.
    #[must_use]
    pub fn new(vm: Uuid, stream: Uuid, plugin: &[u8], settings: &PipelineSettings) -> Self {
        // VMs may run different builds, so the hash must not depend on the build.
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
            destination: settings.destination(),
            plugin,
        }
    }
}
