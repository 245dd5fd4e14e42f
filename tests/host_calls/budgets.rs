//! The budget of a request: host calls exactly, fuel and copied bytes with about 5 % margin. For an
//! improvement, take the new numbers from the test's output.

pub(crate) struct Budget {
    pub(crate) case: &'static str,
    /// In the format of `Tally::call_line`.
    pub(crate) calls: &'static str,
    pub(crate) fuel: u64,
    /// Between host and VM, both ways.
    pub(crate) bytes: usize,
}

const fn row(case: &'static str, calls: &'static str, fuel: u64, bytes: usize) -> Budget {
    Budget {
        case,
        calls,
        fuel,
        bytes,
    }
}

/// For `audit_filter.wasm`.
#[rustfmt::skip]
pub(crate) const FULL: &[Budget] = &[
    row("untracked",               "map 1",                                                                           5_723, 339),
    row("check",                   "body 1, clock 2, map 3, property 2",                                             36_427, 816),
    row("check, hmac",             "body 1, clock 2, map 3, property 2",                                             65_191, 816),
    row("tracked",                 "clock 2, map 2, property 2, remove 2",                                           31_498, 707),
    row("tracked, hmac",           "clock 2, map 2, property 2, remove 2",                                           59_789, 707),
    row("tracked unary",           "clock 2, map 3, property 1, remove 2",                                           33_672, 747),
    row("tracked unary, hmac",     "clock 2, map 3, property 1, remove 2",                                           61_989, 747),
    row("one rule: untracked",     "map 1",                                                                           5_271, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           31_091, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           59_386, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           33_382, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           61_692, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     24_853, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     25_456, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     25_479, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     29_867, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     27_193, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          28_557, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              29_385, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     25_159, 532),
    row("session start",           "clock 2, map 3, property 2, random 1, replace 1",                                30_150, 706),
    row("set_tracking",            "map 1, replace 3",                                                               12_025, 425),
];

/// For `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                           4_883, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           30_542, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           58_921, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           32_820, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           61_215, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     24_342, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     24_925, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     24_949, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     29_355, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     26_682, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          28_046, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              28_873, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     24_647, 532),
    row("set_tracking",            "map 1, property 1, replace 3",                                                   11_863, 468),
];
