//! The rules by which Istio and Envoy Gateway load an image, over a layout in place of a registry.
//!
//! Made from pkg/wasm/{cache,imagefetcher}.go of istio/istio (2026-08-22), from
//! internal/wasm/{cache,imagefetcher}.go of envoyproxy/gateway (2026-08-21), and from
//! go-containerregistry, by which both resolve an index. Their rules are the same, and so are the
//! messages but for line breaks. A reference without a digest, credentials and caches are left out.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The layer of the variant `oci`: the module as it is.
const MODULE: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const NAME: &str = "registry.example.com/audit-filter:0.1.0";

/// What a platform gets: the module, or its error.
pub(crate) fn loaded(layout: &Path, sha256: &str) -> Result<Vec<u8>, String> {
    let layout = Layout(layout.to_owned());
    let digest = layout.image().map_err(|error| {
        format!("could not fetch Wasm OCI image: could not fetch image: {error}")
    })?;
    if digest != format!("sha256:{sha256}") {
        let hex = digest.trim_start_matches("sha256:");
        return Err(format!(
            "module downloaded from oci://{NAME} has checksum {hex}, which does not match: {sha256}"
        ));
    }

    let module = layout
        .module(&layout.json(&digest))
        .map_err(|error| format!("could not fetch Wasm binary: {error}"))?;
    if module.len() < 8 || !module.starts_with(b"\0asm") {
        return Err(format!("fetched Wasm binary from oci://{NAME} is invalid"));
    }
    Ok(module)
}

struct Layout(PathBuf);

impl Layout {
    fn blob(&self, digest: &str) -> Vec<u8> {
        let bytes = fs::read(self.0.join("blobs").join(digest.replace(':', "/"))).unwrap();
        let found = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        assert_eq!(found, digest, "a blob has the name of its digest");
        bytes
    }

    fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }

    /// Digest of the manifest for linux/amd64. The layout's own index stands for the registry's
    /// tags, so only an index that it lists is one of platforms.
    fn image(&self) -> Result<String, String> {
        let index: Value =
            serde_json::from_slice(&fs::read(self.0.join("index.json")).unwrap()).unwrap();
        let tagged = &index["manifests"][0];
        if tagged["mediaType"] != INDEX {
            return Ok(text(&tagged["digest"]).to_owned());
        }

        let platforms = self.json(text(&tagged["digest"]));
        let fits = |child: &&Value| {
            let platform = &child["platform"];
            platform.is_null() || (platform["os"] == "linux" && platform["architecture"] == "amd64")
        };
        let child = platforms["manifests"].as_array().unwrap().iter().find(fits);
        child
            .map(|child| text(&child["digest"]).to_owned())
            .ok_or_else(|| format!("no child with platform linux/amd64 in index {NAME}"))
    }

    fn module(&self, manifest: &Value) -> Result<Vec<u8>, String> {
        if manifest["mediaType"] == DOCKER_MANIFEST {
            return self.packed(manifest, DOCKER_LAYER).map_err(|error| {
                format!("could not extract Wasm file from the image as Docker container {error}")
            });
        }

        self.packed(manifest, LAYER).or_else(|packed| {
            self.plain(manifest).map_err(|plain| {
                format!(
                    "the given image is in invalid format as an OCI image: could not parse as compat variant: \
                     {packed}; could not parse as oci variant: {plain}"
                )
            })
        })
    }

    /// The file in the archive that the last layer is.
    fn packed(&self, manifest: &Value, expected: &str) -> Result<Vec<u8>, String> {
        let layer = layers(manifest).last();
        let layer = layer.ok_or("number of layers must be greater than zero")?;
        let found = text(&layer["mediaType"]);
        if found != expected {
            return Err(format!("invalid media type {found} (expect {expected})"));
        }
        unpacked(&self.blob(text(&layer["digest"])))
            .map_err(|error| format!("could not extract wasm binary: {error}"))
    }

    fn plain(&self, manifest: &Value) -> Result<Vec<u8>, String> {
        let layers = layers(manifest);
        if layers.len() != 2 {
            return Err(format!(
                "number of layers must be 2 but got {}",
                layers.len()
            ));
        }

        let layer = layers.iter().find(|layer| layer["mediaType"] == MODULE);
        let layer = layer.ok_or_else(|| format!("could not find the layer of type {MODULE}"))?;
        Ok(self.blob(text(&layer["digest"])))
    }
}

fn layers(manifest: &Value) -> &[Value] {
    manifest["layers"].as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unpacked(layer: &[u8]) -> Result<Vec<u8>, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    let entries = archive.entries().map_err(|error| error.to_string())?;

    for entry in entries {
        let mut entry =
            entry.map_err(|error| format!("failed to parse layer as tar.gz: {error}"))?;
        if entry
            .path()
            .unwrap()
            .file_name()
            .is_some_and(|name| name == "plugin.wasm")
        {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).unwrap();
            return Ok(module);
        }
    }
    Err("plugin.wasm not found in the archive".to_owned())
}
