//! Every boundary, in memory: what tests run on, and the shortest way to see what a trait asks of you.
//!
//! ```text
//!  MemoryParser ─▶ MemoryScanner ─▶ MemoryRecipe ─▶ MemoryProvider ─▶ World   what exists
//!                                                        │
//!           MemorySink ◀── events ── MemoryStore         └─ MemorySecrets, MemoryHost (a clock that jumps)
//! ```
//!
//! Each is a reference implementation: it keeps every rule of its trait's `# Behavior`, and does as little
//! else as it can. What a test needs beyond that (faults, a clock to move, a copy of the journal as it was
//! before a crash) is a method of the type, never of the trait. Nothing here outlives the process.

mod approver;
mod exporter;
mod host;
mod parser;
mod provider;
mod recipe;
mod scanner;
mod secrets;
mod sink;
mod store;
mod world;

pub use approver::MemoryApprover;
pub use exporter::MemoryExporter;
pub use host::MemoryHost;
pub use parser::MemoryParser;
pub use provider::MemoryProvider;
pub use recipe::MemoryRecipe;
pub use scanner::MemoryScanner;
pub use secrets::MemorySecrets;
pub use sink::MemorySink;
pub use store::MemoryStore;
pub use world::{Call, Calling, Fault, World};

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Ctx;

/// Surroundings made of a [`MemoryHost`] and [`MemorySecrets`], for tests of one call.
pub fn ctx(host: &Arc<MemoryHost>) -> Ctx {
    let host: Arc<dyn crate::Host> = Arc::<MemoryHost>::clone(host);
    Ctx::new(host, Arc::new(MemorySecrets::default()), PathBuf::from("/state"))
}

/// A test that panicked while it held a lock says so itself; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
