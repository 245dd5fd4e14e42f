//! A proxy-wasm host that answers from tables and counts what it is asked for.

use std::collections::BTreeMap;

use wasmi::{Caller, Engine, Error, Extern, Linker, Memory, Module, Val, ValType};

/// `proxy_result_t` of ABI 0.2.1.
const OK: i32 = 0;
const NOT_FOUND: i32 = 1;

/// Header maps by their number in the ABI.
pub(crate) const REQUEST_HEADERS: i32 = 0;
pub(crate) const RESPONSE_HEADERS: i32 = 2;
pub(crate) const RESPONSE_TRAILERS: i32 = 3;

/// What the host knows, and what it was asked.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) maps: BTreeMap<i32, Vec<(String, Vec<u8>)>>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) log: Vec<String>,
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    clock: u64,
    calls: BTreeMap<String, u32>,
}

impl Host {
    /// What was called since the last time, by the function's name without `proxy_`.
    pub(crate) fn take_calls(&mut self) -> BTreeMap<String, u32> {
        std::mem::take(&mut self.calls)
    }
}

/// Answers every import of the module.
pub(crate) fn linker(engine: &Engine, module: &Module) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let (Some(ty), name) = (import.ty().func().cloned(), import.name().to_owned()) else { continue };
        let answer = move |mut caller: Caller<'_, Host>, arguments: &[Val], results: &mut [Val]| {
            let kind = name.strip_prefix("proxy_").unwrap_or(&name);
            *caller.data_mut().calls.entry(kind.to_owned()).or_default() += 1;
            let arguments: Vec<i64> = arguments.iter().map(number).collect();
            let status = answer(kind, &mut caller, &arguments)?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(status);
            }
            Ok(())
        };
        linker.func_new(import.module(), import.name(), ty, answer).unwrap();
    }
    linker
}

fn number(value: &Val) -> i64 {
    match value.ty() {
        ValType::I32 => value.i32().unwrap().into(),
        _ => value.i64().unwrap_or_default(),
    }
}

fn answer(kind: &str, caller: &mut Caller<'_, Host>, arguments: &[i64]) -> Result<i32, Error> {
    let at = |index: usize| i32::try_from(arguments[index]).unwrap();
    let mut guest = Guest { caller };
    match kind {
        "get_header_map_pairs" => {
            let pairs = guest.caller.data().maps.get(&at(0)).cloned().unwrap_or_default();
            guest.give(&serialized(&pairs), at(1), at(2))
        }
        "get_header_map_value" => {
            let name = guest.text(at(1), at(2));
            let pairs = guest.caller.data().maps.get(&at(0)).cloned().unwrap_or_default();
            let found = pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value);
            guest.give_if(found, at(3), at(4))
        }
        "get_property" => {
            let path = guest.text(at(0), at(1));
            let found = guest.caller.data().properties.get(&path).cloned();
            guest.give_if(found, at(2), at(3))
        }
        "get_buffer_bytes" => {
            let host = guest.caller.data();
            let from = if at(0) == PLUGIN_CONFIGURATION { &host.configuration } else { &host.body };
            let bytes: Vec<u8> = from.iter().skip(size(at(1))).take(size(at(2))).copied().collect();
            guest.give(&bytes, at(3), at(4))
        }
        "get_shared_data" => {
            let key = guest.bytes(at(0), at(1));
            let Some((value, version)) = guest.caller.data().shared.get(&key).cloned() else { return Ok(NOT_FOUND) };
            guest.write(at(4), &version.to_le_bytes());
            guest.give(&value, at(2), at(3))
        }
        "set_shared_data" => {
            let (key, value) = (guest.bytes(at(0), at(1)), guest.bytes(at(2), at(3)));
            let shared = &mut guest.caller.data_mut().shared;
            let version = shared.get(&key).map_or(1, |(_, version)| version + 1);
            shared.insert(key, (value, version));
            Ok(OK)
        }
        "clock_time_get" => {
            guest.caller.data_mut().clock += 1_000_000;
            let now = guest.caller.data().clock;
            guest.write(at(2), &now.to_le_bytes());
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
            guest.caller.data_mut().log.push(line);
            Ok(OK)
        }
        _ => Ok(OK),
    }
}

/// `proxy_buffer_type_t`
const PLUGIN_CONFIGURATION: i32 = 7;

fn size(value: i32) -> usize {
    usize::try_from(value).unwrap()
}

/// A header map as a proxy-wasm host writes it.
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

/// The memory of the module.
struct Guest<'c, 'h> {
    caller: &'c mut Caller<'h, Host>,
}

impl Guest<'_, '_> {
    fn memory(&self) -> Memory {
        self.caller.get_export("memory").and_then(Extern::into_memory).unwrap()
    }

    fn bytes(&self, pointer: i32, length: i32) -> Vec<u8> {
        let mut bytes = vec![0; size(length)];
        self.memory().read(&*self.caller, size(pointer), &mut bytes).unwrap();
        bytes
    }

    fn text(&self, pointer: i32, length: i32) -> String {
        String::from_utf8(self.bytes(pointer, length)).unwrap()
    }

    fn write(&mut self, pointer: i32, bytes: &[u8]) {
        self.memory().write(&mut *self.caller, size(pointer), bytes).unwrap();
    }

    fn give_if(&mut self, bytes: Option<Vec<u8>>, pointer: i32, length: i32) -> Result<i32, Error> {
        match bytes {
            Some(bytes) => self.give(&bytes, pointer, length),
            None => Ok(NOT_FOUND),
        }
    }

    /// Hands bytes over in a buffer that the module allocates, as a host does.
    fn give(&mut self, bytes: &[u8], pointer: i32, length: i32) -> Result<i32, Error> {
        let allocate = self.caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
        let allocate = allocate.typed::<i32, i32>(&*self.caller)?;
        let count = i32::try_from(bytes.len()).unwrap();
        let buffer = if count > 0 { allocate.call(&mut *self.caller, count)? } else { 0 };
        self.write(buffer, bytes);
        self.write(pointer, &buffer.to_le_bytes());
        self.write(length, &count.to_le_bytes());
        Ok(OK)
    }
}
