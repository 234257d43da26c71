//! Each promise in the docs of the ports names the cases that check it, and each case checks a promise.

use std::collections::BTreeSet;

use alm_core::testing::conformance::{bus, store, tree};

const STORE: &str = include_str!("../../src/ports/store.rs");
const ROLES: &str = include_str!("../../src/ports/roles.rs");
const TREE: &str = include_str!("../../src/ports/tree.rs");
const BUS: &str = include_str!("../../src/ports/bus.rs");

/// The promises in the docs: the items of the lists, and the paragraphs, under a heading `# Contract`, each as one line.
fn promises(source: &str) -> Vec<String> {
    let mut promises: Vec<String> = Vec::new();
    let mut open = None;
    let mut in_contract = false;
    for line in source.lines() {
        let Some(doc) = line.trim_start().strip_prefix("///") else {
            in_contract = false;
            open = None;
            continue;
        };
        let text = doc.trim();
        if text.starts_with("# ") {
            in_contract = text == "# Contract";
            open = None;
        } else if text.is_empty() || !in_contract {
            open = None;
        } else if let Some(item) = text.strip_prefix("- ") {
            promises.push(item.to_owned());
            open = Some(promises.len() - 1);
        } else if let Some(open) = open {
            promises[open].push(' ');
            promises[open].push_str(text);
        } else {
            promises.push(text.to_owned());
            open = Some(promises.len() - 1);
        }
    }
    promises
}

/// The cases that a promise names behind `Checked by`.
fn checked_by(promise: &str) -> BTreeSet<&str> {
    let named = promise.split_once("Checked by ").map_or("", |(_, named)| named);
    named.split('`').skip(1).step_by(2).collect()
}

fn assert_named_and_checked(source: &str, cases: &BTreeSet<&str>) {
    let promises = promises(source);
    assert!(promises.len() > 5, "the promises are found: {promises:#?}");
    let unchecked: Vec<_> = promises.iter().filter(|promise| checked_by(promise).is_empty()).collect();
    assert!(unchecked.is_empty(), "promises that name no case: {unchecked:#?}");

    let named: BTreeSet<_> = promises.iter().flat_map(|promise| checked_by(promise)).collect();
    let unknown: Vec<_> = named.difference(cases).collect();
    assert!(unknown.is_empty(), "named, but no cases: {unknown:#?}");
    let unnamed: Vec<_> = cases.difference(&named).collect();
    assert!(unnamed.is_empty(), "cases that no promise names: {unnamed:#?}");
}

#[test]
fn the_promises_of_a_store_and_its_cases_belong_together() {
    assert_named_and_checked(&format!("{STORE}\n{ROLES}"), &store::CASES.iter().map(store::Case::name).collect());
}

#[test]
fn the_promises_of_a_tree_and_its_cases_belong_together() {
    assert_named_and_checked(TREE, &tree::CASES.iter().map(tree::Case::name).collect());
}

#[test]
fn the_promises_of_a_bus_and_its_cases_belong_together() {
    assert_named_and_checked(BUS, &bus::CASES.iter().map(bus::Case::name).collect());
}
