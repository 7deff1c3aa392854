//! Whether an implementation keeps its trait's rules: suites for strangers' crates and for our own.
//!
//! ```text
//! || Arc::new(Mine::fresh())  ┐
//!                             ├──▶ one rule, one case ──▶ holds · broken · not judged · not claimed
//! Sample: how to make things  ┘    each on a fresh one
//! ```
//!
//! A trait's documentation is its contract, and each case is one rule of it, named by its sentence:
//! `deleting_twice_succeeds`. Which rules apply follows from what an implementation claims
//! ([`Capabilities`](crate::provider::Capabilities)) and from what its sample can show; the others are listed
//! with the claim that excludes them. The whole test file of a provider (with `harness = false`):
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use code_core::memory::{MemoryProvider, World};
//! # use code_core::{Want, provider::Resource};
//! use code_core::conformance::{self, provider::Sample};
//!
//! fn main() -> std::process::ExitCode {
//!     let sample = Sample::new(|scene| {
//!         Resource::new(scene.address(), "memory", Want::new().with("size", 1))
//!     });
//!     conformance::provider(|| Arc::new(MemoryProvider::new(World::new())), &sample).main()
//! }
//! ```
//!
//! It looks, filters and ends as every test of cargo does. Inside of an ordinary `#[test]`, call
//! [`Suite::check`] instead of [`Suite::main`].
//!
//! The suites are tested themselves: for each rule there is a liar, a reference implementation that breaks this
//! rule alone, and the rule that it breaks is the one that says so.

pub mod host;
pub mod parser;
pub mod provider;
pub mod scanner;
pub mod store;
mod suite;

pub use host::host;
pub use parser::parser;
pub use provider::provider;
pub use scanner::scanner;
pub use store::store;
pub use suite::{Objection, Suite};
