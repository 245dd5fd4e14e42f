//! Signs of life of an idle stream.

use serde_json::json;
use testkit::{Mesh, eventually};

#[tokio::test]
async fn an_idle_stream_sends_signs_of_life_with_its_next_number() {
    let patch = json!({
        "rules": [{"name": "all"}],
        "batch": {"max_delay": "50ms"},
        "buffer": {"max_records": 77},
        "stages": {"alive_interval": "500ms"},
    });
    let mesh = Mesh::with_plugin(&patch).await;
    mesh.get("/check", &[]).await;

    let signs = eventually("two signs of life", || {
        let signs = mesh.sink.events("audit.stream.alive");
        (signs.len() > 1).then_some(signs)
    })
    .await;

    let start = mesh.sink.events("audit.stream.start").pop().unwrap();
    assert_eq!(
        start.int("audit.sequence.next"),
        2,
        "the start and the request in one batch"
    );

    for (number, sign) in (2..).zip(&signs) {
        assert_eq!(
            (
                sign.int("audit.sequence.number"),
                sign.int("audit.sequence.next")
            ),
            (number, number + 1)
        );
        assert_eq!(sign.text("audit.stream.id"), start.text("audit.stream.id"));
    }

    for record in signs.iter().chain([&start]) {
        assert_eq!(
            (
                record.int("audit.stream.alive_interval_ms"),
                record.int("audit.buffer.max_records")
            ),
            (500, 77)
        );
    }

    // The other instances of the configuration never had a record.
    assert_eq!(mesh.sink.events("audit.stream.start").len(), 1);

    mesh.stats_when("an empty buffer", |stats| {
        stats["buffer.records"] == 0 && stats["records.captured"] == stats["records.acknowledged"]
    })
    .await;
}
