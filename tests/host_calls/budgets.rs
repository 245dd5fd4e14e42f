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
    row("untracked",               "map 1",                                                                         9_573, 304),
    row("check",                   "body 1, clock 2, header 1, map 2, property 2",                                 65_195, 630),
    row("check, hmac",             "body 1, clock 2, header 1, map 2, property 2",                                100_357, 630),
    row("tracked",                 "clock 2, header 2, map 1, property 3, remove 2",                               65_804, 645),
    row("tracked, hmac",           "clock 2, header 2, map 1, property 3, remove 2",                              100_671, 645),
    row("tracked unary",           "clock 2, header 4, map 1, property 3, remove 2",                               72_958, 684),
    row("tracked unary, hmac",     "clock 2, header 4, map 1, property 3, remove 2",                              107_788, 684),
    row("plain record",            "clock 2, header 1, map 1, property 2",                                         47_103, 412),
    row("identity, absent header", "clock 2, header 1, map 1, property 2",                                         50_152, 412),
    row("identity, metadata",      "clock 2, header 1, map 1, property 3",                                         49_823, 445),
    row("capture of the request",  "clock 2, header 1, map 1, property 2",                                         52_729, 412),
    row("capture of the response", "clock 2, header 1, map 2, property 2",                                         51_172, 513),
    row("correlate, worker",       "clock 2, header 1, map 1, property 2, replace 2",                              53_860, 494),
    row("correlate, process",      "clock 2, header 1, map 1, property 2, replace 2, shared get 1, shared set 1",  54_632, 601),
    row("session end",             "clock 2, header 1, map 1, property 2",                                         48_245, 412),
    row("session start",           "clock 2, header 1, map 2, property 2, random 1, replace 1",                    56_158, 586),
    row("set_tracking",            "map 1, replace 3",                                                             16_217, 390),
];
