//! The images of the artefacts: one manifest for linux/amd64 and one layer.
//!
//! Istio (pkg/wasm/imagefetcher.go) and Envoy Gateway (internal/wasm/imagefetcher.go) read the file
//! `plugin.wasm` out of the last layer, which must be a gzip archive. They compare `sha256` with the
//! digest of the manifest for linux/amd64. An index above it would have a digest of its own that no
//! platform compares.

use std::collections::HashMap;

use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_TITLE, ANNOTATION_VERSION, Arch,
    Config, ConfigBuilder, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os,
    RootFsBuilder,
};

use crate::archive::{self, EXECUTABLE, PLAIN};
use crate::layout::{Blob, Layout, digest, sorted_json};

/// Version of everything that is released together.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

const LICENCE: &str = "Apache-2.0";
/// The unprivileged user of `deploy/kubernetes/`.
const USER: &str = "65532:65532";

/// Annotations of a module beside those of OCI. The first is that of
/// <https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>.
const OF_MODULES: [(&str, &str); 4] = [
    ("module.wasm.image/variant", "compat"),
    ("proxy-wasm.abi", "0.2.1"),
    // FAIL_RELOAD came with 1.33.
    ("envoy.minimum", "1.33"),
    ("envoy.tested", "1.36.4, 1.38.2, 1.40.0"),
];

/// An image before it is laid out.
pub(crate) struct Image {
    name: String,
    /// The only file.
    file: (&'static str, Vec<u8>, u32),
    config: Config,
    annotations: HashMap<String, String>,
}

/// `plugin.wasm`, as both platforms look for it.
pub(crate) fn module(name: &str, bytes: Vec<u8>) -> Image {
    let description = "Proxy-wasm audit filter for Envoy, Istio and Envoy Gateway";
    let mut annotations = annotations(name, description);
    annotations.extend(OF_MODULES.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Image {
        name: name.to_owned(),
        file: ("plugin.wasm", bytes, PLAIN),
        config: Config::default(),
        annotations,
    }
}

/// A static program on nothing: no shell, no authorities, an unprivileged user.
pub(crate) fn program(name: &str, bytes: Vec<u8>) -> Image {
    let description = "Reference collector for audit-filter";
    let config = ConfigBuilder::default()
        .user(USER)
        .exposed_ports(vec!["4318/tcp".to_owned()])
        .entrypoint(vec!["/audit-collector".to_owned()])
        .build();

    Image {
        name: name.to_owned(),
        file: ("audit-collector", bytes, EXECUTABLE),
        config: config.unwrap_or_default(),
        annotations: annotations(name, description),
    }
}

fn annotations(name: &str, description: &str) -> HashMap<String, String> {
    let pairs = [
        (ANNOTATION_TITLE, name),
        (ANNOTATION_DESCRIPTION, description),
        (ANNOTATION_LICENSES, LICENCE),
        (ANNOTATION_VERSION, VERSION),
    ];

    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

impl Image {
    pub(crate) fn layout(self) -> Result<Layout, String> {
        let (name, bytes, mode) = self.file;
        let content = archive::tar([(name, bytes.as_slice())], mode)?;
        let layer = Blob::new(MediaType::ImageLayerGzip, archive::gzip(&content)?);

        let files = RootFsBuilder::default()
            .typ("layers")
            .diff_ids(vec![digest(&content)])
            .build()
            .map_err(|error| error.to_string())?;
        let config = ImageConfigurationBuilder::default()
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .config(self.config)
            .rootfs(files)
            .build()
            .map_err(|error| error.to_string())?;
        let config = Blob::new(MediaType::ImageConfig, sorted_json(&config)?);

        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor()?)
            .layers(vec![layer.descriptor()?])
            .annotations(self.annotations)
            .build()
            .map_err(|error| error.to_string())?;
        Layout::new(&self.name, &manifest, config, layer)
    }
}
