//! A mesh with mutual TLS on its gRPC listener.

use std::net::{Ipv4Addr, SocketAddr};

use rcgen::SanType;
use serde_json::{Value, json};
use testkit::Mesh;
use testkit::audit::sink::Sink;
use testkit::client::{CallError, GrpcAnswer, GrpcOptions, grpc_call};
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::mesh::{METHOD, list};
use testkit::envoy::tls::{Authority, Identity, Tunnel, demand_certificate};

use super::ALL;

/// The mesh, and the authority of all its certificates.
pub struct MutualMesh {
    pub mesh: Mesh,
    pub authority: Authority,
    pub listener: SocketAddr,
    /// The target of `mesh.grpc`: markers are sent with a certificate without names.
    _unnamed: Tunnel,
}

impl MutualMesh {
    /// A gRPC listener that verifies certificates. Only these prefixes of URI SANs are trusted, and
    /// no addresses.
    pub async fn trusting(uri_sans: &Value) -> Self {
        Self::start(
            &json!({"cidrs": ["192.0.2.0/24"], "uri_sans": uri_sans}),
            Authority::validation,
            |_| {},
        )
        .await
    }

    /// Any `trust`, any `validation_context`, and any change of the bootstrap.
    pub async fn start(
        trust: &Value,
        validation: impl Fn(&Authority) -> Value,
        change: impl FnOnce(&mut Bootstrap),
    ) -> Self {
        let authority = Authority::new();
        let plugin = json!({"batch": {"max_delay": "50ms"}, "trust": trust});
        let mut bootstrap = Bootstrap::shipped().with_plugin(&plugin);
        demand_certificate(
            grpc_listener(&mut bootstrap),
            &authority,
            &validation(&authority),
        );
        change(&mut bootstrap);

        let mut mesh = Mesh::with_bootstrap(bootstrap, Sink::start().await, 1).await;
        let listener = mesh.grpc;
        let unnamed = authority.issue([]);
        let tunnel = Tunnel::open(
            listener,
            &authority,
            Some(&unnamed),
            "http/1.1",
            Ipv4Addr::LOCALHOST,
        )
        .await;
        mesh.grpc = tunnel.addr();

        Self {
            mesh,
            authority,
            listener,
            _unnamed: tunnel,
        }
    }

    /// A tunnel to the gRPC listener with this certificate.
    pub async fn tunnel(&self, identity: Option<&Identity>) -> Tunnel {
        Tunnel::open(
            self.listener,
            &self.authority,
            identity,
            "h2",
            Ipv4Addr::LOCALHOST,
        )
        .await
    }

    /// One call with [`ALL`] and more headers.
    pub async fn call(
        &self,
        identity: Option<&Identity>,
        more: &[(&str, &str)],
    ) -> Result<GrpcAnswer, CallError> {
        call_through(&self.tunnel(identity).await, more).await
    }

    /// Makes one call with a certificate for each of these lists of names. Yields the lists of the
    /// trusted ones.
    pub async fn trusted_among(&self, certificates: &[Vec<SanType>]) -> Vec<Vec<SanType>> {
        for (index, names) in certificates.iter().enumerate() {
            let identity = self.authority.issue(names.clone());
            self.call(Some(&identity), &[("user-agent", &index.to_string())])
                .await
                .unwrap();
        }

        let records = self.mesh.exchanges_until_marker().await;
        let names = |index: String| certificates[index.parse::<usize>().unwrap()].clone();
        records
            .iter()
            .map(|record| names(record.text("user_agent.original")))
            .collect()
    }
}

pub fn grpc_listener(bootstrap: &mut Bootstrap) -> &mut Value {
    bootstrap
        .listeners()
        .iter_mut()
        .find(|listener| listener["name"] == "grpc")
        .unwrap()
}

/// One call with [`ALL`] and more headers on a new connection.
pub async fn call_through(tunnel: &Tunnel, more: &[(&str, &str)]) -> Result<GrpcAnswer, CallError> {
    grpc_call(
        tunnel.addr(),
        METHOD,
        list(&[&ALL, more].concat()),
        &GrpcOptions::default(),
    )
    .await
}
