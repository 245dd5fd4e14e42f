//! Each scripted gRPC behaviour, once, without a proxy.

use std::time::Duration;

use testkit::client::{CallError, CallOptions, GrpcAnswer, GrpcOptions, grpc_call};
use testkit::headers::Headers;
use testkit::upstream::{Protocol, Upstream};

async fn call(upstream: &Upstream, script: &str) -> Result<GrpcAnswer, CallError> {
    grpc_call(
        upstream.grpc_addr(),
        "/demo.Accounts/Run",
        [("x-demo-grpc", script)],
        &GrpcOptions::default(),
    )
    .await
}

fn summary(answer: &GrpcAnswer) -> (u16, usize, Option<String>, Option<String>) {
    (
        answer.http_status,
        answer.messages.len(),
        answer.trailers.text("grpc-status"),
        answer.trailers.text("grpc-message"),
    )
}

fn status(code: &str) -> Option<String> {
    Some(code.to_owned())
}

#[tokio::test]
async fn unary_is_the_default_and_notes_request_trailers() {
    let upstream = Upstream::start().await.unwrap();
    let options = GrpcOptions {
        messages: vec!["ab".into()],
        trailers: Headers::from([("x-session-track", "true")]),
        ..GrpcOptions::default()
    };
    let path = "/demo.Accounts/ChangePassword";
    let answer = grpc_call(
        upstream.grpc_addr(),
        path,
        [("host", "accounts.test")],
        &options,
    )
    .await
    .unwrap();

    assert_eq!(summary(&answer), (200, 1, status("0"), None));
    assert_eq!(
        answer.headers.text("content-type").unwrap(),
        "application/grpc"
    );

    let seen = &upstream.seen().all()[0];
    assert_eq!(
        (seen.protocol, seen.method.as_str(), seen.path.as_str()),
        (Protocol::Grpc, "POST", path)
    );
    assert_eq!(seen.authority.as_deref(), Some("accounts.test"));
    assert_eq!(
        (
            seen.body_bytes,
            seen.trailers.text("x-session-track").as_deref()
        ),
        (7, Some("true"))
    );
    assert_eq!(seen.headers.text("te").as_deref(), Some("trailers"));
}

#[tokio::test]
async fn a_status_comes_in_trailers_or_in_headers() {
    let upstream = Upstream::start().await.unwrap();
    let answer = call(&upstream, "status:7:not%20yours").await.unwrap();
    assert_eq!(
        summary(&answer),
        (200, 0, status("7"), status("not%20yours"))
    );
    assert!(!answer.headers.contains("grpc-status"));

    let answer = call(&upstream, "trailers-only:16:who").await.unwrap();
    assert_eq!(summary(&answer), (200, 0, None, None));
    assert_eq!(answer.headers.text("grpc-message"), status("who"));
    assert_eq!(answer.grpc_status(), status("16"));
}

#[tokio::test]
async fn streams_end_well_or_with_an_error_or_without_a_status() {
    let upstream = Upstream::start().await.unwrap();
    assert_eq!(
        summary(&call(&upstream, "stream:3").await.unwrap()),
        (200, 3, status("0"), None)
    );

    let answer = call(&upstream, "stream-error:2:8:late").await.unwrap();
    assert_eq!(summary(&answer), (200, 2, status("8"), status("late")));
    assert_eq!(
        summary(&call(&upstream, "no-status").await.unwrap()),
        (200, 1, None, None)
    );

    assert_eq!(
        call(&upstream, "nonsense").await.unwrap().grpc_status(),
        status("3")
    );
}

#[tokio::test]
async fn the_path_scripts_too() {
    let upstream = Upstream::start().await.unwrap();
    let path = "/demo.Accounts/status:5:gone";
    let answer = grpc_call(upstream.grpc_addr(), path, [], &GrpcOptions::default())
        .await
        .unwrap();
    assert_eq!(summary(&answer), (200, 0, status("5"), status("gone")));
}

#[tokio::test]
async fn a_hanging_stream_can_be_cancelled_or_times_out() {
    let upstream = Upstream::start().await.unwrap();
    let script = [("x-demo-grpc", "hang")];
    let cancelling = GrpcOptions {
        cancel_after_first_message: true,
        ..GrpcOptions::default()
    };
    let answer = grpc_call(upstream.grpc_addr(), "/a.B/C", script, &cancelling)
        .await
        .unwrap();
    assert_eq!(summary(&answer), (200, 1, None, None));

    let call = CallOptions {
        timeout: Duration::from_millis(200),
        ..CallOptions::from_ip([127, 0, 0, 2])
    };
    let waiting = GrpcOptions {
        call,
        ..GrpcOptions::default()
    };
    let late = grpc_call(upstream.grpc_addr(), "/a.B/C", script, &waiting).await;
    assert!(matches!(late, Err(CallError::TimedOut(_))), "{late:?}");
}

#[tokio::test]
async fn a_reset_comes_after_headers_and_a_message() {
    let upstream = Upstream::start().await.unwrap();
    let broken = call(&upstream, "reset").await;

    assert!(
        matches!(
            broken,
            Err(CallError::Broken {
                status: Some(_),
                ..
            })
        ),
        "{broken:?}"
    );
}
