//! The scanners held against the contract.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use code_core::conformance::{self, scanner::Sample};
use code_core::intent::Kind;
use code_core::spec::{Component, Spec};
use code_security::{CostScanner, RegoScanner};

#[test]
fn the_policies_keep_the_contract_of_scanners() {
    let public = Component { public: true, ..Component::new("db", Kind::Database) };
    let sample = Sample::new()
        .bad(Spec { components: vec![public], ..Spec::new("shop", "production") })
        // Without any time, no policy can be judged.
        .broken(|| Arc::new(RegoScanner::new().unwrap().with_time_limit(Duration::ZERO)));
    let rules = conformance::scanner(|| Arc::new(RegoScanner::new().unwrap()), &sample).check();
    println!("figure: conformance of RegoScanner: {rules} rules hold");
}

#[test]
fn the_cost_keeps_the_contract_of_scanners() {
    let rules = conformance::scanner(|| Arc::new(CostScanner), &Sample::new()).check();
    println!("figure: conformance of CostScanner: {rules} rules hold");
}
