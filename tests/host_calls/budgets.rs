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
    row("check",                   "body 1, clock 2, map 3, property 2",                                             37_242, 816),
    row("check, hmac",             "body 1, clock 2, map 3, property 2",                                             66_143, 816),
    row("tracked",                 "clock 2, map 2, property 2, remove 2",                                           29_937, 707),
    row("tracked, hmac",           "clock 2, map 2, property 2, remove 2",                                           58_773, 707),
    row("tracked unary",           "clock 2, header 2, map 2, property 1, remove 2",                                 31_645, 705),
    row("tracked unary, hmac",     "clock 2, header 2, map 2, property 1, remove 2",                                 60_498, 705),
    row("one rule: untracked",     "map 1",                                                                           4_956, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           29_512, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           58_348, 707),
    row("one rule: unary",         "clock 2, header 2, map 2, property 1, remove 2",                                 31_358, 705),
    row("one rule: unary, hmac",   "clock 2, header 2, map 2, property 1, remove 2",                                 60_211, 705),
    row("plain record",            "clock 2, map 2, property 2",                                                     23_824, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     24_462, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     24_486, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     27_975, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     25_625, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          26_894, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              27_674, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     24_090, 532),
    row("session start",           "clock 2, map 3, property 2, random 1, replace 1",                                29_045, 706),
    row("set_tracking",            "map 1, replace 3",                                                               10_290, 425),
];

/// Of `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                           4_687, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           29_158, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           57_994, 707),
    row("one rule: unary",         "clock 2, header 2, map 2, property 1, remove 2",                                 31_004, 705),
    row("one rule: unary, hmac",   "clock 2, header 2, map 2, property 1, remove 2",                                 59_857, 705),
    row("plain record",            "clock 2, map 2, property 2",                                                     23_506, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     24_126, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     24_150, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     27_657, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     25_307, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          26_576, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              27_356, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     23_766, 532),
    row("set_tracking",            "map 1, replace 3",                                                               10_021, 425),
];
