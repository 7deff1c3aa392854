//! The grammar held against the contract of parsers.
#![cfg(test)]

use std::sync::Arc;

use code_core::conformance::{self, parser::Sample};
use code_nlp::Grammar;

#[test]
fn the_grammar_keeps_the_contract_of_parsers() {
    let sample = Sample::new([
        "Deploy a web app with database to staging",
        "scale the web app to 3 in production",
        "Deploy two APIs behind a public web app with TLS and 512 MB each, and a PostgreSQL 16 database with 10 GB",
        "roll back staging",
        "what is running in staging?",
        "destroy staging",
    ])
    .unclear(["Deploy the web app to staging, but do not deploy it"]);
    let rules = conformance::parser(|| Arc::new(Grammar), &sample).check();
    println!("figure: conformance of Grammar: {rules} rules hold");
}
