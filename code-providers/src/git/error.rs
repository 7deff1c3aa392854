//! What can go wrong, and what a person can do about it.

use std::path::Path;

use code_core::host::Output;
use code_core::{Deployment, Error, ErrorKind};

/// How to get git.
pub(super) const INSTALL: &str = "install it (Debian, Ubuntu: `apt-get install git`; Fedora: `dnf install git`; \
     macOS: `xcode-select --install`)";

pub(super) fn missing() -> Error {
    Error::new(ErrorKind::Missing, "git::missing", "find the program `git`").help(INSTALL)
}

pub(super) fn place(text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    Error::new(ErrorKind::Invalid, "git::place", format!("commit to `{shown}`: {why}"))
        .help("name a directory, or an address like `https://HOST/PATH` or `git@HOST:PATH`")
}

pub(super) fn password() -> Error {
    Error::new(ErrorKind::Refused, "git::password", "use an address with a password in it")
        .help("leave the password out, and let git's credential helper or an SSH key give it")
}

pub(super) fn no_repository(dir: &Path) -> Error {
    Error::new(ErrorKind::NotFound, "git::no-repository", format!("find a repository at {}", dir.display()))
        .help(format!("make one (`git init '{}'`), or name another", dir.display()))
        .with("path", dir.display().to_string())
}

pub(super) fn inside_project(dir: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "git::inside-project",
        format!("commit into {}: it is part of the project that is deployed", dir.display()),
    )
    .help("each export would change the project's files, and so what runs: name a repository beside it, a bare one, or an address")
    .with("path", dir.display().to_string())
}

pub(super) fn detached(dir: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "git::detached",
        format!("commit in {}: no branch is checked out there", dir.display()),
    )
    .help("check out the branch that the commits belong on: `git switch BRANCH`")
    .with("path", dir.display().to_string())
}

pub(super) fn uncommitted(dir: &Path, changed: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        "git::uncommitted",
        format!("commit in {}: somebody changed the same files there", dir.display()),
    )
    .help("commit, move or undo these changes, then `deploy push`")
    .with("path", dir.display().to_string())
    .with("changed", changed)
}

pub(super) fn broken(place: &str, said: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "git::broken", format!("read {place}: it is damaged or not whole"))
        .help("see what `git fsck` says there; fetch it again from where it came from, or move it away; nothing was changed")
        .with("repository", place)
        .with("said", said)
}

pub(super) fn unreachable(address: &str, said: &str) -> Error {
    Error::new(ErrorKind::Failed, "git::unreachable", format!("reach {address}"))
        .help("see whether `git ls-remote` works for it here, without asking anything; then `deploy push`")
        .with("repository", address)
        .with("said", said)
        .transient()
}

pub(super) fn push(address: &str, said: &str) -> Error {
    Error::new(ErrorKind::Refused, "git::push", format!("push to {address}: it was not taken"))
        .help("its answer says why: a hook, a protected branch or a missing right; then `deploy push`")
        .with("repository", address)
        .with("said", said)
}

pub(super) fn raced(address: &str, times: usize) -> Error {
    Error::new(
        ErrorKind::Failed,
        "git::raced",
        format!("push to {address}: somebody else was faster, {times} times in a row"),
    )
    .help("`deploy push` tries it again")
    .with("repository", address)
    .transient()
}

pub(super) fn failed(what: &str, output: &Output) -> Error {
    Error::new(ErrorKind::Failed, "git::failed", format!("run `git {what}`"))
        .help("see what git says about it; then `deploy push`")
        .with("said", output.tail(6))
}

pub(super) fn files(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "git::files", format!("{what} {}", path.display()))
        .help("see who may write there and whether the disk is full")
        .with("path", path.display().to_string())
        .because(cause)
}

pub(super) fn empty(place: &str) -> Error {
    Error::new(ErrorKind::NotFound, "git::empty", format!("find a commit in {place}: there is none"))
        .help("deploy first: each revision becomes a commit; or name another repository with `--git`")
        .with("repository", place)
}

pub(super) fn revision(place: &str, revision: &str, shallow: bool) -> Error {
    let shown: String = revision.chars().take(80).flat_map(char::escape_debug).collect();
    let help = if shallow {
        "it is a shallow clone: the commit may be beyond its end; `git fetch --unshallow` there gets the rest"
    } else {
        "name a commit, a branch or a tag: `git log` shows them"
    };
    Error::new(ErrorKind::NotFound, "git::revision", format!("find `{shown}` in {place}"))
        .help(help)
        .with("repository", place)
}

pub(super) fn no_spec(place: &str, commit: &str, deployment: &Deployment, path: &str, gone: bool) -> Error {
    let error = Error::new(
        ErrorKind::NotFound,
        "git::no-spec",
        format!("find a spec of {deployment} in commit {commit}"),
    )
    .with("repository", place)
    .with("path", path);
    if gone {
        return error
            .help("this commit says that it was taken down; a missing file is no wish: `deploy destroy` takes it down");
    }
    error.help("name a commit that has it, and the deployment with `--application` and `--environment`")
}

pub(super) fn spec_too_large(path: &str, bytes: u64) -> Error {
    Error::new(ErrorKind::Invalid, "git::spec-too-large", format!("read {path}: it has {bytes} bytes"))
        .help("a spec is text of at most 1 MiB: see what was committed there")
}

pub(super) fn render(cause: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Bug, "git::render", "write a revision down as files")
        .help("report it; the deployment stands")
        .because(cause)
}
