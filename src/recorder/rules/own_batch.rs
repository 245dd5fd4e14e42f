//! Batches of this filter that pass through another instance of it. An example is the proxy in
//! front of the collector, if one plugin covers a whole mesh. Recording each would cause another
//! batch, in an endless loop.
//!
//! Any client can imitate the marks of a batch. They count only with a proof: the secret headers
//! that the configuration adds to every batch, or a trusted peer if it adds none. Without a proof
//! the request is recorded like any other.

use super::{Policy, RequestHead};
use crate::recorder::capture::redact::looks_secret;
use crate::recorder::headers::Headers;
use crate::recorder::uri::path;

/// The form of this configuration's batches, and the proof that a request is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBatch {
    product: &'static str,
    target: String,
    /// The target, normalized.
    path: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl OwnBatch {
    /// `product` is the text before the slash in the user agent, `target` is the request target.
    /// `headers` are those that the configuration adds to every batch; those with a secret-looking
    /// name are the proof.
    #[must_use]
    pub fn new(product: &'static str, target: &str, headers: &[(String, String)]) -> Self {
        let path = path::normalize(target.as_bytes()).into_owned();
        Self {
            product,
            target: target.to_owned(),
            path,
            headers: headers.to_vec(),
        }
    }

    /// Whether batches carry a secret header as proof.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.headers.iter().any(is_secret)
    }

    /// Whether a recording rule matches batches. `authority` and `content_type` are those of the
    /// callouts.
    #[must_use]
    pub fn is_recorded_by(&self, policy: &Policy, authority: &str, content_type: &str) -> bool {
        let user_agent = [self.product, "/x"].concat();
        let fixed = [
            ("user-agent", user_agent.as_str()),
            ("content-type", content_type),
            ("idempotency-key", "x"),
        ];
        let given = self.headers.iter();
        let headers: Headers<'_> = fixed
            .into_iter()
            .chain(given.map(|(name, value)| (name.as_str(), value.as_str())))
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();

        let head = RequestHead {
            headers: &headers,
            method: b"POST",
            path: &self.path,
            authority: authority.as_bytes(),
            tracked: false,
        };
        policy.candidates(&head).any(|(rule, _)| rule.recorded)
    }

    /// Whether the request has the marks of a batch, compared byte by byte: an ambiguous spelling
    /// has not. For a path of another length this costs one comparison.
    pub(in crate::recorder) fn resembles(&self, head: &RequestHead<'_>) -> bool {
        head.path == self.path && self.has_marks(head)
    }

    #[cold]
    #[inline(never)]
    fn has_marks(&self, head: &RequestHead<'_>) -> bool {
        let agent = head.headers.only("user-agent").unwrap_or_default();
        let version = agent
            .strip_prefix(self.product.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"));
        let is_same_target = head.headers.first(":path") == Some(self.target.as_bytes());
        head.method == b"POST"
            && is_same_target
            && version.is_some()
            && head.headers.has("idempotency-key")
    }

    /// Whether the request carries every secret of a batch. `None` if batches have none.
    pub(in crate::recorder) fn is_proven(&self, headers: &Headers<'_>) -> Option<bool> {
        let mut is_proven = None;
        for (name, value) in self.headers.iter().filter(|header| is_secret(header)) {
            let carries = headers
                .only(name)
                .is_some_and(|found| is_equal(found, value.as_bytes()));
            is_proven = Some(carries && is_proven != Some(false));
        }
        is_proven
    }
}

fn is_secret((name, value): &(String, String)) -> bool {
    looks_secret(name) && !value.is_empty()
}

/// Constant-time comparison, so that timing does not reveal a matching prefix of a secret.
fn is_equal(found: &[u8], secret: &[u8]) -> bool {
    let difference = found
        .iter()
        .zip(secret)
        .fold(0, |difference, (one, other)| difference | (one ^ other));
    found.len() == secret.len() && difference == 0
}
