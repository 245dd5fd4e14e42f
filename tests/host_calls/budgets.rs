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
    row("check",                   "body 1, clock 2, map 3, property 2",                                             32_763, 816),
    row("check, hmac",             "body 1, clock 2, map 3, property 2",                                             62_753, 816),
    row("tracked",                 "clock 2, map 2, property 2, remove 2",                                           27_325, 707),
    row("tracked, hmac",           "clock 2, map 2, property 2, remove 2",                                           56_809, 707),
    row("tracked unary",           "clock 2, map 3, property 1, remove 2",                                           29_149, 747),
    row("tracked unary, hmac",     "clock 2, map 3, property 1, remove 2",                                           58_702, 747),
    row("one rule: untracked",     "map 1",                                                                           5_271, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           26_908, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           56_392, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           28_851, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           58_405, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     21_723, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     22_239, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     22_253, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     25_998, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     23_677, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          24_996, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              25_798, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     21_951, 532),
    row("session start",           "clock 2, map 3, property 2, random 1, replace 1",                                26_936, 706),
    row("set_tracking",            "map 1, replace 3",                                                               11_949, 425),
];

/// For `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                           4_883, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           26_358, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           55_842, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           28_289, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           57_842, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     21_204, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     21_704, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     21_719, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     25_479, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     23_158, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          24_477, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              25_279, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     21_432, 532),
    row("set_tracking",            "map 1, property 1, replace 3",                                                   11_777, 468),
];
