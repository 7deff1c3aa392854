//! The language layer of CODE: from words to a spec whose every value knows where it comes from.
//!
//! ```text
//!  Request ──Grammar──▶ Parsed { intents, evidence, notes } ──resolve──▶ Spec
//!   words    token, grammar                                   context, settings
//! ```
//!
//! [`parse`] is the pure function; [`Grammar`] is the thin [`IntentParser`](code_core::parser::IntentParser)
//! around it. Nothing here fails on words, and nothing here does anything.

pub mod context;
pub mod grammar;
pub mod resolve;
pub mod settings;
pub mod spec_file;
pub mod token;

pub use grammar::{Grammar, parse};
