//! What a request may cost: host calls exactly, fuel and copied bytes with about five hundredths of air. What costs less
//! takes its new numbers from the line that the test prints.

pub(crate) struct Budget {
    pub(crate) case: &'static str,
    /// As `Tally::call_line` writes them.
    pub(crate) calls: &'static str,
    pub(crate) fuel: u64,
    /// Between host and VM, both ways.
    pub(crate) bytes: usize,
}

const fn row(case: &'static str, calls: &'static str, fuel: u64, bytes: usize) -> Budget {
    Budget { case, calls, fuel, bytes }
}

/// Of `audit_filter.wasm`.
#[rustfmt::skip]
pub(crate) const FULL: &[Budget] = &[
    row("untracked",               "map 1",                                                                           5_447, 339),
    row("check",                   "body 1, clock 2, map 3, property 2",                                             40_496, 816),
    row("check, hmac",             "body 1, clock 2, map 3, property 2",                                             69_490, 816),
    row("tracked",                 "clock 2, map 2, property 2, remove 2",                                           33_364, 707),
    row("tracked, hmac",           "clock 2, map 2, property 2, remove 2",                                           62_293, 707),
    row("tracked unary",           "clock 2, header 2, map 2, property 1, remove 2",                                 35_616, 705),
    row("tracked unary, hmac",     "clock 2, header 2, map 2, property 1, remove 2",                                 64_561, 705),
    row("one rule: untracked",     "map 1",                                                                           4_956, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           32_939, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           61_868, 707),
    row("one rule: unary",         "clock 2, header 2, map 2, property 1, remove 2",                                 35_328, 705),
    row("one rule: unary, hmac",   "clock 2, header 2, map 2, property 1, remove 2",                                 64_273, 705),
    row("plain record",            "clock 2, map 2, property 2",                                                     26_994, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     27_747, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     27_759, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     31_054, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     28_750, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          30_458, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              31_204, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     27_416, 532),
    row("session start",           "clock 2, map 3, property 2, random 1, replace 1",                                32_418, 706),
    row("set_tracking",            "map 1, replace 3",                                                               10_290, 425),
];

/// Of `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                           4_687, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           32_585, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           61_514, 707),
    row("one rule: unary",         "clock 2, header 2, map 2, property 1, remove 2",                                 34_974, 705),
    row("one rule: unary, hmac",   "clock 2, header 2, map 2, property 1, remove 2",                                 63_919, 705),
    row("plain record",            "clock 2, map 2, property 2",                                                     26_676, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     27_411, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     27_423, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     30_736, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     28_431, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          30_140, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              30_886, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     27_093, 532),
    row("set_tracking",            "map 1, replace 3",                                                               10_021, 425),
];
