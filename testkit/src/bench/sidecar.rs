//! The shape of a sidecar of Istio: the filter arrives by ECDS with its configuration as a text, and
//! the peers have SPIFFE certificates.

use serde_json::{Value, json};

use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::tls::{Authority, Peer, demand_certificate, uri};
use crate::envoy::xds::Resources;

/// The only trusted peer.
const GATEWAY: &str = "spiffe://cluster.local/ns/istio-ingress/sa/istio-ingressgateway";

/// What such a row needs beside its bootstrap.
pub struct Sidecar {
    authority: Authority,
    /// The file of the filter, if there is one. Envoy watches it.
    _file: Resources,
}

impl Sidecar {
    /// Changes a bootstrap to that shape. A filter in it is trusted by certificate alone.
    pub fn shape(bootstrap: &mut Bootstrap) -> Self {
        let authority = Authority::new();
        *bootstrap = bootstrap.clone().without_peer_note();
        for manager in bootstrap.connection_managers() {
            manager["use_remote_address"] = json!(false);
            manager["forward_client_cert_details"] = json!("APPEND_FORWARD");
        }
        for listener in bootstrap.listeners() {
            demand_certificate(listener, &authority, &authority.validation());
        }

        let file = Resources::new("core.v3.TypedExtensionConfig");
        bootstrap.each_filter("audit", |filter| discover(filter, &file));
        bootstrap.identify();
        Self {
            authority,
            _file: file,
        }
    }

    /// The gateway, as it connects.
    pub fn peer(&self) -> Peer {
        let identity = self.authority.issue([uri(GATEWAY)]);
        Peer::new(&self.authority, Some(&identity), "http/1.1")
    }
}

/// Moves a filter to the file, with its configuration as JSON in a `StringValue`, and without a
/// `vm_id`.
fn discover(filter: &mut Value, file: &Resources) {
    let config = &mut filter["typed_config"]["config"];
    config["vm_config"].as_object_mut().unwrap().remove("vm_id");

    let mut plugin = config["configuration"]["value"].take();
    plugin["trust"] = json!({"cidrs": [], "uri_sans": [GATEWAY]});
    config["configuration"] = json!({"@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": plugin.to_string()});

    file.replace([filter.clone()]);
    *filter = json!({"name": "audit", "config_discovery": {
        "config_source": file.source(),
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }});
}
