//! The rows: which requests go through which filter, and the Envoy and the load of each.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::load::Load;
use super::support::bootstrap::Bootstrap;
use super::support::mesh::METHOD;

type Headers = [(&'static str, &'static str)];

const PLAIN: [(&str, &str); 7] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://bench.test/accounts/settings"),
    ("cookie", "session=Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8; theme=dark"),
    ("cache-control", "no-cache"),
];
const GRPC: [(&str, &str); 5] = [
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "grpc-go/1.76.0"),
    ("authorization", "Bearer Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8"),
    ("grpc-timeout", "10S"),
];
const TRACKING: [(&str, &str); 3] = [
    ("x-session-track", "true"),
    ("x-session-operation", "change-password"),
    (
        "x-session-context",
        "eyJzdWIiOiJhbGljZSIsInNpZCI6IjZmMWQ4MmMwIiwidGVuYW50IjoiYWNtZSIsImFtciI6WyJwd2QiLCJvdHAiXX0",
    ),
];

/// The requests of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    Untracked,
    Check,
    Tracked,
    TrackedGrpc,
}

impl Traffic {
    pub const ALL: [Self; 4] = [Self::Untracked, Self::Check, Self::Tracked, Self::TrackedGrpc];

    pub fn name(self) -> &'static str {
        match self {
            Self::Untracked => "GET /other",
            Self::Check => "GET /check",
            Self::Tracked => "GET /other, tracked",
            Self::TrackedGrpc => "gRPC call, tracked",
        }
    }

    /// The requests to compare with: `/check` is as long as `/other`, so to all other filters they are the same.
    pub fn base(self) -> Self {
        if self == Self::Check { Self::Untracked } else { self }
    }

    pub fn headers(self) -> Vec<(&'static str, &'static str)> {
        let (ordinary, control): (&Headers, &Headers) = match self {
            Self::Untracked | Self::Check => (&PLAIN, &[]),
            Self::Tracked => (&PLAIN, &TRACKING),
            Self::TrackedGrpc => (&GRPC, &TRACKING),
        };
        [ordinary, control].concat()
    }

    /// The listener of `envoy/envoy.yaml` that takes them.
    pub fn listener(self) -> &'static str {
        if self == Self::TrackedGrpc { "grpc" } else { "http" }
    }

    pub async fn load(self, addr: SocketAddr) -> Load {
        match self {
            Self::Check => Load::http1(addr, "/check", &self.headers()).await,
            Self::Untracked | Self::Tracked => Load::http1(addr, "/other", &self.headers()).await,
            Self::TrackedGrpc => Load::grpc(addr, METHOD, &self.headers()).await,
        }
    }
}

/// What a row has where `envoy/envoy.yaml` has the audit filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    None,
    DoNothing,
    Audit,
    /// Looks for no user in the response.
    AuditWithoutUser,
    /// Records the reference of the session token.
    AuditWithHmac,
}

impl Filter {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::DoNothing => "do-nothing",
            Self::Audit => "audit",
            Self::AuditWithoutUser => "audit, no user",
            Self::AuditWithHmac => "audit, hmac",
        }
    }
}

impl Filter {
    fn is_audit(self) -> bool {
        !matches!(self, Self::None | Self::DoNothing)
    }

    /// The defaults but for what the row is about.
    fn configuration(self) -> Value {
        let mut configuration = json!({"audit_cluster": {"cluster": "audit"}, "trust": {"cidrs": ["127.0.0.0/8"]}});
        match self {
            Self::AuditWithoutUser => {
                configuration["rules"] =
                    json!([{"name": "check", "match": {"path": {"exact": "/check"}}, "identity": {"user_id": []}}]);
            }
            Self::AuditWithHmac => {
                configuration["session"] = json!({"hmac_key": "0123456789abcdef0123456789abcdef", "hmac_key_id": "k1"});
            }
            Self::None | Self::DoNothing | Self::Audit => {}
        }
        configuration
    }
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub traffic: Traffic,
    pub filter: Filter,
}

impl Row {
    pub fn all() -> Vec<Self> {
        let filters = |traffic: Traffic| {
            let filters: &[Filter] = match traffic {
                Traffic::Untracked => &[Filter::None, Filter::DoNothing, Filter::Audit],
                Traffic::Check => &[Filter::AuditWithoutUser, Filter::Audit],
                Traffic::Tracked | Traffic::TrackedGrpc => {
                    &[Filter::None, Filter::DoNothing, Filter::Audit, Filter::AuditWithHmac]
                }
            };
            filters.iter().map(move |filter| Self { traffic, filter: *filter })
        };
        Traffic::ALL.into_iter().flat_map(filters).collect()
    }

    /// Whether every request leaves a record.
    pub fn records(self) -> bool {
        self.filter.is_audit() && self.traffic != Traffic::Untracked
    }

    /// The shipped bootstrap with the listener and the filter of this row. HTTP is answered by Envoy itself.
    pub fn bootstrap(self, sink: SocketAddr, grpc: SocketAddr) -> Bootstrap {
        let mut bootstrap = Bootstrap::shipped();
        bootstrap.listeners().retain(|listener| listener["name"] == self.traffic.listener());
        bootstrap.point("audit", sink);
        bootstrap.point("demo_grpc", grpc);
        if self.traffic != Traffic::TrackedGrpc {
            bootstrap.connection_managers().for_each(answer_directly);
        }
        match self.filter {
            Filter::None => return bootstrap.without_filter("audit"),
            Filter::DoNothing => bootstrap.each_filter("audit", |filter| {
                let config = filter["typed_config"]["config"].as_object_mut().unwrap();
                config.remove("configuration");
                config["vm_config"]["code"]["local"]["filename"] = json!(do_nothing());
            }),
            Filter::Audit | Filter::AuditWithoutUser | Filter::AuditWithHmac => {
                bootstrap.each_filter("audit", |filter| {
                    filter["typed_config"]["config"]["configuration"]["value"] = self.filter.configuration();
                });
            }
        }
        bootstrap
    }
}

fn answer_directly(manager: &mut Value) {
    let body = r#"{"UserId": 4711, "Identity": "alice@example.com", "Roles": ["1", "2"], "state": "open"}"#;
    let answer = json!({"status": 200, "body": {"inline_string": body}});
    let content_type = json!({"header": {"key": "content-type", "value": "application/json"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
        {"match": {"prefix": "/"}, "direct_response": answer, "response_headers_to_add": [content_type]},
    ]);
}

/// The filter that does nothing, built once.
pub fn do_nothing() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--locked", "--release"]);
        cargo.args(["--package", "do-nothing", "--target", "wasm32-wasip1", "--target-dir"]).arg(directory);
        assert!(cargo.status().unwrap().success(), "do-nothing cannot be built");
        directory.join("wasm32-wasip1/release/do_nothing.wasm")
    })
}
