//! The session-tracking headers: reading them, and choosing those to remove.

pub mod set_tracking;

use super::bounds::clipped;
use super::headers::values::Values;
use super::headers::{Headers, Names, is_same};
use super::session::token::sha256_hex;
pub use crate::record::Context;

/// Names and handling of the control headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingSettings {
    /// The value `true` makes a request tracked. Always removed.
    pub track_header: String,
    /// Label of the operation, recorded as the action. Always removed.
    pub operation_header: String,
    /// Opaque session context, recorded as received.
    pub context_header: String,
    /// Whether the context is also removed.
    pub strip_context: bool,
    /// Whether a tracked request without context is recorded.
    pub record_empty_context: bool,
    /// Longest context recorded in clear, in bytes.
    pub max_context_bytes: usize,
    /// The two correlation headers. Removed from every request, since only this filter may set
    /// them.
    pub correlation_headers: [String; 2],
}

/// Value of the track header for a tracked request.
const TRACKED: &[u8] = b"true";

/// Longest recorded operation label, in bytes; the rest is cut.
pub const MAX_OPERATION_BYTES: usize = 256;

/// Which control and correlation headers are present in one header map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    control: [bool; 3],
    correlation: [bool; 2],
}

impl Presence {
    /// Looks for all five names.
    #[must_use]
    pub(super) fn of(headers: &Headers<'_>, names: &TrackingNames) -> Self {
        let [track, operation, context, session_id, sequence] = headers.which(names);
        Self {
            control: [track, operation, context],
            correlation: [session_id, sequence],
        }
    }

    /// Whether track, operation or context is present, so that the peer must be checked.
    #[must_use]
    pub fn has_control(self) -> bool {
        self.control.contains(&true)
    }

    /// Number of control headers present, 0 to 3.
    #[must_use]
    pub fn control_count(self) -> u64 {
        self.control.iter().map(|present| u64::from(*present)).sum()
    }

    /// The names that count as absent: correlation headers always, control headers if the peer is
    /// not trusted.
    #[must_use]
    pub fn hidden(self, settings: &TrackingSettings, trusted: bool) -> Vec<&str> {
        let control = if trusted { [false; 3] } else { self.control };
        Self { control, ..self }.to_remove(settings, trusted)
    }

    /// The names to remove. The context is removed if so configured, or if the peer is not trusted.
    #[must_use]
    pub fn to_remove(self, settings: &TrackingSettings, trusted: bool) -> Vec<&str> {
        let mut names = Vec::new();
        if self == Self::default() {
            return names;
        }

        let [track, operation, context] = self.control;
        let [session_id, sequence] = self.correlation;
        let [first, second] = &settings.correlation_headers;
        let mut add = |name, remove: bool| {
            if remove {
                names.push(name);
            }
        };

        add(settings.track_header.as_str(), track);
        add(&settings.operation_header, operation);
        add(
            &settings.context_header,
            context && (settings.strip_context || !trusted),
        );
        add(first, session_id);
        add(second, sequence);
        names
    }
}

/// Names of the control headers and of the correlation headers.
pub(super) type TrackingNames = Names<5, String>;

impl TrackingSettings {
    /// All five names.
    pub(super) fn names(&self) -> TrackingNames {
        let [session_id, sequence] = self.correlation_headers.clone();
        let [track, operation, context] = self.control_headers().map(str::to_owned);
        Names::configured([track, operation, context, session_id, sequence])
    }

    fn control_headers(&self) -> [&str; 3] {
        [
            &self.track_header,
            &self.operation_header,
            &self.context_header,
        ]
    }
}

/// Content of the control headers of a trusted peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// One of the track values is exactly `true`.
    pub tracked: bool,
    /// Last non-empty operation label, cut to [`MAX_OPERATION_BYTES`].
    pub operation: Option<Vec<u8>>,
    /// Last non-empty context.
    pub context: Option<Context>,
    /// A source has more than one distinct value.
    pub conflict: bool,
}

impl Tracking {
    /// Reads the control headers of a request from a trusted peer.
    #[must_use]
    pub fn read(headers: &Headers<'_>, settings: &TrackingSettings) -> Self {
        let (mut tracked, mut track) = (false, Values::default());
        for value in headers.all(&settings.track_header) {
            // Nearly always a single value, not a list.
            if is_same(value, TRACKED) {
                tracked = true;
                track.add(value);
                continue;
            }
            for item in list_items(value) {
                tracked |= item == TRACKED;
                track.add(item);
            }
        }

        let mut conflict = track.disagree;
        let operation = headers
            .values(&settings.operation_header)
            .noting(&mut conflict);
        let context = headers
            .values(&settings.context_header)
            .noting(&mut conflict);

        Self {
            tracked,
            operation: operation.map(|value| clipped(value, MAX_OPERATION_BYTES).to_vec()),
            context: context.map(|value| Context::bounded(value, settings.max_context_bytes)),
            conflict,
        }
    }
}

impl Context {
    fn bounded(value: &[u8], max_bytes: usize) -> Self {
        if value.len() <= max_bytes {
            return Self::Whole(value.to_vec());
        }
        Self::Hashed {
            sha256: sha256_hex(value),
            length: value.len(),
        }
    }
}

/// The items of a list (RFC 9110 section 5.6.1), without empty ones.
fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA256_OF_17_A: &str = "b860666ee2966dd8f903be44ee605c6e1366f926d9f17a8f49937d11624eb99d";

    fn settings() -> TrackingSettings {
        TrackingSettings {
            track_header: "x-session-track".to_owned(),
            operation_header: "x-session-operation".to_owned(),
            context_header: "x-session-context".to_owned(),
            strip_context: false,
            record_empty_context: false,
            max_context_bytes: 16,
            correlation_headers: [
                "x-audit-stream-id".to_owned(),
                "x-audit-sequence-number".to_owned(),
            ],
        }
    }

    fn headers<'a>(pairs: &[(&'a str, &'a [u8])]) -> Headers<'a> {
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes(), *value))
            .collect()
    }

    #[track_caller]
    fn check_tracked(values: &[&str], tracked: bool, conflict: bool) {
        let pairs: Vec<_> = values
            .iter()
            .map(|value| ("x-session-track", value.as_bytes()))
            .collect();
        let tracking = Tracking::read(&headers(&pairs), &settings());

        assert_eq!(
            (tracking.tracked, tracking.conflict),
            (tracked, conflict),
            "{values:?}"
        );
    }

    #[test]
    fn only_an_exact_true_tracks() {
        check_tracked(&["true"], true, false);
        check_tracked(&[" true "], true, false);
        check_tracked(&["false"], false, false);
        check_tracked(&["TRUE"], false, false);
        check_tracked(&["1"], false, false);
        check_tracked(&[""], false, false);
        check_tracked(&["false", "true"], true, true);
        check_tracked(&["true", "false"], true, true);
        check_tracked(&["false, true"], true, true);
        check_tracked(&["true,true", "true"], true, false);
        check_tracked(&["true, ,", ""], true, false);
        check_tracked(&["nottrue"], false, false);
        check_tracked(&[], false, false);
    }

    #[test]
    fn operation_and_context_use_the_last_value() {
        let pairs: [(&str, &[u8]); 4] = [
            ("x-session-operation", b"first"),
            ("x-session-operation", b"last"),
            ("x-session-context", b"same"),
            ("x-session-context", b"same"),
        ];
        let tracking = Tracking::read(&headers(&pairs), &settings());

        assert_eq!(tracking.operation.as_deref(), Some(b"last".as_slice()));
        assert_eq!(tracking.context, Some(Context::Whole(b"same".to_vec())));
        assert!(tracking.conflict);
    }

    #[test]
    fn a_long_context_is_hashed() {
        let tracking = Tracking::read(&headers(&[("x-session-context", &[b'a'; 17])]), &settings());
        let sha256 = SHA256_OF_17_A.to_owned();
        assert_eq!(
            tracking.context,
            Some(Context::Hashed { sha256, length: 17 })
        );
        let tracking = Tracking::read(&headers(&[("x-session-context", &[b'a'; 16])]), &settings());
        assert_eq!(tracking.context, Some(Context::Whole(vec![b'a'; 16])));
    }

    #[test]
    fn removal_depends_on_trust_and_configuration() {
        let all: Vec<(&str, &[u8])> = vec![
            ("x-session-track", b"x"),
            ("x-session-operation", b"x"),
            ("x-session-context", b"x"),
            ("x-audit-stream-id", b"x"),
        ];
        let keep = settings();
        let presence = Presence::of(&headers(&all), &keep.names());
        let trusted = presence.to_remove(&keep, true);

        assert_eq!(
            trusted,
            [
                "x-session-track",
                "x-session-operation",
                "x-audit-stream-id"
            ]
        );
        assert_eq!(presence.to_remove(&keep, false).len(), 4);

        let strip = TrackingSettings {
            strip_context: true,
            ..settings()
        };

        assert_eq!(presence.to_remove(&strip, true).len(), 4);
        assert_eq!(presence.control_count(), 3);
    }

    proptest! {
        #[test]
        fn removal_names_only_what_is_there(names in prop::collection::vec(0..7_usize, 0..6), trusted: bool, strip_context: bool) {
            let settings = TrackingSettings { strip_context, ..settings() };
            let pool = [":path", "cookie", "x-session-track", "x-session-operation", "x-session-context", "x-audit-stream-id", "x-audit-sequence-number"];
            let pairs: Vec<(&str, &[u8])> = names.iter().map(|index| (pool[*index], b"v".as_slice())).collect();
            let view = headers(&pairs);
            let remove = Presence::of(&view, &settings.names()).to_remove(&settings, trusted);
            prop_assert!(remove.iter().all(|name| view.has(name) && name.starts_with("x-")));
            let left: Vec<_> = pairs.iter().copied().filter(|(name, _)| !remove.contains(name)).collect();
            prop_assert!(Presence::of(&headers(&left), &settings.names()).to_remove(&settings, trusted).is_empty());
        }
    }
}
