//! Leaves out the host calls of the SDK that nothing makes.
//!
//! The contexts are trait objects, and the traits have a default method for each host call. So the
//! tables of methods refer to all of them, and they stay in the module with all that they call.

use std::collections::{BTreeMap, BTreeSet};

use walrus::ir::{Call, Visitor, dfs_in_order};
use walrus::{ElementItems, FunctionBuilder, FunctionId, Module, TypeId};

/// The path of the traits in a mangled name.
const TRAITS: &str = "10proxy_wasm6traits";

/// Methods that the dispatcher calls begin with one of these.
const CALLED: [&str; 3] = ["on_", "create_", "get_type"];

/// Replaces these methods by traps. A method that is called by its name is left alone.
///
/// # Errors
/// There are none: names are mangled otherwise, or the SDK has changed.
pub(super) fn remove(module: &mut Module) -> Result<(), String> {
    let called = called_by_name(module);
    let unused: BTreeSet<FunctionId> = module
        .funcs
        .iter()
        .filter(|function| function.name.as_deref().is_some_and(is_host_call))
        .map(walrus::Function::id)
        .filter(|id| !called.contains(id))
        .collect();
    if unused.is_empty() {
        return Err(format!("no method with {TRAITS} in its name"));
    }

    let traps = traps(module, &unused);
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for function in functions {
                *function = traps.get(function).copied().unwrap_or(*function);
            }
        }
    }
    Ok(())
}

/// Whether a mangled name is that of a method of the traits that makes a host call.
fn is_host_call(name: &str) -> bool {
    let Some((_, path)) = name.split_once(TRAITS) else {
        return false;
    };
    let mut parts = parts(path).skip(1);
    parts
        .next()
        .is_some_and(|method| !CALLED.iter().any(|start| method.starts_with(start)))
}

/// The parts of a mangled path, each after its length.
fn parts(mut path: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let digits = path.find(|letter: char| !letter.is_ascii_digit())?;
        let (length, rest) = path.split_at_checked(digits)?;
        let (part, rest) = rest.split_at_checked(length.parse().ok()?)?;
        path = rest;
        Some(part)
    })
}

/// Functions that an instruction names.
fn called_by_name(module: &Module) -> BTreeSet<FunctionId> {
    struct Calls(BTreeSet<FunctionId>);

    impl<'i> Visitor<'i> for Calls {
        fn visit_call(&mut self, call: &Call) {
            self.0.insert(call.func);
        }
    }

    let mut calls = Calls(BTreeSet::new());
    for (_, function) in module.funcs.iter_local() {
        dfs_in_order(&mut calls, function, function.entry_block());
    }
    calls.0
}

/// A trap for each of the functions; those of one type share it.
fn traps(
    module: &mut Module,
    functions: &BTreeSet<FunctionId>,
) -> BTreeMap<FunctionId, FunctionId> {
    let mut of_types: BTreeMap<TypeId, FunctionId> = BTreeMap::new();
    let trap_of = |function: &FunctionId| {
        let ty = module.funcs.get(*function).ty();
        let trap = *of_types.entry(ty).or_insert_with(|| trap(module, ty));
        (*function, trap)
    };
    functions.iter().map(trap_of).collect()
}

fn trap(module: &mut Module, ty: TypeId) -> FunctionId {
    let (parameters, results) = module.types.params_results(ty);
    let (parameters, results) = (parameters.to_vec(), results.to_vec());
    let mut builder = FunctionBuilder::new(&mut module.types, &parameters, &results);
    builder.func_body().unreachable();
    let arguments = parameters
        .iter()
        .map(|parameter| module.locals.add(*parameter))
        .collect();
    builder.finish(arguments, &mut module.funcs)
}
