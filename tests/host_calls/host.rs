//! A proxy-wasm host that answers from tables, and counts calls and copied bytes.

use std::collections::BTreeMap;

use wasmtime::{Caller, Engine, Linker, Module, Result, Val};

use super::guest::{Guest, size};
use super::tally::Tally;
use super::vm::number;

/// `proxy_result_t` of ABI 0.2.1.
pub(crate) const OK: i32 = 0;
pub(crate) const NOT_FOUND: i32 = 1;
const BAD_ARGUMENT: i32 = 2;
const EMPTY: i32 = 7;

/// Header maps by their number in the ABI.
pub(crate) const REQUEST_HEADERS: i32 = 0;
pub(crate) const RESPONSE_HEADERS: i32 = 2;
pub(crate) const RESPONSE_TRAILERS: i32 = 3;
const CALL_RESPONSE_HEADERS: i32 = 6;

/// `proxy_buffer_type_t`
const PLUGIN_CONFIGURATION: i32 = 7;

/// Start of the clock: times with as many digits as in production.
const START_NANOS: u64 = 1_795_327_495_874_873_000;

pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// A batch in flight.
pub(crate) struct Callout {
    pub(crate) token: u32,
    /// Serialized request headers.
    pub(crate) header_bytes: usize,
    pub(crate) body: Vec<u8>,
}

/// Data of the host, and counts of calls.
pub(crate) struct Host {
    pub(crate) maps: BTreeMap<i32, Pairs>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) log: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) callouts: Vec<Callout>,
    /// Messages for which the VM has not been called yet, by queue.
    pub(crate) messages: Vec<i32>,
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    queues: Vec<Vec<u8>>,
    clock_nanos: u64,
    ids: u32,
}

impl Default for Host {
    fn default() -> Self {
        let call_response = vec![(":status".to_owned(), b"200".to_vec())];
        Self {
            maps: BTreeMap::from([(CALL_RESPONSE_HEADERS, call_response)]),
            properties: BTreeMap::new(),
            configuration: Vec::new(),
            body: Vec::new(),
            log: Vec::new(),
            tally: Tally::default(),
            callouts: Vec::new(),
            messages: Vec::new(),
            shared: BTreeMap::new(),
            queues: Vec::new(),
            clock_nanos: START_NANOS,
            ids: 0,
        }
    }
}

impl Host {
    pub(crate) fn advance_clock(&mut self, seconds: u64) {
        self.clock_nanos += seconds * 1_000_000_000;
    }

    /// Time passes while a request runs.
    fn now(&mut self) -> [u8; 8] {
        self.clock_nanos += 1_000_000;
        self.clock_nanos.to_le_bytes()
    }

    fn fresh_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    fn header(&self, map: i32, name: &str) -> Option<Vec<u8>> {
        self.maps
            .get(&map)?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }
}

/// Answers every import of the module.
pub(crate) fn linker(engine: &Engine, module: &Module) -> Linker<Host> {
    let mut linker = Linker::new(engine);

    for import in module.imports() {
        let (Some(ty), name) = (import.ty().func().cloned(), import.name().to_owned()) else {
            continue;
        };

        let answer = move |mut caller: Caller<'_, Host>, arguments: &[Val], results: &mut [Val]| {
            let kind = name.strip_prefix("proxy_").unwrap_or(&name);
            caller.data_mut().tally.note_call(kind);

            let arguments: Vec<i64> = arguments.iter().map(number).collect();
            let status = answer(
                kind,
                &mut Guest {
                    caller: &mut caller,
                },
                &arguments,
            )?;

            if let Some(result) = results.first_mut() {
                *result = Val::I32(status);
            }
            Ok(())
        };

        linker
            .func_new(import.module(), import.name(), ty, answer)
            .unwrap();
    }

    linker
}

fn answer(kind: &str, guest: &mut Guest<'_, '_>, arguments: &[i64]) -> Result<i32> {
    let at = |index: usize| i32::try_from(arguments[index]).unwrap();

    match kind {
        "get_header_map_pairs" => {
            let pairs = guest.host().maps.get(&at(0)).map(|pairs| serialized(pairs));
            guest.give(&pairs.unwrap_or_else(|| serialized(&[])), at(1), at(2))
        }
        "get_header_map_value" => {
            let name = guest.text(at(1), at(2));
            let found = guest.host().header(at(0), &name);
            guest.give_if(found, at(3), at(4))
        }
        "replace_header_map_value" | "add_header_map_value" => {
            guest.bytes(at(1), at(2));
            guest.bytes(at(3), at(4));
            Ok(OK)
        }
        "remove_header_map_value" => {
            guest.bytes(at(1), at(2));
            Ok(OK)
        }
        "get_property" => {
            let path = guest.text(at(0), at(1));
            let found = guest.host().properties.get(&path).cloned();
            guest.give_if(found, at(2), at(3))
        }
        "get_buffer_bytes" => {
            let host = guest.host();
            let from = if at(0) == PLUGIN_CONFIGURATION {
                &host.configuration
            } else {
                &host.body
            };
            let bytes: Vec<u8> = from
                .iter()
                .skip(size(at(1)))
                .take(size(at(2)))
                .copied()
                .collect();
            guest.give(&bytes, at(3), at(4))
        }
        "clock_time_get" => {
            let now = guest.host().now();
            guest.write(at(2), &now);
            Ok(OK)
        }
        "get_current_time_nanoseconds" => {
            let now = guest.host().now();
            guest.write(at(0), &now);
            Ok(OK)
        }
        "random_get" => {
            guest.write(at(0), &vec![7; size(at(1))]);
            Ok(OK)
        }
        "environ_sizes_get" => {
            guest.write(at(0), &[0; 4]);
            guest.write(at(1), &[0; 4]);
            Ok(OK)
        }
        "log" => {
            let line = guest.text(at(1), at(2));
            guest.host().log.push(line);
            Ok(OK)
        }
        _ => answer_of_the_process(kind, guest, at),
    }
}

/// Data shared by the workers of a process, and callouts.
fn answer_of_the_process(
    kind: &str,
    guest: &mut Guest<'_, '_>,
    at: impl Fn(usize) -> i32,
) -> Result<i32> {
    match kind {
        "get_shared_data" => {
            let key = guest.bytes(at(0), at(1));
            let Some((value, version)) = guest.host().shared.get(&key).cloned() else {
                return Ok(NOT_FOUND);
            };
            guest.write(at(4), &version.to_le_bytes());
            guest.give(&value, at(2), at(3))
        }
        "set_shared_data" => {
            let (key, value) = (guest.bytes(at(0), at(1)), guest.bytes(at(2), at(3)));
            let shared = &mut guest.host().shared;
            let version = shared.get(&key).map_or(1, |(_, version)| version + 1);
            shared.insert(key, (value, version));
            Ok(OK)
        }
        "register_shared_queue" => {
            let name = guest.bytes(at(0), at(1));
            let queues = &mut guest.host().queues;
            let known = queues.iter().position(|queue| *queue == name);
            let index = known.unwrap_or(queues.len());
            if known.is_none() {
                queues.push(name);
            }
            guest.write(at(2), &u32::try_from(index + 1).unwrap().to_le_bytes());
            Ok(OK)
        }
        "resolve_shared_queue" => Ok(NOT_FOUND),
        "enqueue_shared_queue" => {
            guest.bytes(at(1), at(2));
            guest.host().messages.push(at(0));
            Ok(OK)
        }
        "dequeue_shared_queue" => Ok(EMPTY),
        "define_metric" => {
            guest.bytes(at(1), at(2));
            let id = guest.host().fresh_id();
            guest.write(at(3), &id.to_le_bytes());
            Ok(OK)
        }
        "http_call" => {
            if guest.bytes(at(0), at(1)).is_empty() {
                // As Envoy for a cluster that it does not know.
                return Ok(BAD_ARGUMENT);
            }
            let header_bytes = guest.bytes(at(2), at(3)).len();
            let body = guest.bytes(at(4), at(5));
            let token = guest.host().fresh_id();
            guest.host().callouts.push(Callout {
                token,
                header_bytes,
                body,
            });
            guest.write(at(9), &token.to_le_bytes());
            Ok(OK)
        }
        _ => Ok(OK),
    }
}

/// A header map in a proxy-wasm host's encoding.
fn serialized(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    let mut out = length(pairs.len()).to_vec();
    for (name, value) in pairs {
        out.extend([length(name.len()), length(value.len())].concat());
    }
    for (name, value) in pairs {
        out.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
    }
    out
}
