//! Counts while the module runs.

use std::collections::BTreeMap;

/// Counts since they were last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Host calls by the import's name without `proxy_`.
    pub(crate) calls: BTreeMap<String, u32>,
    /// Calls into the VM and their fuel, by the export's name without `proxy_on_`. The fuel of
    /// `memory_allocate` is part of the callback with the host call that needed a buffer.
    pub(crate) callbacks: BTreeMap<String, (u32, u64)>,
    /// Bytes that the host wrote into the VM's memory: values, and their addresses.
    pub(crate) bytes_in: usize,
    /// Bytes that the host read from it: names, values, bodies.
    pub(crate) bytes_out: usize,
    /// The engine's measure of executed code, about one a wasm instruction.
    pub(crate) fuel: u64,
}

impl Tally {
    pub(crate) fn note_call(&mut self, name: &str) {
        *self.calls.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn note_callback(&mut self, name: &str, fuel: u64) {
        let (count, sum) = self.callbacks.entry(name.to_owned()).or_default();
        *count += 1;
        *sum += fuel;
    }

    /// Fuel of one kind of callback.
    pub(crate) fn fuel_of(&self, callback: &str) -> u64 {
        self.callbacks.get(callback).map_or(0, |(_, fuel)| *fuel)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes_in + self.bytes_out
    }

    /// Host calls in one line: `clock 2, map 1`.
    pub(crate) fn call_line(&self) -> String {
        let mut calls: Vec<String> = self
            .calls
            .iter()
            .map(|(name, count)| format!("{} {count}", short(name)))
            .collect();
        calls.sort();
        calls.join(", ")
    }

    /// Callbacks in one line, each with its fuel: `log 1 (81234)`.
    pub(crate) fn callback_line(&self) -> String {
        let line =
            |(name, (count, fuel)): (&String, &(u32, u64))| format!("{name} {count} ({fuel})");
        self.callbacks
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Short names for tables.
fn short(import: &str) -> &str {
    match import {
        "clock_time_get" | "get_current_time_nanoseconds" => "clock",
        "get_header_map_pairs" => "map",
        "get_header_map_value" => "header",
        "remove_header_map_value" => "remove",
        "replace_header_map_value" => "replace",
        "get_property" => "property",
        "get_buffer_bytes" => "body",
        "get_shared_data" => "shared get",
        "set_shared_data" => "shared set",
        "random_get" => "random",
        "enqueue_shared_queue" => "wake",
        _ => import,
    }
}
