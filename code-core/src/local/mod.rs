//! This machine: its processes, clock and files ([`LocalHost`]), and a journal on its disk ([`LocalStore`]).
//!
//! ```text
//! LocalHost   host      the trait, thin          LocalStore   store     the trait, thin
//!             command   one process and all that              lock      who may write: a lock of the system
//!                       it starts, until its end              log       reading, cutting and growing a log
//!             file      atomic, durable writes                journal   the bytes of a log: pure
//! ```

mod command;
mod file;
mod host;
mod journal;
mod lock;
mod log;
mod store;

pub use host::LocalHost;
pub use log::Cut;
pub use store::LocalStore;
