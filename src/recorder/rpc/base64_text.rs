//! The text form of gRPC-Web: base64 (RFC 4648 section 4) in segments that may each end with
//! padding.

use base64ct::{Base64, Encoding};

/// Characters that encode three bytes.
const GROUP: usize = 4;

/// Incremental base64 decoder. A body may be several encoded segments, so padding may occur in the
/// middle (grpc/grpc `doc/PROTOCOL-WEB.md`, "text-encoded (base64) streams").
#[derive(Debug, Default)]
pub(super) struct Base64Text {
    /// An incomplete [`GROUP`] of characters.
    waiting: Vec<u8>,
}

impl Base64Text {
    /// Takes the next characters, and returns the bytes that they complete. `None` if they are not
    /// base64.
    pub(super) fn push(&mut self, characters: &[u8]) -> Option<Vec<u8>> {
        self.waiting.extend_from_slice(characters);
        let (groups, rest) = self.waiting.as_chunks::<GROUP>();

        let mut out = Vec::with_capacity(groups.len() * 3);
        for group in groups {
            let mut bytes = [0; 3];
            out.extend_from_slice(Base64::decode(group, &mut bytes).ok()?);
        }

        self.waiting = rest.to_vec();
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["AA=A", "====", "AB C", "A\u{0}AA", "AAA-", "=AAA"] {
            assert_eq!(
                Base64Text::default().push(text.as_bytes()),
                None,
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_are_joined_wherever_they_are_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5), cut in 1..7_usize
        ) {
            let text: String = pieces.iter().map(|piece| Base64::encode_string(piece)).collect();
            let mut reader = Base64Text::default();
            let decoded: Vec<u8> =
                text.as_bytes().chunks(cut).flat_map(|part| reader.push(part).unwrap()).collect();
            prop_assert_eq!(decoded, pieces.concat());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Base64Text::default().push(&bytes);
        }
    }
}
