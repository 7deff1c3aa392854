//! Old releases and logs: what would go is shown and asked first, and looked up again while nobody can deploy.
//!
//! ```text
//!             kept                                        goes
//! releases    those of the last revisions, of what runs   with `prune`
//! logs        of the last runs                            by themselves, after a run; and with `prune`
//!             of processes of the last revisions          with `prune`
//! for ever    the journal, data, secrets, commits
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use code_core::engine::Finished;
use code_core::{Deployment, Error, ErrorKind, Result};
use code_providers::process::keeper::Table;
use code_providers::process::old_logs;
use code_providers::release::prune::{Stored, remove, unused};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::json;
use crate::session::Session;
use crate::style::{Tone, cell, table};

/// What may go.
#[derive(Debug, Default)]
struct Old {
    releases: Vec<Stored>,
    logs: Vec<Log>,
}

/// The log of a process, or the logs of a run: a file or a directory.
#[derive(Clone, Debug, PartialEq)]
struct Log {
    path: PathBuf,
    bytes: u64,
}

/// Removes the releases and logs that neither the last `keep` revisions of any deployment nor anything that runs needs,
/// and the logs of old runs.
///
/// # Errors
/// `front::no-terminal` where nobody can be asked, `store::locked` while something is deployed, and those of the
/// store and of `release::prune`.
pub async fn prune(session: &Session, keep: Option<u32>) -> Result<Exit> {
    let keep = keep.unwrap_or(session.settings.keep.revisions);
    let found = old(session, keep).await?;
    let style = &session.screen.style;
    let row = |what: String, bytes: u64| {
        vec![cell(Tone::Bad, "-"), cell(Tone::Plain, what), cell(Tone::Dim, size(bytes))]
    };
    let state = &session.place.state;
    let name = |path: &Path| path.strip_prefix(state).unwrap_or(path).display().to_string();
    let releases = found.releases.iter().map(|stored| row(stored.digest.short(), stored.bytes));
    let rows: Vec<_> = releases.chain(found.logs.iter().map(|log| row(name(&log.path), log.bytes))).collect();
    session.screen.page(&table(style, 2, &rows));
    if found.is_empty() || session.screen.dry_run {
        let text =
            if found.is_empty() { "nothing to remove".to_owned() } else { format!("{found}, would go") };
        answer(session, &text, &found, &Old::default())?;
        return Ok(Exit::Done);
    }
    let question = match found.releases.len() {
        0 => format!("Remove {found}? [y/N] "),
        _ => format!("Remove {found}? The revisions that need them can then not be gone back to. [y/N] "),
    };
    match consent::ordinary(session, &question).await {
        Consent::Given(_) => {}
        Consent::Declined => {
            session.screen.note("nothing was removed\n");
            return Ok(Exit::Declined);
        }
        Consent::NobodyToAsk => {
            return Err(Error::new(
                ErrorKind::NeedsAnswer,
                "front::no-terminal",
                "ask whether to remove the releases",
            )
            .help("`--yes` answers yes; `--dry-run` shows what would go"));
        }
    }
    let removed = session.engine.holding(async || {
        // Once more: somebody may have deployed one of them while this was being read.
        let still = old(session, keep).await?;
        let mut removed = Old::default();
        for stored in &found.releases {
            if still.releases.iter().any(|one| one.digest == stored.digest) && remove(state, stored.digest)? {
                removed.releases.push(stored.clone());
            }
        }
        let logs = found.logs.iter().filter(|log| still.logs.iter().any(|one| one.path == log.path));
        removed.logs = logs.filter(|log| away(&log.path)).cloned().collect();
        Ok(removed)
    });
    let removed = removed.await?;
    answer(session, &format!("removed {removed}"), &found, &removed)?;
    Ok(Exit::Done)
}

/// Lets the logs of old runs of a deployment go. What cannot be removed stays until the next time: nothing depends on
/// it, and the run has its own end to tell.
pub async fn after_a_run(session: &Session, finished: &Finished) {
    let Some(run) = &finished.state.run else { return };
    let runs = session.settings.keep.runs.into();
    if let Ok(logs) = session.engine.old_run_logs(&run.plan.deployment, runs).await {
        for path in logs {
            away(&path);
        }
    }
}

/// What nothing needs: no revision that is kept, nothing recorded, and nothing that the keeper would start.
async fn old(session: &Session, keep: u32) -> Result<Old> {
    let state = &session.place.state;
    let needed = session.engine.needed(usize::try_from(keep).unwrap_or(usize::MAX)).await?;
    let kept = json::to_value(&Table::read(state)?)?.to_string();
    let releases = unused(state, |digest| needed.names(digest) || kept.contains(digest))?;
    let mut logs = Vec::new();
    for deployment in session.engine.deployments().await? {
        let paths = old_logs_of(session, &deployment, keep).await?;
        logs.extend(paths.into_iter().map(|path| Log { bytes: bytes(&path), path }));
    }
    Ok(Old { releases, logs })
}

async fn old_logs_of(session: &Session, deployment: &Deployment, keep: u32) -> Result<Vec<PathBuf>> {
    let state = session.engine.state(deployment).await?;
    let last = state.revisions.last().map_or(0, |revision| revision.number);
    let mut paths = session.engine.old_run_logs(deployment, session.settings.keep.runs.into()).await?;
    paths.extend(old_logs(&session.place.state, deployment, (last + 1).saturating_sub(keep.into()))?);
    Ok(paths)
}

/// Whether it is gone now.
fn away(path: &Path) -> bool {
    let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    gone.is_ok()
}

fn bytes(path: &Path) -> u64 {
    let files = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| bytes(&entry.path()));
    if path.is_dir() { files.sum() } else { path.metadata().map_or(0, |meta| meta.len()) }
}

impl Old {
    fn is_empty(&self) -> bool {
        self.releases.is_empty() && self.logs.is_empty()
    }
}

/// `2 releases and 5 old logs, 3.2 MB`.
impl std::fmt::Display for Old {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let logs = if self.logs.is_empty() { String::new() } else { format!("{} old logs", self.logs.len()) };
        let releases = match (self.releases.len(), self.logs.len()) {
            (0, 1..) => String::new(),
            (n, 0) => format!("{n} releases"),
            (n, _) => format!("{n} releases and "),
        };
        let all =
            self.releases.iter().map(|stored| stored.bytes).chain(self.logs.iter().map(|log| log.bytes));
        write!(f, "{releases}{logs}, {}", size(all.sum()))
    }
}

fn answer(session: &Session, text: &str, found: &Old, removed: &Old) -> Result<()> {
    let releases = |old: &Old| -> Vec<Value> {
        old.releases.iter().map(|one| json!({ "digest": one.digest, "bytes": one.bytes })).collect()
    };
    let logs = |old: &Old| -> Vec<Value> {
        old.logs.iter().map(|log| json!({ "path": log.path, "bytes": log.bytes })).collect()
    };
    let data = json!({
        "found": releases(found), "removed": releases(removed), "logs": logs(found), "removed_logs": logs(removed),
    });
    session.screen.answer("prune", text, &format!("{text}\n"), &data)
}

/// `3.2 MB`, in powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_size_is_short() {
        assert_eq!(
            [0, 1_500, 3_200_000, 7_000_000_000].map(super::size),
            ["0 B", "1.5 kB", "3.2 MB", "7.0 GB"]
        );
    }
}
