//! This machine: its processes, clock and files ([`LocalHost`]), and a journal on its disk ([`LocalStore`]).
//!
//! ```text
//! LocalHost   host      the trait, thin          LocalStore   store     the trait, thin
//!             command   one process and all that              lock      who may write: a lock of the system
//!                       it starts, until its end              log       reading, cutting and growing a log
//!             disk      atomic, durable writes                journal   the bytes of a log: pure
//!                                                             repair    what is before a break, kept
//! ```

mod command;
mod disk;
#[cfg(test)]
mod faulty;
mod host;
mod journal;
mod lock;
mod log;
#[cfg(test)]
mod proofs;
mod repair;
mod store;

pub use host::LocalHost;
pub use log::Cut;
pub use repair::{Repaired, Trouble};
pub use store::LocalStore;
