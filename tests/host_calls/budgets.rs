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
    row("check",                   "body 1, clock 2, map 3, property 2",                                             40_821, 816),
    row("check, hmac",             "body 1, clock 2, map 3, property 2",                                             69_856, 816),
    row("tracked",                 "clock 2, map 2, property 2, remove 2",                                           32_302, 707),
    row("tracked, hmac",           "clock 2, map 2, property 2, remove 2",                                           58_773, 707),
    row("tracked unary",           "clock 2, map 3, property 1, remove 2",                                           34_574, 747),
    row("tracked unary, hmac",     "clock 2, map 3, property 1, remove 2",                                           63_611, 747),
    row("one rule: untracked",     "map 1",                                                                           4_956, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           31_887, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           58_348, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           34_264, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           63_301, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     26_241, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     26_881, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     26_904, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     30_385, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     28_035, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          29_312, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              30_135, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     26_500, 532),
    row("session start",           "clock 2, map 3, property 2, random 1, replace 1",                                31_365, 706),
    row("set_tracking",            "map 1, replace 3",                                                               11_564, 425),
];

/// Of `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                           4_687, 339),
    row("one rule: tracked",       "clock 2, map 2, property 2, remove 2",                                           31_422, 707),
    row("one rule: tracked, hmac", "clock 2, map 2, property 2, remove 2",                                           57_994, 707),
    row("one rule: unary",         "clock 2, map 3, property 1, remove 2",                                           33_786, 747),
    row("one rule: unary, hmac",   "clock 2, map 3, property 1, remove 2",                                           62_823, 747),
    row("plain record",            "clock 2, map 2, property 2",                                                     25_814, 532),
    row("identity, absent header", "clock 2, map 2, property 2",                                                     26_434, 532),
    row("identity, metadata",      "clock 2, map 2, property 3",                                                     26_457, 564),
    row("capture of the request",  "clock 2, map 2, property 2",                                                     29_958, 532),
    row("capture of the response", "clock 2, map 2, property 2",                                                     27_607, 532),
    row("correlate, worker",       "clock 2, map 2, property 2, replace 2",                                          28_885, 614),
    row("correlate, process",      "clock 2, map 2, property 2, replace 2, shared get 1, shared set 1",              29_707, 721),
    row("session end",             "clock 2, map 2, property 2",                                                     26_073, 532),
    row("set_tracking",            "map 1, property 1, replace 3",                                                   11_478, 468),
];
