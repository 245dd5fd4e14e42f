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
    row("untracked",               "map 1",                                                                         5_285, 304),
    row("check",                   "body 1, clock 2, header 1, map 2, property 3",                                 45_501, 673),
    row("check, hmac",             "body 1, clock 2, header 1, map 2, property 3",                                 75_236, 673),
    row("tracked",                 "clock 2, header 2, map 1, property 4, remove 2",                               38_159, 688),
    row("tracked, hmac",           "clock 2, header 2, map 1, property 4, remove 2",                               67_265, 688),
    row("tracked unary",           "clock 2, header 4, map 1, property 3, remove 2",                               40_756, 684),
    row("tracked unary, hmac",     "clock 2, header 4, map 1, property 3, remove 2",                               70_146, 684),
    row("one rule: untracked",     "map 1",                                                                         5_160, 304),
    row("one rule: tracked",       "clock 2, header 2, map 1, property 4, remove 2",                               37_775, 688),
    row("one rule: tracked, hmac", "clock 2, header 2, map 1, property 4, remove 2",                               67_887, 688),
    row("one rule: unary",         "clock 2, header 4, map 1, property 3, remove 2",                               40_320, 684),
    row("one rule: unary, hmac",   "clock 2, header 4, map 1, property 3, remove 2",                               70_458, 684),
    row("plain record",            "clock 2, header 1, map 1, property 3",                                         30_486, 455),
    row("identity, absent header", "clock 2, header 1, map 1, property 3",                                         31_008, 455),
    row("identity, metadata",      "clock 2, header 1, map 1, property 4",                                         31_021, 488),
    row("capture of the request",  "clock 2, header 1, map 1, property 3",                                         35_525, 455),
    row("capture of the response", "clock 2, header 1, map 2, property 3",                                         34_230, 556),
    row("correlate, worker",       "clock 2, header 1, map 1, property 3, replace 2",                              34_246, 537),
    row("correlate, process",      "clock 2, header 1, map 1, property 3, replace 2, shared get 1, shared set 1",  35_219, 644),
    row("session end",             "clock 2, header 1, map 1, property 3",                                         30_771, 455),
    row("session start",           "clock 2, header 1, map 2, property 3, random 1, replace 1",                    37_186, 630),
    row("set_tracking",            "map 1, replace 3",                                                             11_642, 390),
];

/// Of `audit_filter_lean.wasm`: no callbacks on responses.
#[rustfmt::skip]
pub(crate) const LEAN: &[Budget] = &[
    row("one rule: untracked",     "map 1",                                                                         4_891, 304),
    row("one rule: tracked",       "clock 2, header 2, map 1, property 4, remove 2",                               37_422, 688),
    row("one rule: tracked, hmac", "clock 2, header 2, map 1, property 4, remove 2",                               67_533, 688),
    row("one rule: unary",         "clock 2, header 4, map 1, property 3, remove 2",                               39_966, 684),
    row("one rule: unary, hmac",   "clock 2, header 4, map 1, property 3, remove 2",                               70_104, 684),
    row("plain record",            "clock 2, header 1, map 1, property 3",                                         30_168, 455),
    row("identity, absent header", "clock 2, header 1, map 1, property 3",                                         30_672, 455),
    row("identity, metadata",      "clock 2, header 1, map 1, property 4",                                         30_685, 488),
    row("capture of the request",  "clock 2, header 1, map 1, property 3",                                         35_207, 455),
    row("capture of the response", "clock 2, header 1, map 2, property 3",                                         33_911, 556),
    row("correlate, worker",       "clock 2, header 1, map 1, property 3, replace 2",                              33_928, 537),
    row("correlate, process",      "clock 2, header 1, map 1, property 3, replace 2, shared get 1, shared set 1",  34_900, 644),
    row("session end",             "clock 2, header 1, map 1, property 3",                                         30_447, 455),
    row("set_tracking",            "map 1, replace 3",                                                             11_373, 390),
];
