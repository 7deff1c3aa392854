//! The front: parses a command line, calls the engine, and renders what comes back.
//!
//! ```text
//!  argv ──cli──▶ Asked ──flow──▶ Engine ──▶ nouns ──render──▶ text on standard output
//!                         │ composed of all crates │   └json──▶ one JSON line each
//!                         └────── events ──progress──▶ bars or lines on standard error
//! ```
//!
//! Everything that it can do, a user of the library can do in as many lines: nothing here decides anything.
//! `cli` is the grammar, `flow` one file a command, `render` pure functions from nouns to text, `exit` the
//! numbers for scripts.

pub mod cli;
pub mod exit;
pub mod explain;
pub mod json;
pub mod progress;
pub mod render;
pub mod screen;
pub mod style;

/// The program's name.
pub const PROGRAM: &str = "deploy";
