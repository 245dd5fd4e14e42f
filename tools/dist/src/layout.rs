//! An image on disk: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;

use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, Digest, ImageIndexBuilder, ImageManifest, MediaType,
    OciLayoutBuilder,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::archive::{self, PLAIN};
use crate::image::VERSION;

/// Name by which containerd and Docker file a loaded image.
const ANNOTATION_LOADED_NAME: &str = "io.containerd.image.name";

/// Files by their paths in the layout.
pub(crate) struct Layout {
    files: BTreeMap<String, Vec<u8>>,
    digest: String,
}

/// Bytes with their media type.
pub(crate) struct Blob {
    media_type: MediaType,
    bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: MediaType, bytes: Vec<u8>) -> Self {
        Self { media_type, bytes }
    }

    pub(crate) fn descriptor(&self) -> Result<Descriptor, String> {
        let digest = Digest::from_str(&digest(&self.bytes)).map_err(|error| error.to_string())?;
        let size = self.bytes.len() as u64;
        Ok(Descriptor::new(self.media_type.clone(), size, digest))
    }

    fn path(&self) -> String {
        format!("blobs/{}", digest(&self.bytes).replace(':', "/"))
    }
}

impl Layout {
    /// Its index lists this one manifest. Tools that know no layouts read the archive by the file
    /// `manifest.json`, as `docker load` of all versions does.
    pub(crate) fn new(
        name: &str,
        manifest: &ImageManifest,
        config: Blob,
        layer: Blob,
    ) -> Result<Self, String> {
        let tag = format!("{name}:{VERSION}");
        let loaded =
            json!([{"Config": config.path(), "Layers": [layer.path()], "RepoTags": [tag]}]);
        let manifest = Blob::new(MediaType::ImageManifest, sorted_json(manifest)?);

        let mut listed = manifest.descriptor()?;
        listed.set_annotations(Some(HashMap::from([
            (ANNOTATION_REF_NAME.to_owned(), VERSION.to_owned()),
            (ANNOTATION_LOADED_NAME.to_owned(), tag),
        ])));
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![listed])
            .build()
            .map_err(|error| error.to_string())?;
        let version = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()
            .map_err(|error| error.to_string())?;

        let digest = digest(&manifest.bytes);
        let mut files = BTreeMap::from([
            ("index.json".to_owned(), sorted_json(&index)?),
            ("manifest.json".to_owned(), sorted_json(&loaded)?),
            ("oci-layout".to_owned(), sorted_json(&version)?),
        ]);
        files.extend([manifest, config, layer].map(|blob| (blob.path(), blob.bytes)));
        Ok(Self { files, digest })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.files.iter();
        files.map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    pub(crate) fn archive(&self) -> Result<Vec<u8>, String> {
        archive::tar(self.files(), PLAIN)
    }

    /// `sha256:` and the hexadecimal digest of the manifest.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The types have maps without an order; a JSON value has one.
pub(crate) fn sorted_json(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
    serde_json::to_vec(&value).map_err(|error| error.to_string())
}
