//! The uid of a record in few bytes: a byte for its form, and its content.

use crate::record::DERIVED_UID_PREFIX;

/// Any text.
const TEXT: u8 = 0;
/// `aud_` and a UUID in lower case, as the filter makes it: the 16 bytes of the UUID.
const FILTER: u8 = 1;
/// As the collector derives it: the 32 bytes of the digest.
const DERIVED: u8 = 2;

const FILTER_PREFIX: &str = "aud_";

/// The bytes of a uid.
pub(super) fn encode(uid: &str) -> Vec<u8> {
    filters(uid)
        .or_else(|| derived(uid))
        .unwrap_or_else(|| with_form(TEXT, uid.as_bytes()))
}

/// The uid of these bytes; `None` when [`encode`] does not make them.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let (form, content) = bytes.split_first()?;
    let uid = match *form {
        TEXT => str::from_utf8(content).ok()?.to_owned(),
        FILTER => format!("{FILTER_PREFIX}{}", hyphenated(content)?),
        DERIVED => format!("{DERIVED_UID_PREFIX}{}", hex::encode(content)),
        _ => return None,
    };
    (encode(&uid) == bytes).then_some(uid)
}

fn filters(uid: &str) -> Option<Vec<u8>> {
    let uuid = uid.strip_prefix(FILTER_PREFIX)?;
    let groups: Vec<_> = uuid.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    Some(with_form(FILTER, &lower_hex(&groups.concat())?))
}

fn derived(uid: &str) -> Option<Vec<u8>> {
    let digest = lower_hex(uid.strip_prefix(DERIVED_UID_PREFIX)?)?;
    (digest.len() == 32).then(|| with_form(DERIVED, &digest))
}

fn with_form(form: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 1);
    bytes.push(form);
    bytes.extend_from_slice(content);
    bytes
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower.then(|| hex::decode(text).ok()).flatten()
}

fn hyphenated(uuid: &[u8]) -> Option<String> {
    let mut text = hex::encode(<&[u8; 16]>::try_from(uuid).ok()?);
    for place in [20, 16, 12, 8] {
        text.insert(place, '-');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_comes_back() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (uid, bytes) in [
            ("aud_019f2c4d-8f00-7000-8000-000000000001", 17),
            (digest.as_str(), 33),
            ("", 1),
            ("aud_", 5),
            ("aud_019F2C4D-8f00-7000-8000-000000000001", 41),
            ("aud_019f2c4d8f00-7000-8000-0000-00000001", 41),
            ("aud_é19f2c4d-8f00-7000-8000-00000000001", 41),
            ("sha256:0a", 10),
            ("größe", 8),
        ] {
            let encoded = encode(uid);
            assert_eq!(encoded.len(), bytes, "{uid}");
            assert_eq!(decode(&encoded).as_deref(), Some(uid));
        }
    }

    #[test]
    fn one_uid_has_one_encoding() {
        let as_text = with_form(TEXT, b"aud_019f2c4d-8f00-7000-8000-000000000001");
        for bytes in [&as_text[..], &[], &[3, 1], &[FILTER, 1], &[TEXT, 0xff]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
