//! The gateway role: the first hop says what the next one records, through the control headers.

use base64ct::{Base64, Encoding};

use super::credentials::cookies;
use super::headers::Headers;
use super::metadata::MetadataPath;
use super::redact::looks_secret;
use super::request::MAX_NAME_BYTES;
use super::tracking::{self, clipped};
use super::trust::address_without_port;
use super::values::Values;
use crate::host::{Property, Stream};
use crate::writer::Writer;

/// `set_tracking` of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTracking {
    /// Label of the operation; without one, none is sent.
    pub operation: Option<String>,
    /// Fields of the context, in the order of their names.
    pub context: Vec<(String, ContextSource)>,
}

/// Where a field of the context comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// A request header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A value of the dynamic metadata, set by a filter that runs before.
    Metadata(MetadataPath),
    /// First URI SAN of the peer's certificate.
    PeerUriSan,
    /// The client's address as Envoy sees it, without port.
    PeerAddress,
}

/// Most fields of a context; each value is at most [`MAX_NAME_BYTES`] long, the rest is cut.
pub const MAX_CONTEXT_FIELDS: usize = 16;

impl SetTracking {
    /// Whether a field comes from a header or cookie whose name looks secret. The next hop records it as it is.
    #[must_use]
    pub fn hands_on_secrets(&self) -> bool {
        self.context.iter().any(|(_, source)| match source {
            ContextSource::Header(name) | ContextSource::Cookie(name) => looks_secret(name),
            ContextSource::Metadata(_) | ContextSource::PeerUriSan | ContextSource::PeerAddress => {
                false
            }
        })
    }

    /// Whether a source of a field has values that differ.
    pub(super) fn conflicts(&self, headers: &Headers<'_>) -> bool {
        self.context
            .iter()
            .any(|(_, source)| source.in_request(headers).disagree)
    }

    /// The headers to set: track, operation, context. The context is base64 (RFC 4648 section 4) of a JSON object with
    /// the fields that have a value. One with which it would be longer than `max_context_bytes` is left out: a context
    /// that is too long is recorded as a hash.
    pub(super) fn headers<'s>(
        &'s self,
        settings: &'s tracking::Settings,
        headers: &Headers<'_>,
        stream: &dyn Stream,
    ) -> Vec<(&'s str, Vec<u8>)> {
        let mut set = vec![(settings.track_header.as_str(), b"true".to_vec())];
        if let Some(operation) = &self.operation {
            set.push((&settings.operation_header, operation.as_bytes().to_vec()));
        }
        let max_json_bytes = settings.max_context_bytes / 4 * 3;
        let context =
            Base64::encode_string(self.context(headers, stream, max_json_bytes).as_bytes());
        set.push((&settings.context_header, context.into_bytes()));
        set
    }

    fn context(&self, headers: &Headers<'_>, stream: &dyn Stream, max_bytes: usize) -> Writer {
        let mut json = Writer::default();
        json.push(b'{');
        for (name, source) in &self.context {
            let Some(value) = source.value(headers, stream) else {
                continue;
            };
            let before = json.len();
            if json.len() > 1 {
                json.push(b',');
            }
            json.push_text(name.as_bytes());
            json.push(b':');
            json.push_text(clipped(&value, MAX_NAME_BYTES));
            if json.len() >= max_bytes {
                json.truncate(before);
            }
        }
        json.push(b'}');
        json
    }
}

impl ContextSource {
    fn in_request<'h>(&self, headers: &Headers<'h>) -> Values<&'h [u8]> {
        match self {
            Self::Header(name) => headers.values(name),
            Self::Cookie(name) => cookies(headers, name),
            Self::Metadata(_) | Self::PeerUriSan | Self::PeerAddress => Values::default(),
        }
    }

    fn value(&self, headers: &Headers<'_>, stream: &dyn Stream) -> Option<Vec<u8>> {
        let value = match self {
            Self::Header(_) | Self::Cookie(_) => self.in_request(headers).last?.to_vec(),
            Self::Metadata(path) => path.read(stream)?,
            Self::PeerUriSan => stream.property(Property::PeerUriSan)?,
            Self::PeerAddress => {
                address_without_port(&stream.property(Property::SourceAddress)?).to_vec()
            }
        };
        (!value.is_empty()).then_some(value)
    }
}
