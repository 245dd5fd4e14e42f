//! Envoy's response flags as the short words of its access log.

/// Words by bit position (Envoy `source/common/stream_info/utility.h`, `CORE_RESPONSE_FLAGS`).
const WORDS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The set bits as words, comma-separated; a bit without a word as `bit<n>`. `None` when no bit is
/// set.
#[must_use]
pub(in crate::recorder) fn to_text(bits: u64) -> Option<String> {
    let word = |bit: usize| {
        WORDS
            .get(bit)
            .map_or_else(|| format!("bit{bit}"), |word| (*word).to_owned())
    };

    let words: Vec<String> = (0..64)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(word)
        .collect();

    (!words.is_empty()).then(|| words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observed_values() {
        for (bits, expected) in [
            (0, None),
            (2, Some("UH")),
            (4, Some("UT")),
            (32, Some("UF")),
            (64, Some("UC")),
            (256, Some("NR")),
            (16_384, Some("DC")),
            (262_144, Some("DPE")),
            (8_388_608, Some("UPE")),
            (268_435_456, Some("DR")),
            (32 | 32_768, Some("UF,URX")),
            (1 << 40, Some("bit40")),
        ] {
            assert_eq!(to_text(bits).as_deref(), expected, "{bits}");
        }
    }
}
