//! The users of this machine, as `/etc/passwd` (passwd(5)) has them.

use std::fs;

use code_core::{Error, ErrorKind, Result};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) home: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// The numbers to switch to; `None` where this process is that user already.
    pub(super) fn switch(&self) -> Option<Result<(u32, u32)>> {
        let me = rustix::process::geteuid();
        if me.as_raw() == self.uid {
            return None;
        }
        if me.is_root() {
            return Some(Ok((self.uid, self.gid)));
        }
        let what = format!("run a process as `{}`", self.name);
        Some(Err(Error::new(ErrorKind::Denied, "process::user", what)
            .help("only root may run processes as another user: leave `user` out, or deploy as root")))
    }
}

/// A user by name or by number.
pub(super) fn find(wanted: &str) -> Result<User> {
    let table = fs::read_to_string("/etc/passwd").unwrap_or_default();
    parse(&table, wanted).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "process::user", format!("find the user `{wanted}`"))
            .help("make the user first (`useradd --system NAME`), or name another one")
    })
}

/// `name:password:uid:gid:comment:home:shell`, one user a line.
fn parse(table: &str, wanted: &str) -> Option<User> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        (*name == wanted || *uid == wanted).then_some(())?;
        Some(User {
            name: (*name).to_owned(),
            home: (*home).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let table =
            "root:x:0:0:root:/root:/bin/bash\nbroken\npostgres:x:106:113:,,,:/var/lib/postgresql:/bin/sh\n";
        let postgres = parse(table, "postgres").unwrap();
        assert_eq!((postgres.uid, postgres.gid, postgres.home.as_str()), (106, 113, "/var/lib/postgresql"));
        assert_eq!(parse(table, "106"), Some(postgres));
        assert_eq!(parse(table, "nobody"), None);
    }
}
