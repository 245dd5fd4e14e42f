//! The text of the metrics, in the format that the client accepts.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};

/// A text format of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0, which the library writes.
    OpenMetrics,
    /// Prometheus 0.0.4, which every tool reads.
    Text,
}

impl Format {
    /// What a request accepts most, and the older format without a preference (RFC 9110 12.5.1).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted: Vec<_> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(Range::read)
            .collect();

        let weight = |format: Self| {
            let matching = accepted.iter().filter(|range| range.covers(format));
            let most_specific = matching.max_by_key(|range| range.precedence());
            most_specific.map_or(0, |range| range.weight)
        };
        if weight(Self::OpenMetrics) > weight(Self::Text) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The type and the version without the rest.
    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
            Self::Text => ("text/plain", "0.0.4"),
        }
    }

    /// The text in this format, from that of OpenMetrics.
    pub(super) fn write(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => to_text(&open_metrics),
        }
    }
}

/// An entry of `accept`.
struct Range<'a> {
    media_type: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// `None` where the weight is none.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            media_type: parts.next()?,
            version: None,
            weight: 1000,
        };

        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if name.eq_ignore_ascii_case("q") {
                let weight: f64 = value.parse().ok()?;
                range.weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
            } else if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            }
        }
        Some(range)
    }

    fn covers(&self, format: Format) -> bool {
        let (media_type, version) = format.media_type();
        let kind = media_type.split('/').next().unwrap_or_default();
        let is_covered = self.media_type == "*/*"
            || self.media_type.strip_suffix("/*") == Some(kind)
            || self.media_type.eq_ignore_ascii_case(media_type);
        is_covered && self.version.is_none_or(|accepted| accepted == version)
    }

    /// A type counts before a range, and with parameters before one without.
    fn precedence(&self) -> (bool, bool, bool) {
        let is_any = self.media_type == "*/*";
        let is_range = self.media_type.ends_with("/*");
        (!is_any, !is_range, self.version.is_some())
    }
}

/// In the older format a counter has its suffix in its name, there is no type for information, and
/// neither units nor an end.
fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;

    for line in open_metrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            push(&mut text, &[line]);
            continue;
        };

        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(_), rest) => help = rest,
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (name, kind) = named(name, kind);
                push(
                    &mut text,
                    &["# HELP ", &name, " ", help.unwrap_or_default()],
                );
                push(&mut text, &["# TYPE ", &name, " ", kind]);
            }
            _ => {}
        }
    }
    text
}

fn named<'a>(name: &'a str, kind: &'a str) -> (Cow<'a, str>, &'a str) {
    match kind {
        "counter" => (format!("{name}_total").into(), kind),
        "info" => (format!("{name}_info").into(), "gauge"),
        _ => (name.into(), kind),
    }
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepting(values: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        Format::of(&headers)
    }

    #[test]
    fn the_preferred_format_is_chosen() {
        use Format::{OpenMetrics, Text};
        // As Prometheus 2.42 and 3 send it.
        let old = "application/openmetrics-text;version=1.0.0,\
                   application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let new = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                   text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

        for (accept, format) in [
            (&[][..], Text),
            (&["*/*"], Text),
            (&[browser], Text),
            (&[old], OpenMetrics),
            (&[new], OpenMetrics),
            (&["application/openmetrics-text"], OpenMetrics),
            (
                &["Application/OpenMetrics-Text; Version=\"1.0.0\""],
                OpenMetrics,
            ),
            (&["application/*", "text/plain;q=0.5"], OpenMetrics),
            (&["text/plain", "application/openmetrics-text"], Text),
            (
                &["text/plain;q=0.2", "application/openmetrics-text;q=0.3"],
                OpenMetrics,
            ),
            (&["application/openmetrics-text;q=0"], Text),
            (&["application/openmetrics-text;version=2.0.0"], Text),
            (&["application/openmetrics-text;q=x"], Text),
            (&["*/*;q=0.9", "text/plain;q=0.1"], OpenMetrics),
            (&["application/json"], Text),
            (&[";;,=,q=,"], Text),
        ] {
            assert_eq!(accepting(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn what_the_older_format_lacks_is_written_in_its_way() {
        let open_metrics = "# HELP a Bodies.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\n\
                            a_bytes_total 1\n# HELP b Build.\n# TYPE b info\nb_info{v=\"1\"} 1\n\
                            # HELP c Now.\n# TYPE c gauge\nc -2\n# EOF\n";
        let text = "# HELP a_bytes_total Bodies.\n# TYPE a_bytes_total counter\na_bytes_total 1\n\
                    # HELP b_info Build.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n\
                    # HELP c Now.\n# TYPE c gauge\nc -2\n";
        assert_eq!(Format::Text.write(open_metrics.to_owned()), text);
    }
}
