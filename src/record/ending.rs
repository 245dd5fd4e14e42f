//! How an exchange ended, with the words used on the wire.

/// What the server did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// HTTP below 400; gRPC 0.
    Success,
    /// Other HTTP statuses from 400 on; other gRPC codes.
    Failure,
    /// HTTP 401, 403, 407; gRPC 7 and 16.
    Denied,
    /// No status, or a response that the upstream or Envoy interrupted.
    Aborted,
}

impl Outcome {
    /// The word used in the configuration and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
            Self::Aborted => "aborted",
        }
    }
}

/// How the stream of an exchange ended: `audit.termination`. Independent of the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Termination {
    /// With everything that the server sent.
    #[default]
    Complete,
    /// The client disconnected, or violated the protocol.
    Client,
    /// The upstream reset the stream or connection.
    Upstream,
    /// A timeout in Envoy.
    Timeout,
    /// Envoy, for another reason.
    Proxy,
}

impl Termination {
    /// The word on the wire; `None` for a complete stream, which omits the attribute.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Complete => None,
            Self::Client => Some("client"),
            Self::Upstream => Some("upstream"),
            Self::Timeout => Some("timeout"),
            Self::Proxy => Some("proxy"),
        }
    }
}

/// Which part of an exchange a record is about: `audit.stage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before it goes upstream, where a rule requires an acknowledgement first.
    Received,
    /// Still open after `stages.started_after`.
    Started,
    /// Its end.
    Complete,
}

impl Stage {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Started => "started",
            Self::Complete => "complete",
        }
    }
}
