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
    row("untracked",               "map 1",                                                                         8_575, 304),
    row("check",                   "body 1, clock 2, header 1, map 2, property 2",                                 65_407, 658),
    row("check, hmac",             "body 1, clock 2, header 1, map 2, property 2",                                100_577, 658),
    row("tracked",                 "clock 2, header 2, map 1, property 2, remove 2",                               67_009, 625),
    row("tracked, hmac",           "clock 2, header 2, map 1, property 2, remove 2",                              101_930, 625),
    row("tracked unary",           "clock 2, header 4, map 1, property 1, remove 2",                               73_038, 633),
    row("tracked unary, hmac",     "clock 2, header 4, map 1, property 1, remove 2",                              107_948, 633),
    row("one rule: untracked",     "map 1",                                                                         8_394, 304),
    row("one rule: tracked",       "clock 2, header 2, map 1, property 2, remove 2",                               67_259, 625),
    row("one rule: tracked, hmac", "clock 2, header 2, map 1, property 2, remove 2",                              101_613, 625),
    row("one rule: unary",         "clock 2, header 4, map 1, property 1, remove 2",                               73_412, 633),
    row("one rule: unary, hmac",   "clock 2, header 4, map 1, property 1, remove 2",                              107_703, 633),
    row("plain record",            "clock 2, header 1, map 1, property 2",                                         47_622, 441),
    row("identity, absent header", "clock 2, header 1, map 1, property 2",                                         50_099, 441),
    row("identity, metadata",      "clock 2, header 1, map 1, property 3",                                         49_771, 473),
    row("capture of the request",  "clock 2, header 1, map 1, property 2",                                         53_315, 441),
    row("capture of the response", "clock 2, header 1, map 2, property 2",                                         51_816, 541),
    row("correlate, worker",       "clock 2, header 1, map 1, property 2, replace 2",                              54_732, 522),
    row("correlate, process",      "clock 2, header 1, map 1, property 2, replace 2, shared get 1, shared set 1",  55_456, 630),
    row("session end",             "clock 2, header 1, map 1, property 2",                                         48_471, 441),
    row("session start",           "clock 2, header 1, map 2, property 2, random 1, replace 1",                    57_065, 615),
    row("set_tracking",            "map 1, replace 3",                                                             15_254, 390),
];

/// Of `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                         8_092, 304),
    row("one rule: tracked",       "clock 2, header 2, map 1, property 2, remove 2",                               66_868, 625),
    row("one rule: tracked, hmac", "clock 2, header 2, map 1, property 2, remove 2",                              101_222, 625),
    row("one rule: unary",         "clock 2, header 4, map 1, property 1, remove 2",                               72_991, 633),
    row("one rule: unary, hmac",   "clock 2, header 4, map 1, property 1, remove 2",                              107_282, 633),
    row("plain record",            "clock 2, header 1, map 1, property 2",                                         47_266, 441),
    row("identity, absent header", "clock 2, header 1, map 1, property 2",                                         49_725, 441),
    row("identity, metadata",      "clock 2, header 1, map 1, property 3",                                         49_397, 473),
    row("capture of the request",  "clock 2, header 1, map 1, property 2",                                         52_959, 441),
    row("capture of the response", "clock 2, header 1, map 2, property 2",                                         51_460, 541),
    row("correlate, worker",       "clock 2, header 1, map 1, property 2, replace 2",                              54_374, 522),
    row("correlate, process",      "clock 2, header 1, map 1, property 2, replace 2, shared get 1, shared set 1",  55_098, 630),
    row("session end",             "clock 2, header 1, map 1, property 2",                                         48_107, 441),
    row("set_tracking",            "map 1, replace 3",                                                             14_949, 390),
];
