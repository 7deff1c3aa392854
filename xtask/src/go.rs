//! The Go that builds tools for the tests: the machine's, or a newer one that it fetches.
//!
//! ```text
//! apt-get golang-go ──▶ some Go ── new enough? ──yes──▶ builds
//!                          └──no: the module golang.org/toolchain, by the module proxy ──▶ a newer Go, builds
//! ```
//!
//! Go's own toolchains are published as a module (<https://go.dev/ref/mod>, <https://go.dev/doc/toolchain>). Go 1.21
//! and later would fetch one by themselves; Debian's is older, and fetches it as it fetches any module: by version, with
//! its sum checked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// What kwok asks for.
const NEEDS: (u32, u32) = (1, 26);
/// The toolchain that is fetched where the machine's is older.
const TOOLCHAIN: &str = "go1.26.8";

/// A Go that is new enough, with caches of its own that go with the folder in which it works.
#[derive(Debug)]
pub(crate) struct Go {
    program: PathBuf,
    work: PathBuf,
}

impl Go {
    /// Where there is a Go at all.
    ///
    /// # Errors
    /// It is too old, and no newer one could be fetched.
    pub(crate) fn new(work: &Path) -> io::Result<Go> {
        let here = Go { program: PathBuf::from("go"), work: work.to_owned() };
        fs::create_dir_all(work)?;
        let has = here.read(&["env", "GOVERSION"]).unwrap_or_default();
        if minor(&has).is_some_and(|has| has >= NEEDS) {
            return Ok(here);
        }
        println!("xtask: {} is older than {}.{}: fetching {TOOLCHAIN}", has.trim(), NEEDS.0, NEEDS.1);
        here.newer()
    }

    /// A command of Go that leaves the machine to whatever else runs.
    pub(crate) fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = shell::command("nice", &["-n", "19"]);
        command.arg(&self.program).args(args).current_dir(dir);
        command.env("GOCACHE", self.work.join("cache")).env("GOMODCACHE", self.modules());
        command.env("GOFLAGS", "-mod=mod -modcacherw").env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
        command
    }

    /// Where the modules lie that it fetched.
    pub(crate) fn modules(&self) -> PathBuf {
        self.work.join("mod")
    }

    fn newer(&self) -> io::Result<Go> {
        let platform = self.read(&["env", "GOOS", "GOARCH"]).unwrap_or_default();
        let platform: Vec<&str> = platform.split_whitespace().collect();
        let module = format!("golang.org/toolchain@v0.0.1-{TOOLCHAIN}.{}", platform.join("-"));
        // A module that is named with its version needs one around it.
        fs::write(self.work.join("go.mod"), "module tools-for-tests\n")?;
        if !shell::run(self.command(&self.work, &["mod", "download", &module])) {
            return Err(io::Error::other(format!("{TOOLCHAIN} could not be fetched")));
        }
        let root = self.modules().join(module);
        // What the go command itself does with it: a module has no executable files, and no module inside.
        make_executable(&root.join("bin"))?;
        make_executable(&root.join("pkg/tool"))?;
        fs::copy(root.join("src/_go.mod"), root.join("src/go.mod"))?;
        Ok(Go { program: root.join("bin/go"), work: self.work.clone() })
    }

    fn read(&self, args: &[&str]) -> Option<String> {
        shell::read(self.command(&self.work, args))
    }
}

/// `(1, 26)` of `go1.26.8`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix("go")?.split('.');
    let major = parts.next()?.parse().ok()?;
    // `1.27rc1` is one, too.
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    Some((major, digits(parts.next()?).parse().ok()?))
}

#[cfg(unix)]
fn make_executable(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => make_executable(&entry.path())?,
            false => fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755))?,
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read() {
        assert_eq!(minor("go1.26.8\n"), Some((1, 26)));
        assert_eq!(minor("go1.27rc1"), Some((1, 27)));
        assert!(minor("go1.19.8").is_some_and(|has| has < NEEDS));
        assert_eq!(minor("devel"), None);
        assert_eq!(minor(""), None);
    }
}
