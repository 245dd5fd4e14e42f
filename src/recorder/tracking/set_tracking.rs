//! The gateway role: the first hop uses the control headers to set what the next hop records.

use base64ct::{Base64, Encoding};

use super::TrackingSettings;
use crate::host::{Property, Stream};
use crate::recorder::bounds::{MAX_NAME_BYTES, clipped};
use crate::recorder::capture::redact::looks_secret;
use crate::recorder::headers::Headers;
use crate::recorder::headers::values::Values;
use crate::recorder::identity::metadata::MetadataPath;
use crate::recorder::session::credentials::cookies;
use crate::recorder::trust::address_without_port;
use crate::writer::Writer;

/// `set_tracking` of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTracking {
    /// Operation label; `None`: the header is not sent.
    pub operation: Option<String>,
    /// Context fields, ordered by name.
    pub context: Vec<(String, ContextSource)>,
}

/// Source of a context field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// A request header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A value of the dynamic metadata, set by an earlier filter.
    Metadata(MetadataPath),
    /// First URI SAN of the peer's certificate.
    PeerUriSan,
    /// The client's address as seen by Envoy, without port.
    PeerAddress,
}

/// Upper bound of context fields; each value is cut to [`MAX_NAME_BYTES`].
pub const MAX_CONTEXT_FIELDS: usize = 16;

impl SetTracking {
    /// Whether a field comes from a header or cookie with a secret-looking name. The next hop
    /// records it in clear.
    #[must_use]
    pub fn hands_on_secrets(&self) -> bool {
        self.context.iter().any(|(_, source)| match source {
            ContextSource::Header(name) | ContextSource::Cookie(name) => looks_secret(name),
            ContextSource::Metadata(_) | ContextSource::PeerUriSan | ContextSource::PeerAddress => {
                false
            }
        })
    }

    /// Whether a field's source has several distinct values.
    pub(in crate::recorder) fn conflicts(&self, headers: &Headers<'_>) -> bool {
        self.context
            .iter()
            .any(|(_, source)| source.in_request(headers).disagree)
    }

    /// The headers to set: track, operation, context. The context is base64 (RFC 4648 section 4) of
    /// a JSON object of the fields with a value. A field that would exceed `max_context_bytes` is
    /// omitted, since a longer context is recorded only as a hash.
    pub(in crate::recorder) fn headers<'s>(
        &'s self,
        settings: &'s TrackingSettings,
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
