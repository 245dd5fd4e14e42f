//! The caller's trace context from `traceparent`.

use crate::record::TraceContext;

/// Reads a `traceparent` (W3C Trace Context, section 3.2); `None` when it is not valid.
#[must_use]
pub(in crate::recorder) fn parse(value: &[u8]) -> Option<TraceContext> {
    let (version, rest) = field::<2>(value)?;
    let (trace_id, rest) = field::<32>(rest.strip_prefix(b"-")?)?;
    let (span_id, rest) = field::<16>(rest.strip_prefix(b"-")?)?;
    let (_flags, rest) = field::<2>(rest.strip_prefix(b"-")?)?;
    // Later versions may have more fields.
    let is_whole = rest.is_empty() || version != b"00" && rest.starts_with(b"-");
    let is_zero = |id: &[u8]| id.iter().all(|digit| *digit == b'0');
    if !is_whole || version == b"ff" || is_zero(trace_id) || is_zero(span_id) {
        return None;
    }

    Some(TraceContext {
        trace_id: *trace_id,
        span_id: *span_id,
    })
}

/// `N` lower-case hexadecimal digits, and the rest.
fn field<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8])> {
    let (digits, rest) = text.split_first_chunk()?;
    digits
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .then_some((digits, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_ids_count() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let span = "b7ad6b7169203331";
        let valid = format!("00-{trace}-{span}-01");
        let parsed = parse(valid.as_bytes()).unwrap();

        assert_eq!(parsed.trace_id.as_slice(), trace.as_bytes());
        assert_eq!(parsed.span_id.as_slice(), span.as_bytes());
        assert!(parse(format!("01-{trace}-{span}-01-more").as_bytes()).is_some());
        for bad in [
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{span}"),
            format!("00-{trace}a-{span}-01"),
            format!("00-{trace}-{span}-0"),
            format!("00-{trace}-{span}-011"),
            format!("01-{trace}-{span}-01more"),
            format!("0-{trace}-{span}-01"),
            String::new(),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
