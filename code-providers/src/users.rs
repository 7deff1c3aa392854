//! The users of this machine, as `/etc/passwd` (passwd(5)) has them.

use std::fs;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Its home directory.
    pub(crate) home: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A user by name or by number.
pub(crate) fn find(wanted: &str) -> Option<User> {
    parse(&fs::read_to_string("/etc/passwd").unwrap_or_default(), wanted)
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
