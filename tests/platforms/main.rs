//! The filter in the shape in which Istio and Envoy Gateway deliver it, on three versions of a real
//! Envoy, with the plugins of the manifests in `deploy/`.
//!
//! A scenario is a module with one test for each version:
//! `cargo test --test platforms -- waypoint`, `cargo test --test platforms -- envoy_1_36_4`.
//! `docs/platforms.md` names them behind the cells of its tables.

#![cfg(test)]
#![expect(unreachable_pub, reason = "a program has no public items")]

/// Makes a test of each scenario on each version of Envoy.
macro_rules! on_each_envoy {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[tokio::test]
            async fn envoy_1_36_4() {
                super::$scenario("1.36.4").await;
            }

            #[tokio::test]
            async fn envoy_1_38_2() {
                super::$scenario("1.38.2").await;
            }

            #[tokio::test]
            async fn envoy_1_40_0() {
                super::$scenario("1.40.0").await;
            }
        }
    )+};
}

mod documents;
mod envoy_gateway;
mod istio_gateway;
mod istio_sidecar;
mod manifest;
mod parts;
mod proxy;
mod troubleshooting;
mod waypoint;

/// Headers that count for trusted peers only.
const CONTROL: [(&str, &str); 3] = [
    ("x-session-track", "true"),
    ("x-session-operation", "change_password"),
    ("x-session-context", "Y3R4"),
];
