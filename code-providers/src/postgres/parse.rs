//! What PostgreSQL's programs and files say.

/// The version that `postgres --version` says: `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0)`.
pub(super) fn version(said: &str) -> Option<&str> {
    let mut words = said.split_whitespace();
    words.find(|word| *word == "(PostgreSQL)")?;
    words.next().filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// The major version of `15.18`, `17beta1`, or of what a cluster's file `PG_VERSION` holds.
pub(super) fn major(version: &str) -> Option<u32> {
    let version = version.trim();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_said() {
        for (said, expect) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(("15.18", 15))),
            ("postgres (PostgreSQL) 17beta1", Some(("17beta1", 17))),
            ("initdb (PostgreSQL) 9.6.24", Some(("9.6.24", 9))),
            ("postgres (PostgreSQL)", None),
            ("Usage: postgres [OPTION]", None),
            ("", None),
        ] {
            let found = version(said).map(|version| (version, major(version).unwrap()));
            assert_eq!(found, expect, "{said}");
        }
        assert_eq!((major("16\n"), major("x")), (Some(16), None));
    }
}
