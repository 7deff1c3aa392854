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
use std::time::Instant;

use test_cluster::cache;

use crate::shell;

/// How the folder of a build is called, before what is built and the number of its process.
const WORK: &str = "build-";

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

/// Builds something in a folder that goes afterwards; says whether it was built, and gives it.
pub(crate) fn build(what: &str, make: impl FnOnce(&Go) -> io::Result<()>) -> bool {
    if shell::find("go").is_none() {
        eprintln!(
            "xtask: `go` is not here, and builds {what} for tests: `apt-get install golang-go`, or see https://go.dev/dl"
        );
        return false;
    }
    println!("xtask: building {what} into {}", cache().display());
    let begun = Instant::now();
    sweep();
    // A folder of this process: two runs do not disturb each other, and the last one to finish is kept.
    let name = what.split(' ').next().unwrap_or(what).to_lowercase();
    let work = cache().join(format!("{WORK}{name}-{}", std::process::id()));
    let built = Go::new(&work).and_then(|go| make(&go));
    let _ = fs::remove_dir_all(&work);
    let seconds = begun.elapsed().as_secs();
    match &built {
        Ok(()) => println!("xtask: {what} is built, in {seconds} s"),
        Err(error) => eprintln!("xtask: failed to build {what}, after {seconds} s: {error}"),
    }
    built.is_ok()
}

/// Removes what a killed build left: gigabytes.
fn sweep() {
    for entry in fs::read_dir(cache()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(WORK).and_then(|rest| rest.rsplit('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
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

    /// Runs it to its end.
    pub(crate) fn run(&self, dir: &Path, args: &[&str]) -> io::Result<()> {
        done(self.command(dir, args))
    }

    /// Builds a program of a module, and gives where it lies.
    pub(crate) fn install(&self, package: &str, version: &str) -> io::Result<PathBuf> {
        let dir = self.dir("bin")?;
        let mut install =
            self.command(&dir, &["install", "-ldflags", "-s -w", &format!("{package}@v{version}")]);
        install.env("GOBIN", &dir);
        done(install)?;
        Ok(dir.join(package.rsplit('/').next().unwrap_or(package)))
    }

    /// A folder of this name to work in.
    pub(crate) fn dir(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.work.join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
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

fn done(command: Command) -> io::Result<()> {
    match shell::run(command) {
        true => Ok(()),
        false => Err(io::Error::other("go did not succeed; see above")),
    }
}

/// Puts a file in its place whole or not at all.
pub(crate) fn place(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    let beside = to.with_extension(format!("{}", std::process::id()));
    fs::copy(from, &beside)?;
    fs::rename(&beside, to)
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
