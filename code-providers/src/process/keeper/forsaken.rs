//! What still runs of a state directory that was deleted: nothing there knows of it any more, but `/proc` does.
//!
//! ```text
//!  .code/logs/… (deleted) ◀── open in ── a process that carries a step's key
//!  .code/keeper/lock (deleted) ◀── open in ── its keeper
//! ```

use std::fs;
use std::path::Path;

use code_core::{Error, ErrorKind};

use super::launch::SERVE;
use super::table::Table;
use crate::process::identity::{self, KEY_VARIABLE, Stat};

/// What the system appends to the path of an open file that was deleted (proc_pid_fd(5)).
const DELETED: &str = " (deleted)";

/// The error that names the keepers and processes of a state directory that was deleted under them; `None`
/// where there are none, or they are not ours to see.
pub fn forsaken(state_dir: &Path) -> Option<Error> {
    let table = Table::read(state_dir).unwrap_or_default();
    let known = |pid| table.processes.iter().any(|kept| kept.identity.as_ref().is_some_and(|i| i.pid == pid));
    let found: Vec<i32> = identity::all()
        .filter(|stat| stat.runs() && !known(stat.pid) && is_kept_or_keeper(stat))
        .map(|stat| stat.pid)
        .filter(|pid| holds_deleted(*pid, state_dir))
        .collect();
    if found.is_empty() {
        return None;
    }
    let names: Vec<String> = found.iter().map(|pid| identity::describe(*pid)).collect();
    let numbers: Vec<String> = found.iter().map(i32::to_string).collect();
    let what = "tell what these processes belong to: the state directory was deleted under them";
    Some(
        Error::new(ErrorKind::NotFound, "keeper::forsaken", what)
            .help(format!("put the state directory back; or end them with `kill {}`", numbers.join(" ")))
            .with("processes", names.join(", "))
            .with("path", state_dir.display().to_string()),
    )
}

/// A kept process leads a session of its own, and its children are not named beside it.
fn is_kept_or_keeper(stat: &Stat) -> bool {
    let line = || fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
    let carries_key = || identity::environment(stat.pid).iter().any(|(name, _)| name == KEY_VARIABLE);
    stat.session == stat.pid && carries_key()
        || line().split(|byte| *byte == 0).any(|arg| arg == SERVE.as_bytes())
}

/// Whether a process has a file open that was deleted with this directory.
fn holds_deleted(pid: i32, state_dir: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|path| {
        path.starts_with(state_dir) && path.as_os_str().as_encoded_bytes().ends_with(DELETED.as_bytes())
    })
}
