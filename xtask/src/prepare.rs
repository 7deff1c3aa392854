//! What the tests need beside cargo, and how it gets onto a fresh machine.

use std::fs;
use std::path::Path;

use crate::shell;

/// Something that was not to be had, and the tests that are skipped for it.
#[derive(Debug)]
pub(crate) struct Missing {
    what: &'static str,
    why: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Makes the machine ready for the tests, as far as it may: a machine of CI is changed, a person's own is not.
pub(crate) fn all(ci: bool) -> Vec<Missing> {
    [postgres(ci)].into_iter().filter_map(Result::err).collect()
}

/// The programs of PostgreSQL, for the tests that make a cluster of their own.
fn postgres(ci: bool) -> Result<(), Missing> {
    let missing = |why: &str| Missing { what: "PostgreSQL", why: why.to_owned() };
    if has_postgres() {
        return Ok(());
    }
    if !ci {
        return Err(missing("its programs are not here; `apt-get install postgresql` brings them on Debian"));
    }
    if shell::find("apt-get").is_none() {
        return Err(missing("its programs are not here, and neither is apt-get"));
    }
    let apt = |args: &[&str]| {
        let mut command = shell::command("apt-get", args);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(command)
    };
    // The lists of a fresh image are empty or old; a mirror that does not answer shows in the install.
    apt(&["update", "-q"]);
    if apt(&["install", "-q", "-y", "--no-install-recommends", "postgresql"]) && has_postgres() {
        return Ok(());
    }
    Err(missing("its programs are not here, and apt-get could not bring them"))
}

/// Whether `initdb` and `postgres` are in `PATH` or in the usual place of Debian.
fn has_postgres() -> bool {
    let both = |dir: &Path| ["initdb", "postgres"].iter().all(|program| dir.join(program).is_file());
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    shell::find("initdb").and(shell::find("postgres")).is_some()
        || debian.into_iter().any(|version| both(&version.path().join("bin")))
}
