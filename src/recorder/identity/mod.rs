//! The user's id, name and e-mail address. Each comes from the first of its sources that has a
//! value.

pub mod filter_state;
pub mod metadata;
pub mod response_json;

use std::borrow::Cow;
use std::cell::Cell;

use super::bounds::{MAX_NAME_BYTES, clipped};
use super::headers::Headers;
use crate::host::{Property, Stream};
pub use crate::record::Identity;
use filter_state::FilterState;
use metadata::MetadataPath;
use response_json::{Body, Pointer, Unavailable};

/// Source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// A request header; counts only from a trusted peer.
    Header(String),
    /// A response header.
    ResponseHeader(String),
    /// A value of the response's JSON body.
    ResponseJson(Pointer),
    /// A value of the dynamic metadata.
    Metadata(MetadataPath),
    /// An object of the filter state.
    FilterState(FilterState),
    /// First URI SAN of the peer's certificate.
    PeerUriSan,
}

impl IdentitySource {
    /// The word used in the configuration and on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::ResponseHeader(_) => "response_header",
            Self::ResponseJson(_) => "response_json",
            Self::Metadata(_) => "metadata",
            Self::FilterState(_) => "filter_state",
            Self::PeerUriSan => "peer_uri_san",
        }
    }
}

/// Number of fields.
const FIELDS: usize = 3;

/// The sources of each field, in order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Of the user's id, name and e-mail.
    pub fields: [Vec<IdentitySource>; FIELDS],
    /// Upper bound in bytes of a response body read for [`IdentitySource::ResponseJson`]; a longer one is
    /// not read.
    pub max_body_bytes: usize,
}

/// Identity values in the request headers of a trusted peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// For each field the source's index and its value.
    fields: [Option<(usize, Vec<u8>)>; FIELDS],
    /// A source has several distinct values.
    pub(super) conflict: bool,
}

impl IdentitySettings {
    /// Number of identity headers present in the request. If any, the peer must be checked.
    pub(super) fn count_claims(&self, headers: &Headers<'_>) -> u64 {
        let is_there = |source: &&IdentitySource| matches!(source, IdentitySource::Header(name) if headers.has(name));
        self.fields.iter().flatten().filter(is_there).count() as u64
    }

    /// Reads the request headers of a trusted peer.
    pub(super) fn claims(&self, headers: &Headers<'_>) -> Claims {
        let mut conflict = false;
        let mut claim = |(index, source): (usize, &IdentitySource)| match source {
            IdentitySource::Header(name) => {
                Some((index, value(headers.values(name).noting(&mut conflict)?)?))
            }
            _ => None,
        };

        let fields = [0, 1, 2].map(|field| {
            self.fields
                .get(field)?
                .iter()
                .enumerate()
                .find_map(&mut claim)
        });

        Claims { fields, conflict }
    }

    /// Whether the response body must be read: it is a source of a field, and no earlier source has
    /// a value.
    pub(super) fn needs_body(
        &self,
        claims: &Claims,
        response: &Headers<'_>,
        stream: &dyn Stream,
    ) -> bool {
        let is_open = |(sources, claim): (&Vec<IdentitySource>, &Option<(usize, Vec<u8>)>)| {
            let Some(at) = sources
                .iter()
                .position(|source| matches!(source, IdentitySource::ResponseJson(_)))
            else {
                return false;
            };
            let is_claimed = claim.as_ref().is_some_and(|(index, _)| *index < at);
            let answer = |source: &IdentitySource| match source {
                IdentitySource::ResponseHeader(name) => value(response.values(name).last?),
                source => value(&of_request(source, stream)?),
            };
            !is_claimed && sources.iter().take(at).find_map(answer).is_none()
        };

        self.fields.iter().zip(&claims.fields).any(is_open)
    }

    /// Number of fields with sources.
    pub(super) fn count_fields(&self) -> usize {
        self.fields
            .iter()
            .filter(|sources| !sources.is_empty())
            .count()
    }

    /// Whether any field has a source in the response body.
    pub fn reads_body(&self) -> bool {
        self.fields
            .iter()
            .flatten()
            .any(|source| matches!(source, IdentitySource::ResponseJson(_)))
    }

    /// Reads the sources at the end of the exchange. The second value: a response header has
    /// several distinct values.
    pub(super) fn resolve(
        &self,
        mut claims: Claims,
        response: &Headers<'_>,
        body: Option<&Body>,
        stream: &dyn Stream,
    ) -> (Identity, bool) {
        let has_conflict = Cell::new(false);
        let ask = |source: &IdentitySource| match source {
            IdentitySource::ResponseHeader(name) => {
                let values = response.values(name);
                has_conflict.set(has_conflict.get() | values.disagree);
                Ok(values.last.map(Cow::Borrowed))
            }
            IdentitySource::ResponseJson(pointer) => body
                .map(|body| body.find(pointer).map(Cow::Owned))
                .transpose(),
            source => Ok(of_request(source, stream).map(Cow::Owned)),
        };

        (self.identity(&mut claims, &ask), has_conflict.get())
    }

    /// Like [`Self::resolve`] before the request goes upstream, without sources in the response. A
    /// missing value may still come, so no reason is recorded.
    pub(super) fn resolve_received(&self, mut claims: Claims, stream: &dyn Stream) -> Identity {
        let identity = self.identity(&mut claims, &|source| {
            Ok(of_request(source, stream).map(Cow::Owned))
        });
        let is_known = identity.user_id.is_some()
            || identity.user_name.is_some()
            || identity.user_email.is_some();

        if is_known {
            identity
        } else {
            Identity::default()
        }
    }

    fn identity(&self, claims: &mut Claims, ask: &Ask<'_>) -> Identity {
        let mut source = None;
        let [id, name, email] = &self.fields;
        let [id_claim, name_claim, email_claim] = &mut claims.fields;
        let mut field = |sources: &[IdentitySource], claim: &mut Option<(usize, Vec<u8>)>| {
            let (value, from) = first_value(sources, claim, ask);
            source = source.take().or(from);
            value
        };

        Identity {
            user_id: field(id, id_claim),
            user_name: field(name, name_claim),
            user_email: field(email, email_claim),
            source,
        }
    }
}

/// Reads a source other than a request header.
type Ask<'a> = dyn Fn(&IdentitySource) -> Result<Option<Cow<'a, [u8]>>, Unavailable> + 'a;

/// The first value with its source; without one, the reason. The reason of a body takes precedence
/// over an absence.
fn first_value(
    sources: &[IdentitySource],
    claim: &mut Option<(usize, Vec<u8>)>,
    ask: &Ask<'_>,
) -> (Option<Vec<u8>>, Option<Cow<'static, str>>) {
    let mut why = Unavailable::Absent;
    for (index, source) in sources.iter().enumerate() {
        let found = match claim.take_if(|(claimed, _)| *claimed == index) {
            Some((_, value)) => Ok(Some(Cow::Owned(value))),
            None => ask(source),
        };

        match found {
            Ok(found) => {
                if let Some(value) = found.as_deref().and_then(value) {
                    return (Some(value), Some(Cow::Borrowed(source.as_str())));
                }
            }
            Err(reason) if why == Unavailable::Absent => why = reason,
            Err(_) => {}
        }
    }

    (
        None,
        (!sources.is_empty()).then(|| Cow::Borrowed(why.as_str())),
    )
}

fn of_request(source: &IdentitySource, stream: &dyn Stream) -> Option<Vec<u8>> {
    match source {
        IdentitySource::Metadata(path) => path.read(stream),
        IdentitySource::FilterState(object) => object.read(stream),
        IdentitySource::PeerUriSan => stream.property(Property::PeerUriSan),
        IdentitySource::Header(_)
        | IdentitySource::ResponseHeader(_)
        | IdentitySource::ResponseJson(_) => None,
    }
}

/// The value to record; `None` if it is empty.
fn value(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = clipped(bytes.trim_ascii(), MAX_NAME_BYTES);
    (!bytes.is_empty()).then(|| bytes.to_vec())
}
