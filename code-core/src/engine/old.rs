//! The logs of runs that are long over. What a run did is in the journal, for ever; what its tools wrote about it
//! is not, and takes the most room.

use std::fs;
use std::path::PathBuf;

use crate::engine::Engine;
use crate::{Deployment, Layout, Result};

impl Engine {
    /// The directories of a deployment's runs but the newest `runs`, with what their steps wrote. That of a run that
    /// has not ended is never among them.
    ///
    /// # Errors
    /// Those of the store: where it cannot be read, nothing is known to be old.
    pub async fn old_run_logs(&self, deployment: &Deployment, runs: u64) -> Result<Vec<PathBuf>> {
        let state = self.state(deployment).await?;
        let open = state.open_run().map_or(u64::MAX, |run| run.id.0);
        let logs = Layout::new(&*self.parts.state_dir).logs(deployment);
        let mut old: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("run-")?.parse::<u64>().ok());
            // Not what a link leads to: that is somebody else's.
            let Some(number) = number.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir())) else {
                continue;
            };
            if number != open && number.saturating_add(runs) <= state.runs {
                old.push((number, entry.path()));
            }
        }
        old.sort();
        Ok(old.into_iter().map(|(_, path)| path).collect())
    }
}
