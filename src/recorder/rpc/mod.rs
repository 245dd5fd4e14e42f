//! RPC on the wire: the protocol that a request declares, and the one that its response proves.
//!
//! Three protocols carry the same calls. gRPC has the status in HTTP trailers, gRPC-Web in the last
//! frame of the body. Connect has it in the last frame of a stream, or in HTTP status and JSON of a
//! unary response. Envoy translates between these and plain JSON, before and after this filter.

mod base64_text;
mod body_end;
mod claim;
mod frames;
mod status;
mod translated;

pub(super) use body_end::BodyEnd;
pub(super) use claim::{Claim, Wire, is_method};
pub use status::{MAX_MESSAGE_BYTES, Status, decode_message};
pub(super) use translated::Translated;

use super::headers::{Headers, first_values};
pub use crate::record::{Dialect, StatusSource};

/// A status with its source and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) status: Status,
    pub(super) source: StatusSource,
    /// Decoded, at most [`MAX_MESSAGE_BYTES`]; `None` when there is none.
    pub(super) message: Option<Vec<u8>>,
}

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

impl Found {
    /// Reads `grpc-status` and `grpc-message` from one header map.
    pub(super) fn in_map(map: &Headers<'_>, source: StatusSource) -> Option<Self> {
        let status = Status::parse(map.first(STATUS)?);
        Some(Self::new(
            status,
            source,
            map.first(MESSAGE).unwrap_or_default(),
        ))
    }

    /// Reads them from serialized trailers.
    pub(super) fn in_trailers(map: &[u8]) -> Option<Self> {
        let [status, message] = first_values(map, [STATUS, MESSAGE]);
        Some(Self::new(
            Status::parse(status?),
            StatusSource::Trailers,
            message.unwrap_or_default(),
        ))
    }

    /// A status with a percent-encoded message.
    pub(super) fn new(status: Status, source: StatusSource, message: &[u8]) -> Self {
        let message = (!message.is_empty()).then(|| decode_message(message));
        Self {
            status,
            source,
            message,
        }
    }
}
