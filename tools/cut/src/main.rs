//! Makes the lean module out of the full one: `lean FULL.wasm LEAN.wasm`.
//!
//! Envoy makes each exported callback for every stream. The lean module has no callbacks on the
//! headers and the body of a response. A byte of the module, found by its export, shows the filter
//! which of both it is.

use std::path::Path;
use std::process::ExitCode;

use walrus::{ConstExpr, DataKind, ExportItem, GlobalKind, Module, ir::Value};

/// The callbacks on responses that Envoy makes for every stream or chunk.
const CALLBACKS: [&str; 2] = ["proxy_on_response_headers", "proxy_on_response_body"];

/// The exported address of a byte: 1 where the module has [`CALLBACKS`], else 0. The filter has the
/// same name in `src/adapter/shape.rs`.
const MARK: &str = "AUDIT_FILTER_HAS_RESPONSE_CALLBACKS";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [full, lean] = &arguments[..] else {
        return failed("usage: lean FULL.wasm LEAN.wasm");
    };

    match cut(full.as_ref(), lean.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => failed(&format!("{}: {problem}", full.display())),
    }
}

#[expect(clippy::print_stderr, reason = "the output of a program")]
fn failed(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::FAILURE
}

/// Writes the lean form of the module `full` to `lean`.
fn cut(full: &Path, lean: &Path) -> Result<(), String> {
    let mut module = Module::from_file(full).map_err(|error| format!("{error:#}"))?;

    for name in CALLBACKS {
        module
            .exports
            .remove(name)
            .map_err(|_| format!("no export {name}"))?;
    }
    unmark(&mut module)?;

    walrus::passes::gc::run(&mut module);
    module
        .emit_wasm_file(lean)
        .map_err(|error| format!("{}: {error:#}", lean.display()))
}

/// Sets the marked byte to 0, and removes the export that leads to it.
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
    module
        .exports
        .remove(MARK)
        .map_err(|error| format!("{error:#}"))
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
