//! What the tests need beside cargo, and how it gets onto a fresh machine.

use std::fs;
use std::path::Path;

use crate::{kubernetes, roots, shell};

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

/// Makes the machine ready for the tests, as far as it may: root installs packages, anybody else is told how.
pub(crate) fn all(ci: bool) -> Vec<Missing> {
    [postgres(ci), node(ci), cluster(ci), go(ci), docker(ci)].into_iter().filter_map(Result::err).collect()
}

/// The programs of PostgreSQL, for the tests that make a cluster of their own.
fn postgres(ci: bool) -> Result<(), Missing> {
    let missing = |why: &str| Missing { what: "PostgreSQL", why: why.to_owned() };
    if has_postgres() {
        return Ok(());
    }
    let Some(apt) = apt(ci) else {
        return Err(missing(
            "its programs are not here; on Debian, `apt-get install postgresql` brings them",
        ));
    };
    // The lists of a fresh image are empty or old; a mirror that does not answer shows in the install.
    apt(&["update", "-q"]);
    if apt(&["install", "-q", "-y", "--no-install-recommends", "postgresql"]) && has_postgres() {
        return Ok(());
    }
    Err(missing("its programs are not here, and apt-get could not bring them"))
}

/// What a test cluster needs of Debian; what is built for it is brought by [`crate::kubernetes`].
fn cluster(ci: bool) -> Result<(), Missing> {
    let here = || ["etcd", "openssl", "curl", "setpriv"].iter().all(|program| shell::find(program).is_some());
    if here() {
        return Ok(());
    }
    let missing = |why: &str| Missing { what: "Kubernetes", why: why.to_owned() };
    let Some(apt) = apt(ci) else {
        return Err(missing(
            "on Debian, `apt-get install etcd-server openssl curl util-linux` brings its store",
        ));
    };
    apt(&["update", "-q"]);
    apt(&["install", "-q", "-y", "--no-install-recommends", "etcd-server", "openssl", "curl", "util-linux"]);
    if here() { Ok(()) } else { Err(missing("apt-get could not bring etcd, openssl, curl and setpriv")) }
}

/// A Docker daemon and a registry, which tests start for themselves.
fn docker(ci: bool) -> Result<(), Missing> {
    let here = || test_daemon::programs_are_here().is_ok();
    if here() {
        return Ok(());
    }
    let missing = |why: &str| Missing { what: "Docker", why: why.to_owned() };
    let Some(apt) = apt(ci) else {
        return Err(missing(
            "on Debian, `apt-get install docker.io docker-registry busybox-static iproute2 curl` brings it",
        ));
    };
    apt(&["update", "-q"]);
    let packages = test_daemon::PROGRAMS.iter().map(|(_, package)| *package);
    let install = ["install", "-q", "-y", "--no-install-recommends"];
    apt(&install.into_iter().chain(packages).collect::<Vec<_>>());
    if here() { Ok(()) } else { Err(missing("apt-get could not bring its daemon and a registry")) }
}

/// Some Go, where CI has to build what tests need; it fetches a newer one by itself.
fn go(ci: bool) -> Result<(), Missing> {
    if !ci || kubernetes::is_here() && roots::is_here() || shell::find("go").is_some() {
        return Ok(());
    }
    if let Some(apt) = apt(ci) {
        apt(&["update", "-q"]);
        apt(&["install", "-q", "-y", "--no-install-recommends", "ca-certificates", "golang-go"]);
    }
    match shell::find("go") {
        Some(_) => Ok(()),
        None => Err(Missing {
            what: "Go",
            why: "it builds tools for tests, and apt-get could not bring it".to_owned(),
        }),
    }
}

/// Node.js with npm, for the story of an app of npm's.
fn node(ci: bool) -> Result<(), Missing> {
    let missing = |why: &str| Missing { what: "an app of npm's", why: why.to_owned() };
    let here = || shell::find("node").and(shell::find("npm")).is_some();
    if here() {
        return Ok(());
    }
    let Some(apt) = apt(ci) else {
        return Err(missing("npm is not here; on Debian, `apt-get install nodejs npm` brings it"));
    };
    apt(&["update", "-q"]);
    if apt(&["install", "-q", "-y", "--no-install-recommends", "nodejs", "npm"]) && here() {
        return Ok(());
    }
    Err(missing("npm is not here, and apt-get could not bring it"))
}

/// A way to run `apt-get`, where there is one: as root, or in CI with a `sudo` that asks nothing.
fn apt(ci: bool) -> Option<impl Fn(&[&str]) -> bool> {
    let apt = shell::find("apt-get")?;
    let root = shell::read(shell::command("id", &["-u"])).is_some_and(|id| id.trim() == "0");
    let sudo = ci && !root && shell::read(shell::command("sudo", &["-n", "true"])).is_some();
    (root || sudo).then_some(move |args: &[&str]| {
        let mut command = if root { shell::command(&apt, &[]) } else { shell::command("sudo", &["-n"]) };
        if !root {
            command.args(["env", "DEBIAN_FRONTEND=noninteractive"]).arg(&apt);
        }
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(command)
    })
}

/// Whether `initdb` and `postgres` are in `PATH` or in the usual place of Debian.
fn has_postgres() -> bool {
    let both = |dir: &Path| ["initdb", "postgres"].iter().all(|program| dir.join(program).is_file());
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    shell::find("initdb").and(shell::find("postgres")).is_some()
        || debian.into_iter().any(|version| both(&version.path().join("bin")))
}
