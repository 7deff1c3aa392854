//! As whom PostgreSQL runs, and whether that user can get to its data.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use code_core::{Host, Result};

use super::error;
use crate::users::{self, User};

/// Who may own a cluster when root deploys it, the best first.
const SERVICE_USERS: [&str; 2] = ["postgres", "nobody"];

/// The user who owns a cluster and runs its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Its name; empty where it is whoever runs the engine.
    pub(super) name: String,
    /// Its numbers; `None` where it is whoever runs the engine.
    pub(super) ids: Option<(u32, u32)>,
}

/// As whom a new cluster is made.
pub(super) fn of_new(host: &dyn Host) -> Result<Owner> {
    if !is_root(host) {
        return Ok(Owner { name: String::new(), ids: None });
    }
    let User { name, uid, gid, .. } =
        SERVICE_USERS.iter().find_map(|name| users::find(name)).ok_or_else(error::no_user)?;
    Ok(Owner { name, ids: Some((uid, gid)) })
}

/// Who owns a cluster that is there.
pub(super) fn of_files(host: &dyn Host, dir: &Path) -> Result<Owner> {
    if !is_root(host) {
        return Ok(Owner { name: String::new(), ids: None });
    }
    let found = fs::metadata(dir).map_err(|cause| error::files("look at", dir, cause))?;
    let uid = found.uid().to_string();
    let name = users::find(&uid).map_or(uid, |user| user.name);
    Ok(Owner { name, ids: Some((found.uid(), found.gid())) })
}

fn is_root(host: &dyn Host) -> bool {
    matches!(host.user().as_str(), "root" | "0")
}

/// Checks that the owner can get to `dir`, which need not exist yet. Directories of the state directory are
/// left out: [`open_way`] opens those.
///
/// # Errors
/// `postgres::closed-directory` names the one that keeps the owner out.
pub(super) fn check_way(owner: &Owner, dir: &Path, state_dir: &Path) -> Result<()> {
    match closed(owner, dir).into_iter().find(|closed| !closed.starts_with(state_dir)) {
        Some(closed) => Err(error::closed_directory(&closed, &owner.name)),
        None => Ok(()),
    }
}

/// Makes the directories above `dir`, and lets the owner through those of the state directory: through, not
/// into, so that what lies in them is as closed as before.
pub(super) fn open_way(owner: &Owner, dir: &Path, state_dir: &Path) -> Result<()> {
    check_way(owner, dir, state_dir)?;
    let parent = dir.parent().unwrap_or(dir);
    let mode = if owner.ids.is_some() { 0o711 } else { 0o700 };
    let made = DirBuilder::new().recursive(true).mode(mode).create(parent);
    made.map_err(|cause| error::files("make", parent, cause))?;
    for closed in closed(owner, dir) {
        let open = || {
            let mode = fs::metadata(&closed)?.permissions().mode();
            fs::set_permissions(&closed, Permissions::from_mode(mode | 0o011))
        };
        open().map_err(|cause| error::files("open", &closed, cause))?;
    }
    Ok(())
}

/// Makes an empty directory that only its owner can enter.
pub(super) fn own_directory(owner: &Owner, dir: &Path) -> Result<()> {
    let make = || {
        DirBuilder::new().mode(0o700).create(dir)?;
        match owner.ids {
            Some((uid, gid)) => chown(dir, Some(uid), Some(gid)),
            None => Ok(()),
        }
    };
    make().map_err(|cause| error::files("make", dir, cause))
}

/// The existing directories above `dir` that the owner cannot enter, from the root down.
fn closed(owner: &Owner, dir: &Path) -> Vec<PathBuf> {
    let Some(ids) = owner.ids else { return Vec::new() };
    let mut above: Vec<&Path> = dir.ancestors().skip(1).collect();
    above.reverse();
    let can_enter = |path: &Path| match fs::metadata(path) {
        Ok(found) => enters(found.mode(), (found.uid(), found.gid()), ids),
        Err(_) => true,
    };
    above.into_iter().filter(|path| !can_enter(path)).map(Path::to_owned).collect()
}

/// Whether a user can enter a directory: the first class that fits decides (path_resolution(7)).
fn enters(mode: u32, owner: (u32, u32), user: (u32, u32)) -> bool {
    let bit = match (user.0 == owner.0, user.1 == owner.1) {
        (true, _) => 0o100,
        (false, true) => 0o010,
        (false, false) => 0o001,
    };
    user.0 == 0 || mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        for (mode, owner, user, expect) in [
            (0o700, (0, 0), (101, 104), false),
            (0o711, (0, 0), (101, 104), true),
            (0o750, (0, 104), (101, 104), true),
            (0o701, (0, 104), (101, 104), false),
            (0o077, (101, 104), (101, 104), false),
            (0o000, (5, 5), (0, 0), true),
        ] {
            assert_eq!(enters(mode, owner, user), expect, "{mode:o} {owner:?} {user:?}");
        }
    }

    #[test]
    fn a_closed_directory_outside_of_the_state_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let stranger = Owner { name: "nobody".into(), ids: Some((65_534, 65_534)) };
        let cluster = dir.path().join("state/data/cluster");
        let error = check_way(&stranger, &cluster, &dir.path().join("state")).unwrap_err();
        assert_eq!(error.code(), "postgres::closed-directory");
        assert!(error.message().contains(dir.path().to_str().unwrap()), "{error}");
        let myself = Owner { name: String::new(), ids: None };
        check_way(&myself, &cluster, &dir.path().join("state")).unwrap();
        open_way(&stranger, &cluster, dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o711);
        assert!(cluster.parent().unwrap().is_dir());
    }
}
