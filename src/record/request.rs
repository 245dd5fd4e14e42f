//! Texts of a request that are recorded.

use crate::copy::copy;

/// Method, path, host and other texts of a request in one allocation, instead of six per record.
///
/// Bytes are as received. Method, space and path are adjacent, so that they can be read as one
/// text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestText {
    bytes: Vec<u8>,
    /// End offset of each [`Place`].
    ends: [usize; PLACES],
    has_user_agent: bool,
    has_request_id: bool,
    has_forwarded_for: bool,
}

/// The parts of a [`RequestText`], each already bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestParts<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// Normalized path without query.
    pub path: &'a [u8],
    /// Host without port.
    pub host: &'a [u8],
    /// `user-agent`
    pub user_agent: Option<&'a [u8]>,
    /// `x-request-id`
    pub request_id: Option<&'a [u8]>,
    /// `x-forwarded-for`, if it has one value that is not longer than an address. Not recorded
    /// itself.
    pub forwarded_for: Option<&'a [u8]>,
}

/// Order of the texts in memory.
#[derive(Clone, Copy)]
enum Place {
    Method,
    Space,
    Path,
    Host,
    UserAgent,
    RequestId,
    ForwardedFor,
}

const PLACES: usize = 7;

impl RequestText {
    /// Copies the parts into one allocation.
    #[must_use]
    pub fn new(parts: &RequestParts<'_>) -> Self {
        let RequestParts {
            method,
            path,
            host,
            user_agent,
            request_id,
            forwarded_for,
        } = *parts;
        let [agent, id, forwarded] =
            [user_agent, request_id, forwarded_for].map(Option::unwrap_or_default);
        let texts: [&[u8]; PLACES] = [method, b" ", path, host, agent, id, forwarded];
        let mut bytes = vec![0; texts.iter().map(|text| text.len()).sum()];
        let mut end = 0;
        let ends = texts.map(|text| {
            end = put(&mut bytes, end, text);
            end
        });

        Self {
            bytes,
            ends,
            has_user_agent: user_agent.is_some(),
            has_request_id: request_id.is_some(),
            has_forwarded_for: forwarded_for.is_some(),
        }
    }

    /// A copy with another host: the target of a tunnel replaces the authority.
    #[must_use]
    pub fn with_host(&self, host: &[u8]) -> Self {
        Self::new(&RequestParts {
            method: self.method(),
            path: self.path(),
            host,
            user_agent: self.user_agent(),
            request_id: self.request_id(),
            forwarded_for: self.forwarded_for(),
        })
    }

    /// `:method`
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.span(None, Place::Method)
    }

    /// Normalized path without query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.span(Some(Place::Space), Place::Path)
    }

    /// `METHOD /path`
    #[must_use]
    pub fn method_and_path(&self) -> &[u8] {
        self.span(None, Place::Path)
    }

    /// Host without port.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.span(Some(Place::Path), Place::Host)
    }

    /// `user-agent`
    #[must_use]
    pub fn user_agent(&self) -> Option<&[u8]> {
        self.has_user_agent
            .then(|| self.span(Some(Place::Host), Place::UserAgent))
    }

    /// `x-request-id`
    #[must_use]
    pub fn request_id(&self) -> Option<&[u8]> {
        self.has_request_id
            .then(|| self.span(Some(Place::UserAgent), Place::RequestId))
    }

    /// `x-forwarded-for`, as in [`RequestParts`].
    #[must_use]
    pub fn forwarded_for(&self) -> Option<&[u8]> {
        self.has_forwarded_for
            .then(|| self.span(Some(Place::RequestId), Place::ForwardedFor))
    }

    /// The bytes from the end of one place to the end of another.
    fn span(&self, before: Option<Place>, last: Place) -> &[u8] {
        let end = |place: Place| self.ends.get(place as usize).copied().unwrap_or_default();
        self.bytes
            .get(before.map_or(0, end)..end(last))
            .unwrap_or_default()
    }
}

/// Copies a text to its place, and returns its end. One function for all texts.
#[inline(never)]
fn put(bytes: &mut [u8], start: usize, text: &[u8]) -> usize {
    let end = start + text.len();
    if let Some(room) = bytes.get_mut(start..end) {
        copy(room, text);
    }
    end
}

/// The recorded action: `audit.action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This text.
    Text(Vec<u8>),
    /// The request's method and path.
    MethodAndPath,
    /// The request's path: a gRPC path names the method.
    Path,
}

impl Action {
    /// Its text for this request.
    #[must_use]
    pub fn of<'a>(&'a self, request: &'a RequestText) -> &'a [u8] {
        match self {
            Self::Text(text) => text,
            Self::MethodAndPath => request.method_and_path(),
            Self::Path => request.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..12)
    }

    fn optional() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(text())
    }

    proptest! {
        #[test]
        fn each_text_is_read_as_it_was_given(
            [method, path, host, target] in [text(), text(), text(), text()],
            [user_agent, request_id, forwarded_for] in [optional(), optional(), optional()]
        ) {
            let request = RequestText::new(&RequestParts {
                method: &method,
                path: &path,
                host: &host,
                user_agent: user_agent.as_deref(),
                request_id: request_id.as_deref(),
                forwarded_for: forwarded_for.as_deref(),
            });

            prop_assert_eq!([request.method(), request.path(), request.host()], [&method[..], &path, &host]);
            prop_assert_eq!(request.method_and_path(), [&method[..], b" ", &path].concat());
            prop_assert_eq!(request.user_agent(), user_agent.as_deref());
            prop_assert_eq!(request.request_id(), request_id.as_deref());
            prop_assert_eq!(request.forwarded_for(), forwarded_for.as_deref());

            let tunnel = request.with_host(&target);
            prop_assert_eq!([tunnel.host(), tunnel.method_and_path()], [&target[..], request.method_and_path()]);
            prop_assert_eq!(tunnel.forwarded_for(), request.forwarded_for());
        }
    }
}
