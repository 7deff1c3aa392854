//! This machine, as a [`Host`].

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::command;
use super::disk::Disk;
use crate::host::{self, Command, Host, Output};
use crate::{Error, ErrorKind, Result};

/// What a child inherits of the environment; all else is named by its command.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// This machine.
#[derive(Clone, Debug)]
pub struct LocalHost {
    grace: Duration,
}

impl Default for LocalHost {
    fn default() -> LocalHost {
        LocalHost::new()
    }
}

impl LocalHost {
    /// This machine; a command that should end gets five seconds between the interrupt and the end.
    pub fn new() -> LocalHost {
        LocalHost { grace: Duration::from_secs(5) }
    }

    /// With another time between the interrupt and the end.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> LocalHost {
        LocalHost { grace }
    }
}

#[async_trait]
impl Host for LocalHost {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the host")]
        Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGUN.elapsed()
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn env(&self, name: &str) -> Option<String> {
        variable(name)?.into_string().ok()
    }

    fn user(&self) -> String {
        let id = rustix::process::geteuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        user_name(&passwd, id).unwrap_or_else(|| id.to_string())
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        which(program, &variable("PATH").unwrap_or_default())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn run(
        &self,
        cancel: &CancellationToken,
        mut command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output> {
        let inherited: Vec<(&str, OsString)> =
            INHERITED.iter().filter_map(|name| Some((*name, variable(name)?))).collect();
        if command.program.components().count() <= 1 {
            let set = command.env.iter().rev().find(|(name, _)| name == "PATH");
            let path = set.map(|(_, value)| OsString::from(value.expose())).or_else(|| variable("PATH"));
            let found = which(&command.program.to_string_lossy(), &path.unwrap_or_default());
            command.program = found.ok_or_else(|| host::no_program(&command.program))?;
        }
        let grace = command.grace.unwrap_or(self.grace);
        command::run(command, inherited, grace, cancel, on_line).await
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match tokio::fs::read(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("host::read", "read", path, error)),
        }
    }

    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let (to, bytes) = (path.to_owned(), bytes.to_vec());
        let written = tokio::task::spawn_blocking(move || Disk::Real.replace(&to, &bytes, mode)).await;
        written
            .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
            .map_err(|error| file_error("host::write", "write", path, error))
    }
}

fn file_error(code: &'static str, verb: &str, path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let (kind, help) = match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => {
            (ErrorKind::Denied, "give your user the right to it, or choose another directory")
        }
        StorageFull | QuotaExceeded => (ErrorKind::Failed, "free some space, and run it again"),
        _ => (ErrorKind::Failed, "see what the system says, mend it, and run it again"),
    };
    Error::new(kind, code, format!("{verb} {}", path.display())).help(help).because(error)
}

#[expect(clippy::disallowed_methods, reason = "this is the host")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The name of a user in the text of passwd(5).
fn user_name(passwd: &str, id: u32) -> Option<String> {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id) && !name.is_empty()).then(|| name.to_owned())
    };
    passwd.lines().find_map(name)
}

/// Searches a program as a shell would, but for directories that are not absolute: from another working
/// directory they would be others.
fn which(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
    }
    if program.is_empty() {
        return None;
    }
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_programs_are_found_by_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 7), None);
        let path = std::ffi::OsStr::new("/nowhere:.::/bin:/usr/bin");
        assert_eq!(which("sh", path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(which("/bin/sh", path), Some(PathBuf::from("/bin/sh")));
        for none in ["", "no-such-program", "/etc", "/etc/passwd"] {
            assert_eq!(which(none, path), None, "{none}");
        }
    }

    #[tokio::test]
    async fn a_file_is_replaced_whole_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new dir/ä file");
        let host = LocalHost::new();
        assert_eq!(host.read(&path).await.unwrap(), None);
        host.write(&path, b"old", 0o644).await.unwrap();
        host.write(&path, b"new", 0o600).await.unwrap();
        assert_eq!(host.read(&path).await.unwrap().unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
        let blocked = path.join("below a file");
        let error = host.write(&blocked, b"", 0o644).await.unwrap_err();
        assert_eq!(error.code(), "host::write");
        assert!(error.help_text().is_some());
        assert_eq!(host.read(dir.path()).await.unwrap_err().code(), "host::read");
    }
}
