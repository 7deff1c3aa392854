//! The logs of processes that were replaced long ago: away with them only where somebody asks for it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use code_core::{Deployment, Layout, Result};

use super::keeper::Table;

/// The logs of a deployment's processes of revisions before `oldest`, with their rotated ends. What the keeper knows is
/// never among them: it may still write there.
///
/// # Errors
/// Those of the keeper's table: where it cannot be read, nothing is known to be old.
pub fn old_logs(state_dir: &Path, deployment: &Deployment, oldest: u64) -> Result<Vec<PathBuf>> {
    let table = Table::read(state_dir)?;
    let kept: BTreeSet<OsString> =
        table.processes.iter().filter_map(|kept| Some(kept.job.log.file_name()?.to_owned())).collect();
    let mut old = Vec::new();
    for entry in fs::read_dir(Layout::new(state_dir).logs(deployment)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((log, revision)) = name.to_str().and_then(of_revision) else { continue };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && revision < oldest && !kept.contains(&OsString::from(log)) {
            old.push(entry.path());
        }
    }
    old.sort();
    Ok(old)
}

/// The log that a file is, or an end of, and the revision of its process: `web.r2.0.log.1` is of `web.r2.0.log` and 2.
fn of_revision(name: &str) -> Option<(&str, u64)> {
    let (log, end) = match name.split_once(".log.") {
        Some((_, end)) => (&name[..name.len() - end.len() - 1], end),
        None => (name, ""),
    };
    let mut parts = log.strip_suffix(".log")?.split('.').skip(1);
    let revision = parts.next()?.strip_prefix('r')?.parse().ok()?;
    end.chars().all(|c| c.is_ascii_digit()).then_some((log, revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_of_which_revision_it_is() {
        for (name, expect) in [
            ("web.r2.0.log", Some(("web.r2.0.log", 2))),
            ("web.r12.3.log.5", Some(("web.r12.3.log", 12))),
            ("db.server.log", None),
            ("db.server.log.1", None),
            ("web.r2.0.log.mine", None),
            ("r2.log", None),
            ("run-2", None),
        ] {
            assert_eq!(of_revision(name), expect, "{name}");
        }
    }

    #[test]
    fn only_logs_of_earlier_revisions_are_old() {
        let state = tempfile::tempdir().unwrap();
        let deployment: Deployment = "shop/staging".parse().unwrap();
        let logs = Layout::new(state.path()).logs(&deployment);
        fs::create_dir_all(logs.join("web.r1.9.log")).unwrap();
        for name in ["web.r1.0.log", "web.r1.0.log.1", "web.r2.0.log", "db.server.log", "notes.txt"] {
            fs::write(logs.join(name), "x").unwrap();
        }
        let names = |oldest| -> Vec<String> {
            let old = old_logs(state.path(), &deployment, oldest).unwrap();
            old.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(1), [""; 0]);
        assert_eq!(names(2), ["web.r1.0.log", "web.r1.0.log.1"]);
        assert_eq!(old_logs(&state.path().join("none"), &deployment, 9).unwrap(), [""; 0].map(PathBuf::from));
    }
}
