//! The stories that must work, each with the real binary, real processes and real databases on loopback.
//!
//! `cargo test -p examples` builds the binary first; `--test story` alone does not.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a story drives a program from outside, and what goes wrong in it is a failure of the test"
)]

mod basics;
mod canaries;
mod changes;
#[cfg(feature = "kubernetes")]
mod cluster_kills;
mod completions;
mod consent;
#[cfg(feature = "container")]
mod docker;
mod doctor;
mod engines;
mod exits;
mod exports;
mod failing;
mod first_output;
mod gate;
mod git;
mod journal;
mod keeper;
mod kept;
mod kills;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod liars;
mod lines;
mod load;
mod orphans;
mod own;
mod pager;
mod pause;
mod plans;
mod projects;
mod prune;
mod readme;
mod refused;
mod roots_killed;
mod schema;
mod secrets;
mod steps;
mod terminal;
mod terraform;
mod two_holders;
mod views;
mod world;
