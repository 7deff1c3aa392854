//! As whom a process runs.

use code_core::{Error, ErrorKind, Result};

use crate::users::{self, User};

/// A user by name or by number.
pub(super) fn find(wanted: &str) -> Result<User> {
    users::find(wanted).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "process::user", format!("find the user `{wanted}`"))
            .help("make the user first (`useradd --system NAME`), or name another one")
    })
}

/// The numbers to switch to; `None` where this process is that user already.
pub(super) fn switch(user: &User) -> Result<Option<(u32, u32)>> {
    let me = rustix::process::geteuid();
    if me.as_raw() == user.uid {
        return Ok(None);
    }
    if me.is_root() {
        return Ok(Some((user.uid, user.gid)));
    }
    let what = format!("run a process as `{}`", user.name);
    Err(Error::new(ErrorKind::Denied, "process::user", what)
        .help("only root may run processes as another user: leave `user` out, or deploy as root"))
}
