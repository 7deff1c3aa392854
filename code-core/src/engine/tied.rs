//! The machine as a run under a lease has it: every command that is run there keeps the lease alive.
//!
//! Where the engine is killed in the middle of a command, the command has its grace to end, and the next engine
//! would already work beside it. So whoever comes next gets the lease when the last command is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::host::{Command, Host, Output, Tie};
use crate::store::Lease;
use crate::{Ctx, Result};

/// These surroundings, for what is done under a lease.
pub(super) fn under(lease: &Lease, ctx: Ctx) -> Ctx {
    match &lease.tie {
        Some(tie) => {
            let host = Arc::new(Tied { host: ctx.host_arc(), tie: tie.clone() });
            ctx.with_host(host)
        }
        None => ctx,
    }
}

#[derive(Debug)]
struct Tied {
    host: Arc<dyn Host>,
    tie: Tie,
}

#[async_trait]
impl Host for Tied {
    fn now(&self) -> Timestamp {
        self.host.now()
    }

    fn uptime(&self) -> Duration {
        self.host.uptime()
    }

    fn grace(&self) -> Duration {
        self.host.grace()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.host.env(name)
    }

    fn user(&self) -> String {
        self.host.user()
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        self.host.which(program)
    }

    async fn sleep(&self, duration: Duration) {
        self.host.sleep(duration).await;
    }

    async fn run(
        &self,
        cancel: &CancellationToken,
        command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output> {
        self.host.run(cancel, command.tied_to(self.tie.clone()), on_line).await
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.host.read(path).await
    }

    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        self.host.write(path, bytes, mode).await
    }
}
