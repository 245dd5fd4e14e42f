//! Cost of a request in the shipped `.wasm`, in deterministic numbers: host calls, callbacks,
//! copied bytes and fuel (about one a wasm instruction). The engine that counts them has a host
//! that answers from tables.
//!
//! `cargo test --test host_calls -- --nocapture` prints them, and curves of their growth.
#![cfg(test)]

mod artefact;
mod budgets;
mod cases;
mod delivery;
mod exchange;
mod growth;
mod guest;
mod host;
mod memory;
mod tally;
mod vm;

use artefact::{Artefact, artefacts};
use budgets::Budget;
use cases::{Case, cases};
use tally::Tally;
use vm::Vm;

fn cost(artefact: &Artefact, case: &Case) -> Tally {
    let mut vm = Vm::start(artefact, &case.sections);
    vm.warm_up(&case.exchange);
    vm.exchange(&case.exchange);
    vm.take_tally()
}

fn is_within(budget: &Budget, cost: &Tally) -> bool {
    cost.call_line() == budget.calls && cost.fuel <= budget.fuel && cost.bytes() <= budget.bytes
}

/// The row of `budgets.rs` for this cost.
fn row(case: &Case, cost: &Tally) -> String {
    let (fuel, bytes) = (cost.fuel + cost.fuel / 20, cost.bytes() + cost.bytes() / 20);
    format!(
        "    row({:?}, {:?}, {fuel}, {bytes}),",
        case.name,
        cost.call_line()
    )
}

#[test]
fn a_request_costs_no_more_than_its_budget() {
    let mut exceeded = Vec::new();

    for artefact in artefacts() {
        for case in cases() {
            let Some(budget) = artefact
                .budgets
                .iter()
                .find(|budget| budget.case == case.name)
            else {
                continue;
            };

            let cost = cost(artefact, &case);
            let (name, calls) = (case.name, cost.calls.values().sum::<u32>());
            println!(
                "{}: {name:24} {calls:2} host calls: {}",
                artefact.name,
                cost.call_line()
            );
            println!(
                "    fuel {:6}, bytes in {:4}, out {:3}",
                cost.fuel, cost.bytes_in, cost.bytes_out
            );
            println!("    {}", cost.callback_line());

            if !is_within(budget, &cost) {
                exceeded.push(format!("{}:\n{}", artefact.name, row(&case, &cost)));
            }
        }
    }

    assert!(
        exceeded.is_empty(),
        "not as in budgets.rs:\n{}",
        exceeded.join("\n")
    );
}

#[test]
fn every_budget_is_of_a_case() {
    let cases = cases();
    for artefact in artefacts() {
        for budget in artefact.budgets {
            assert!(
                cases.iter().any(|case| case.name == budget.case),
                "{}: {}",
                artefact.name,
                budget.case
            );
        }
    }
}

#[test]
fn fuel_is_the_same_in_each_run() {
    for artefact in artefacts() {
        for case in cases().iter().filter(|case| {
            artefact
                .budgets
                .iter()
                .any(|budget| budget.case == case.name)
        }) {
            assert_eq!(
                cost(artefact, case),
                cost(artefact, case),
                "{}: {}",
                artefact.name,
                case.name
            );
        }
    }
}
