//! Secrets in the parameters of a path.

use super::*;

#[test]
fn path_parameters_with_secrets_are_matched_and_not_recorded() {
    let path = "/shop;jsessionid=1F2E.node1/cart%3Btoken%3Dabc;page=2?x";
    let rules = |pattern: &Value| json!([{"name": "r", "match": {"path": pattern}, "require_audit": "buffered"}]);
    for pattern in [
        json!({"prefix": "/shop;jsessionid=1F2E"}),
        json!({"suffix": "token=abc;page=2"}),
    ] {
        let run = Case::new("GET", path).rules(&rules(&pattern)).run();
        for record in [run.record.unwrap(), run.received.unwrap()] {
            let redacted = "/shop;jsessionid=[REDACTED]/cart;token=[REDACTED];page=2";
            assert_eq!(text(record.request.path()), redacted);
            assert_eq!(text(record.action()), format!("GET {redacted}"));
        }
    }

    let mut call = Case::grpc()
        .rules(&json!([{"name": "r"}]))
        .answer_trailers(&[("grpc-status", "0")]);
    call.headers[1].1 = b"/shop.Users/Delete;sid=secret".to_vec();

    let record = call.recorded();
    assert_eq!(record.protocol, Protocol::Grpc);
    assert_eq!(
        text(record.request.path()),
        "/shop.Users/Delete;sid=[REDACTED]"
    );
    assert_eq!(text(record.action()), "/shop.Users/Delete;sid=[REDACTED]");
}

#[test]
fn a_secret_that_the_bound_cuts_is_not_recorded() {
    for before in bounds::MAX_PATH_BYTES - 40..bounds::MAX_PATH_BYTES {
        let path = format!("/{};jsessionid=SECRET", "a".repeat(before));
        let record = Case::new("GET", &path)
            .rules(&json!([{"name": "r"}]))
            .recorded();

        assert!(
            record.request.path().len() <= bounds::MAX_PATH_BYTES
                && !text(record.request.path()).contains('S'),
            "{before}"
        );
    }
}
