//! Properties over random bodies: no reader panics in any format, and its output is bounded.

use audit_collector::otlp::Format;
use audit_collector::otlp::limits::MAX_RECORDS;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::encodings::golden;

const FORMATS: [Format; 3] = [Format::Json, Format::Protobuf, Format::Ndjson];

/// A golden batch with random damage.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let [json, protobuf, ndjson] = golden().map(|(_, body)| body);
    let body = prop_oneof![Just(json), Just(protobuf), Just(ndjson)];

    (
        body,
        vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
    )
        .prop_map(|(mut body, places)| {
            for (place, byte) in places {
                let place = place.index(body.len());
                body[place] = byte;
            }
            body
        })
}

fn read_all(body: &[u8]) {
    for format in FORMATS {
        read(format, body);
    }
}

fn read(format: Format, body: &[u8]) {
    let mut body = body.to_vec();
    let Ok(checked) = format.check(&mut body) else {
        return;
    };

    if let Ok(records) = checked.decode() {
        assert!(records.len() <= MAX_RECORDS);
        assert!(
            records
                .iter()
                .all(|record| !record.uid.is_empty() && record.content.time_unix_nano >= 0)
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_do_not_stop_a_reader(body in vec(any::<u8>(), 0..2000)) {
        read_all(&body);
    }

    #[test]
    fn random_text_does_not_stop_a_reader(body in r#"([\[\]{}",:0-9a-z\\\n .-]|"key":|"resourceLogs":|null){0,200}"#) {
        read_all(body.as_bytes());
    }

    #[test]
    fn a_damaged_batch_does_not_stop_a_reader(body in damaged()) {
        read_all(&body);
    }
}
