//! What a run looked like: counters, spans and a report in one HTML file.
//!
//! ```text
//!                 ┌─▶ Metrics (a Sink)  counters ─▶ a struct, Prometheus text
//! Engine ─events──┼─▶ Spans   (a Sink)  `tracing` spans and events
//!                 └─▶ journal ─▶ report::render ─▶ one HTML file
//! ```
//!
//! A sink is offered each event as it happens and never slows a run; a report is made afterwards, or during
//! the run, from what the journal holds. Nothing here prints, installs a subscriber or opens a socket.

pub mod metrics;
pub mod report;
pub mod results;
pub mod spans;

#[cfg(test)]
mod tests;

pub use self::metrics::Metrics;
pub use self::results::Results;
pub use self::spans::Spans;
