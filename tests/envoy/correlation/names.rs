//! Configured header names, with a strict receiver.

use testkit::client::{CallOptions, raw_exchange};
use testkit::envoy::mesh::list;
use uuid::Uuid;

use super::*;

const GATEWAY_NAMES: [&str; 2] = [
    "X-Coder-Agent-Firewall-Session-Id",
    "X-Coder-Agent-Firewall-Sequence-Number",
];

/// Parses a request as a strict receiver: both headers or none, one value each, a UUID in its
/// canonical form, and a non-negative int32 without leading zeros. All else is refused.
fn read_strictly(seen: &Seen) -> Option<(Uuid, i32)> {
    let (session_id, number) = pair_seen_by(seen, GATEWAY_NAMES)?;
    let parsed: (Uuid, i32) = (session_id.parse().unwrap(), number.parse().unwrap());
    assert_eq!(
        (parsed.0.to_string(), parsed.1.to_string()),
        (session_id, number)
    );
    assert!(
        parsed.1 >= 0 && parsed.0.get_version_num() == 4,
        "{parsed:?}"
    );

    Some(parsed)
}

#[tokio::test]
async fn a_strict_receiver_understands_the_pair_under_its_own_names() {
    let [session_id, sequence] = GATEWAY_NAMES;
    let names =
        json!({"correlation": {"session_id_header": session_id, "sequence_header": sequence}});
    let mesh = mesh_with(&names).await;
    let forged = [(session_id, "not a UUID"), (sequence, "2147483648")];

    for index in 0..3 {
        mesh.get(&format!("/joined/{index}"), &forged[..index])
            .await;
        call(
            &mesh,
            &format!("/joined.Service/{index}"),
            list(&forged[..index]),
            list(&forged),
        )
        .await;
    }

    for path in ["/joined/by-hand", "/else"] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\n{sequence}: 1\r\n{session_id}: x\r\nconnection: close\r\n\r\n"
        );
        raw_exchange(mesh.http, head.as_bytes(), &CallOptions::default())
            .await
            .unwrap();
    }

    let seen = mesh.upstream.seen().all();
    let read: BTreeMap<String, Option<(Uuid, i32)>> = seen
        .iter()
        .map(|seen| (seen.path.clone(), read_strictly(seen)))
        .collect();
    let records = mesh.exchanges_until_marker().await;
    assert_eq!((seen.len(), records.len()), (8, 7));
    assert_eq!(read["/else"], None);

    for record in &records {
        let (session_id, number) = read[&record.text("url.path")].unwrap();
        assert_eq!(
            pair_of(record),
            Some((session_id.to_string(), number.to_string())),
            "the record's names are fixed"
        );
    }

    let defaults = seen
        .iter()
        .filter(|seen| pair_seen_by(seen, NAMES).is_some())
        .count();
    assert_eq!(defaults, 0, "the names have been replaced, not joined");
}
