//! The keeper: a small process, one a state directory, that keeps deployed processes running and their
//! addresses served after the command that deployed them has ended.
//!
//! ```text
//!  a command ──── socket: start, wait, stop, route ───▶ keeper ─── holds the lock, writes table and events
//!      │                                                  │  │
//!      └── reads the table without it (observe)           │  └─ serves each route on 127.0.0.1 and ::1
//!                                                         ▼                    │
//!                                              processes, each in its own session ◀─ requests
//! ```
//!
//! It is the running executable, executed again with a hidden argument, so that there is nothing to install:
//! a program that deploys calls [`keeper_main`] first in its `main`. A lock on a file decides who is the
//! keeper. When it dies, everything that it started goes on; the next command starts another one, which
//! adopts what it finds in the table and in `/proc`.

mod backoff;
mod book;
mod child;
mod client;
mod events;
mod forsaken;
mod keep;
mod launch;
mod logs;
mod ports;
mod protocol;
mod proxy;
mod route;
mod serve;
mod table;

pub(in crate::process) use client::is_keeper_of;
pub use client::{Greeting, Keeper};
pub use events::{KeeperEvent, Seen, keeper_events};
pub use forsaken::forsaken;
pub use launch::{Program, keeper_main, keeper_main_from};
pub(in crate::process) use ports::port_taken;
pub(in crate::process) use protocol::Disclosed;
pub use table::{Ending, Job, Kept, KeptRoute, Phase, Place, PortWish, StopSignal, Table};

use code_core::{Error, ErrorKind};

/// A keeper, or a table, of a later version of CODE.
fn newer(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, "keeper::newer", format!("understand {what}"))
        .help("use the newer version of CODE that this state directory was last used with")
}
