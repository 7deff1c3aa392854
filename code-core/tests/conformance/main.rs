//! The suites, tested: the reference implementations keep every rule, and for each rule there is a liar, which
//! breaks that rule alone and is caught by that rule alone.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod host;
mod parser;
mod provider;
mod scanner;
mod store;

use std::collections::BTreeSet;

use code_core::conformance::{Objection, Suite};

/// A contract: one that keeps it, and the liar of each of its rules.
struct Contract {
    name: &'static str,
    honest: fn() -> Suite,
    liar: fn(&'static str) -> Suite,
}

const CONTRACTS: &[Contract] = &[
    Contract { name: "host", honest: host::honest, liar: host::liar },
    Contract { name: "parser", honest: parser::honest, liar: parser::liar },
    Contract { name: "provider", honest: provider::honest, liar: provider::liar },
    Contract { name: "scanner", honest: scanner::honest, liar: scanner::liar },
    Contract { name: "store", honest: store::honest, liar: store::liar },
];

#[test]
fn who_is_honest_keeps_every_rule() {
    for contract in CONTRACTS {
        let suite = (contract.honest)().named(contract.name);
        for (rule, judged) in suite.judge() {
            assert_eq!(judged, Ok(()), "{rule}");
        }
    }
}

#[test]
fn a_machine_in_memory_keeps_what_it_claims() {
    println!("figure: conformance of MemoryHost: {} rules hold", host::memory().check());
}

#[test]
fn the_journal_on_disk_keeps_every_rule() {
    println!("figure: conformance of LocalStore: {} rules hold", store::local().check());
}

#[test]
fn every_liar_is_caught_by_its_own_rule() {
    let (mut rules, mut wrong) = (0, Vec::new());
    for contract in CONTRACTS {
        let names: Vec<String> = (contract.honest)().rules().map(str::to_owned).collect();
        for rule in names {
            rules += 1;
            let broken = broken(&(contract.liar)(rule.clone().leak()));
            if !broken.keys().eq([&rule]) {
                wrong.push(format!("the liar of {}::{rule} is caught by {broken:#?}", contract.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("figure: conformance: {rules} rules, {rules} liars");
}

/// The rules that are broken, and how.
fn broken(suite: &Suite) -> std::collections::BTreeMap<String, String> {
    let judged = suite.judge();
    let names: BTreeSet<&String> = judged.iter().map(|(rule, _)| rule).collect();
    assert_eq!(names.len(), judged.len(), "two rules share a name");
    let broken = judged.into_iter().filter_map(|(rule, judged)| match judged {
        Err(Objection::Broken(how)) => Some((rule, how)),
        _ => None,
    });
    broken.collect()
}
