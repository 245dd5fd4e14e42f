//! Batches of this filter that pass through another instance of it, for example in the proxy in front of the collector
//! where one plugin covers a whole mesh. A record of each would make another batch, and so on without end.
//!
//! Any client can write the marks of a batch. They count only together with a proof: the secrets that the configuration
//! adds to every batch, or a trusted peer where it adds none. Without a proof the request is recorded like any other.

use super::headers::Headers;
use super::path;
use super::policy::{Policy, RequestHead};
use super::redact::looks_secret;

/// What batches of this configuration look like, and what proves that a request is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBatch {
    product: &'static str,
    target: String,
    /// The target in normal form.
    path: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl OwnBatch {
    /// `product` stands before the slash in the user agent, `target` is the request target, and `headers` are those that
    /// the configuration adds to every batch: the ones with a name that looks secret are the proof.
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

    /// Whether batches carry a proof of their own.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.headers.iter().any(is_secret)
    }

    /// Whether a rule that records has a batch among its requests, as far as method and path show it.
    #[must_use]
    pub fn is_recorded_by(&self, policy: &Policy) -> bool {
        let headers = Headers::default();
        let head = RequestHead {
            headers: &headers,
            method: b"POST",
            path: &self.path,
            authority: b"",
            tracked: false,
        };
        policy.candidates(&head).any(|(rule, _)| rule.recorded)
    }

    /// Whether the request has the marks of a batch, byte by byte: what an upstream may read otherwise has not. For a path
    /// of another length it costs one comparison.
    pub(super) fn resembles(&self, head: &RequestHead<'_>) -> bool {
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

    /// Whether the request carries every secret of a batch. `None` where batches have none.
    pub(super) fn is_proven(&self, headers: &Headers<'_>) -> Option<bool> {
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

/// Takes the same time wherever the texts differ, so that the time does not show how much of a secret is right.
fn is_equal(found: &[u8], secret: &[u8]) -> bool {
    let difference = found
        .iter()
        .zip(secret)
        .fold(0, |difference, (one, other)| difference | (one ^ other));
    found.len() == secret.len() && difference == 0
}
