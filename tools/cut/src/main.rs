//! Makes the shipped modules out of the linked one: `cut full|lean LINKED.wasm OUT.wasm`.
//!
//! The SDK exports every callback of the proxy-wasm ABI, and Envoy makes each one for every stream.
//! The full module keeps those that some configuration needs. The lean one has none on the headers
//! and the body of a response. A byte of the module shows the filter which of both it is. Host calls
//! of the SDK that nothing makes are left out, too, and in the end all names.

mod unused;

use std::path::Path;
use std::process::ExitCode;

use walrus::ir::Value;
use walrus::{ConstExpr, DataKind, ExportItem, GlobalKind, Module, ModuleConfig};

/// The callbacks that the filter handles (`src/adapter/`).
const CALLBACKS: [&str; 12] = [
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_queue_ready",
    "proxy_on_http_call_response",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_memory_allocate",
    "proxy_abi_version_0_2_1",
];

/// Those of the full module alone.
const ON_RESPONSES: [&str; 2] = ["proxy_on_response_headers", "proxy_on_response_body"];

/// Callbacks, and the exports of the filter that take their place (`src/adapter/exports.rs`).
const REPLACED: [(&str, &str); 3] = [
    ("proxy_on_context_create", "audit_filter_on_context_create"),
    ("proxy_on_queue_ready", "audit_filter_on_queue_ready"),
    ("proxy_on_done", "audit_filter_on_done"),
];

/// The exported address of a byte: 1 where the module has [`ON_RESPONSES`], else 0
/// (`src/adapter/shape.rs`).
const MARK: &str = "AUDIT_FILTER_HAS_RESPONSE_CALLBACKS";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [shape, linked, out] = &arguments[..] else {
        return failed("usage: cut full|lean LINKED.wasm OUT.wasm");
    };
    let is_lean = match shape.to_str() {
        Some("full") => false,
        Some("lean") => true,
        _ => return failed("the shape is full or lean"),
    };

    match cut(is_lean, linked.as_ref(), out.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&format!("{}: {problem}", linked.display())),
    }
}

#[expect(clippy::print_stderr, reason = "the output of a program")]
fn failed(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::FAILURE
}

fn cut(is_lean: bool, linked: &Path, out: &Path) -> Result<(), String> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false);
    let mut module =
        Module::from_file_with_config(linked, &config).map_err(|error| format!("{error:#}"))?;

    for replaced in REPLACED {
        replace(&mut module, replaced)?;
    }
    if is_lean {
        unmark(&mut module)?;
    }
    let on_responses = if is_lean {
        &[]
    } else {
        ON_RESPONSES.as_slice()
    };
    keep(&mut module, &[&CALLBACKS, on_responses].concat())?;
    unused::remove(&mut module)?;

    walrus::passes::gc::run(&mut module);
    module
        .emit_wasm_file(out)
        .map_err(|error| format!("{}: {error:#}", out.display()))
}

/// Exports one function under the name of another, which stays without a name.
fn replace(module: &mut Module, (name, by): (&str, &str)) -> Result<(), String> {
    let function = module
        .exports
        .get_func(by)
        .map_err(|_| format!("no export {by}"))?;
    for gone in [name, by] {
        module
            .exports
            .remove(gone)
            .map_err(|_| format!("no export {gone}"))?;
    }

    module.exports.add(name, function);
    Ok(())
}

/// Removes all exports of the ABI but these, and the mark. A callback that is not there is a mistake
/// in the list, or an SDK that names it otherwise.
fn keep(module: &mut Module, callbacks: &[&str]) -> Result<(), String> {
    for name in callbacks {
        module
            .exports
            .get_func(name)
            .map_err(|_| format!("no export {name}"))?;
    }

    let superfluous: Vec<_> = module
        .exports
        .iter()
        .filter(|export| export.name.starts_with("proxy_") || export.name == MARK)
        .filter(|export| !callbacks.contains(&export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for export in superfluous {
        module.exports.delete(export);
    }
    Ok(())
}

/// Sets the marked byte to 0.
fn unmark(module: &mut Module) -> Result<(), String> {
    let address = marked_address(module).ok_or(format!("no export {MARK} of an address"))?;
    let (segment, offset) = module
        .data
        .iter()
        .find_map(|data| {
            let offset = address.checked_sub(start(&data.kind)?)?;
            (offset < data.value.len()).then(|| (data.id(), offset))
        })
        .ok_or(format!("no data at the address of {MARK}"))?;

    let bytes = &mut module.data.get_mut(segment).value;
    let byte = bytes.get_mut(offset).ok_or("the data has changed")?;
    if *byte != 1 {
        return Err(format!("{MARK} is {byte}; was it cut before?"));
    }

    *byte = 0;
    Ok(())
}

fn marked_address(module: &Module) -> Option<usize> {
    let export = module.exports.iter().find(|export| export.name == MARK)?;
    let ExportItem::Global(global) = export.item else {
        return None;
    };
    match &module.globals.get(global).kind {
        GlobalKind::Local(address) => constant(address),
        GlobalKind::Import(_) => None,
    }
}

/// Where a data segment is put in memory.
fn start(kind: &DataKind) -> Option<usize> {
    match kind {
        DataKind::Active { offset, .. } => constant(offset),
        DataKind::Passive => None,
    }
}

fn constant(expression: &ConstExpr) -> Option<usize> {
    match expression {
        ConstExpr::Value(Value::I32(value)) => usize::try_from(value.cast_unsigned()).ok(),
        _ => None,
    }
}
