//! Roots of Terraform with the real tool, and with programs of its name that do what no tool should.
//!
//! The contract itself is held in `tests/conformance`.
#![expect(clippy::disallowed_methods, reason = "these tests wait for real programs")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod again;
mod backend;
mod cut_off;
mod encrypted;
mod faults;
mod mirror;
mod modules;
mod s3;
mod server;
mod world;
