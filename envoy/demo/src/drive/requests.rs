//! The requests of the drive, and the answers that they must get.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use testkit::client::{CallOptions, GrpcOptions, grpc_call, http_get};
use testkit::headers::Headers;

use super::{Failure, Targets};

/// `{"device":"laptop"}`, as an application would encode it; the filter does not decode it.
pub(super) const LAPTOP: &str = "eyJkZXZpY2UiOiJsYXB0b3AifQ==";
/// `{"device":"phone"}`.
pub(super) const PHONE: &str = "eyJkZXZpY2UiOiJwaG9uZSJ9";

pub(super) const TRACKED_OK: &str = "/demo.Accounts/ChangePassword";
pub(super) const TRACKED_DENIED: &str = "/demo.Accounts/DeleteAccount";
pub(super) const UNTRACKED: &str = "/demo.Accounts/ListDevices";
pub(super) const SPOOFED: &str = "/demo.Accounts/RemoveOwner";

/// A loopback address outside of the `trust.cidrs` of the demo's configuration.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Sends everything in sequence, so that the requests reach the upstream in a fixed order.
pub(super) async fn send_all(targets: &Targets) -> Result<(), Failure> {
    http(targets.http, "/check", "200").await?;
    http(targets.http, "/check", "401").await?;
    http(targets.http, "/check?x=1", "200").await?;

    let home = CallOptions::default();
    grpc(
        targets.grpc,
        TRACKED_OK,
        tracking("change_password", LAPTOP),
        "0",
        home,
    )
    .await?;

    let denied =
        tracking("delete_account", PHONE).with("x-demo-grpc", "status:7:only%20the%20owner");
    grpc(targets.grpc, TRACKED_DENIED, denied, "7", home).await?;
    grpc(targets.grpc, UNTRACKED, Headers::new(), "0", home).await?;

    // A stranger that claims to be tracked, and to have a trusted address.
    let spoofed = tracking("remove_owner", LAPTOP).with("x-forwarded-for", "127.0.0.1");
    grpc(
        targets.grpc,
        SPOOFED,
        spoofed,
        "0",
        CallOptions::from_ip(STRANGER),
    )
    .await
}

fn tracking(operation: &str, context: &str) -> Headers {
    Headers::from([
        ("x-session-track", "true"),
        ("x-session-operation", operation),
        ("x-session-context", context),
    ])
}

async fn http(envoy: SocketAddr, path: &str, status: &str) -> Result<(), Failure> {
    let answer = http_get(
        envoy,
        path,
        [("x-demo-status", status)],
        &CallOptions::default(),
    )
    .await;
    let answer = answer.map_err(|error| format!("GET {path} through Envoy failed: {error}"))?;
    expect(&format!("GET {path}"), status, &answer.status.to_string())
}

async fn grpc(
    envoy: SocketAddr,
    path: &str,
    headers: Headers,
    status: &str,
    call: CallOptions,
) -> Result<(), Failure> {
    let options = GrpcOptions {
        call,
        ..GrpcOptions::default()
    };

    let answer = grpc_call(envoy, path, headers, &options).await;
    let answer =
        answer.map_err(|error| format!("the call {path} through Envoy failed: {error}"))?;

    expect(
        path,
        status,
        &answer
            .grpc_status()
            .unwrap_or_else(|| "no status".to_owned()),
    )
}

fn expect(what: &str, expected: &str, found: &str) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "{what} through Envoy was answered with {found}, expected {expected}"
    ))
}
