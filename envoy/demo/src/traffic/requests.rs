//! The requests of a person: session checks, and tracked operations over HTTP and gRPC.

use base64ct::{Base64, Encoding as _};
use fastrand::Rng;
use serde_json::json;
use testkit::client::{CallError, CallOptions, GrpcOptions, grpc_call, http_request};
use testkit::headers::Headers;

use super::Targets;
use super::people::{Person, Place};

/// Envoy cannot be reached, for this reason. All other failures are part of the demo.
#[derive(Debug)]
pub(super) struct Lost(pub(super) CallError);

/// A session of a person.
pub(super) struct Work {
    targets: Targets,
    person: Person,
    session_id: String,
    pub(super) place: Place,
}

/// An operation that a trusted gateway has marked: its label, and the upstream's answer.
struct Operation<'a> {
    label: &'a str,
    answer: (&'a str, &'a str),
    delay_ms: u64,
}

impl Work {
    pub(super) fn new(targets: Targets, person: Person, session_id: String) -> Self {
        Self {
            targets,
            person,
            session_id,
            place: person.home,
        }
    }

    pub(super) async fn login(&self) -> Result<(), Lost> {
        self.http(
            "POST",
            "/login",
            &Operation {
                label: "login",
                answer: ("x-demo-status", "200"),
                delay_ms: 80,
            },
        )
        .await
    }

    pub(super) async fn mistyped_login(&self) -> Result<(), Lost> {
        self.http(
            "POST",
            "/login",
            &Operation {
                label: "login",
                answer: ("x-demo-status", "401"),
                delay_ms: 120,
            },
        )
        .await
    }

    pub(super) async fn logout(&self) -> Result<(), Lost> {
        self.http(
            "POST",
            "/logout",
            &Operation {
                label: "logout",
                answer: ("x-demo-status", "200"),
                delay_ms: 15,
            },
        )
        .await
    }

    /// Mostly a session check; otherwise work, some of which is refused, fails or breaks off.
    pub(super) async fn anything(&self, random: &mut Rng) -> Result<(), Lost> {
        let delay_ms = random.u64(5..90);
        let ok = ("x-demo-status", "200");
        let operation = |label, answer| Operation {
            label,
            answer,
            delay_ms,
        };

        match random.u8(..100) {
            0..55 => self.check(delay_ms).await,
            55..68 => {
                self.http("GET", "/documents/17", &operation("open_document", ok))
                    .await
            }
            68..76 => {
                self.http("PUT", "/documents/17", &operation("save_document", ok))
                    .await
            }
            76..80 => {
                self.http(
                    "DELETE",
                    "/documents/3",
                    &operation("delete_document", ("x-demo-status", "403")),
                )
                .await
            }
            80..84 => {
                self.http(
                    "POST",
                    "/reports",
                    &operation("make_report", ("x-demo-status", "503")),
                )
                .await
            }
            84..86 => {
                self.http(
                    "GET",
                    "/export",
                    &operation("download", ("x-demo-reset", "after-headers")),
                )
                .await
            }
            86..92 => {
                self.grpc(
                    "ChangePassword",
                    &operation("change_password", ("x-demo-grpc", "unary")),
                )
                .await
            }
            92..96 => {
                let answer = ("x-demo-grpc", "status:7:the%20old%20password%20is%20wrong");
                self.grpc("ChangePassword", &operation("change_password", answer))
                    .await
            }
            96..98 => {
                let answer = ("x-demo-grpc", "status:14:the%20directory%20is%20away");
                self.grpc("ListDevices", &operation("list_devices", answer))
                    .await
            }
            _ => {
                self.grpc(
                    "ListDevices",
                    &operation("list_devices", ("x-demo-grpc", "unary")),
                )
                .await
            }
        }
    }

    async fn check(&self, delay_ms: u64) -> Result<(), Lost> {
        let body = json!({"UserId": self.person.user_id}).to_string();
        let headers = Headers::new()
            .with("x-session-id", &self.session_id)
            .with("x-demo-body", body)
            .with("x-demo-delay-ms", delay_ms.to_string());

        let answer = http_request(
            self.targets.http,
            "GET",
            "/check",
            headers,
            "",
            &CallOptions::default(),
        )
        .await;
        goes_on(answer)
    }

    async fn http(&self, method: &str, path: &str, operation: &Operation<'_>) -> Result<(), Lost> {
        let headers = self.tracked(operation);

        goes_on(
            http_request(
                self.targets.http,
                method,
                path,
                headers,
                "",
                &CallOptions::default(),
            )
            .await,
        )
    }

    async fn grpc(&self, method: &str, operation: &Operation<'_>) -> Result<(), Lost> {
        let path = format!("/demo.Accounts/{method}");

        goes_on(
            grpc_call(
                self.targets.grpc,
                &path,
                self.tracked(operation),
                &GrpcOptions::default(),
            )
            .await,
        )
    }

    fn tracked(&self, operation: &Operation<'_>) -> Headers {
        let (script, answer) = operation.answer;
        Headers::new()
            .with("x-session-track", "true")
            .with("x-session-operation", operation.label)
            .with("x-session-context", context(self.place))
            .with("x-session-id", &self.session_id)
            .with("x-user-id", self.person.user_id)
            .with("x-demo-delay-ms", operation.delay_ms.to_string())
            .with(script, answer)
    }
}

/// The context as the filter writes it in its gateway role: base64 (RFC 4648 section 4) of a JSON
/// object.
fn context(place: Place) -> String {
    let fields = json!({"country": place.country, "device_id": place.device_id});
    Base64::encode_string(fields.to_string().as_bytes())
}

fn goes_on<T>(answer: Result<T, CallError>) -> Result<(), Lost> {
    match answer {
        Err(error @ CallError::Connect(_)) => Err(Lost(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_base64_of_an_object() {
        let text = context(Place {
            device_id: "laptop",
            country: "GB",
        });
        assert_eq!(
            Base64::decode_vec(&text).unwrap(),
            br#"{"country":"GB","device_id":"laptop"}"#
        );
    }

    #[test]
    fn only_an_envoy_that_is_gone_ends_the_traffic() {
        let refused = || CallError::Connect(std::io::ErrorKind::ConnectionRefused.into());
        assert!(goes_on::<()>(Err(refused())).is_err());
        assert!(goes_on::<()>(Err(CallError::TimedOut(std::time::Duration::ZERO))).is_ok());
        assert!(goes_on(Ok(())).is_ok());
    }
}
