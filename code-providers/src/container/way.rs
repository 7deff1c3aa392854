//! Where the engine of containers listens: as `docker` and `podman` find it.

use std::fmt;
use std::path::{Path, PathBuf};

use code_core::{Ctx, Result};

use super::error;

/// How the daemon is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A Unix socket.
    Socket(PathBuf),
    /// Plain HTTP to `HOST:PORT`.
    Tcp(String),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Socket(path) => write!(f, "unix://{}", path.display()),
            Way::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Way {
    /// The way of the program or of `DOCKER_HOST`, else the first of the usual sockets that is there.
    ///
    /// # Errors
    /// `container::host` where a way is named that is none, `container::missing` where there is no socket.
    pub(super) fn find(ctx: &Ctx, named: Option<&str>) -> Result<Way> {
        let var = |name: &str| ctx.host().env(name).filter(|value| !value.is_empty());
        if let Some(named) = named.map(str::to_owned).or_else(|| var("DOCKER_HOST")) {
            return Way::read(&named, var("DOCKER_TLS_VERIFY").is_some());
        }
        let places = usual(var("XDG_RUNTIME_DIR").as_deref(), var("HOME").as_deref());
        let found = places.iter().find(|path| path.exists());
        found.map(|path| Way::Socket(path.clone())).ok_or_else(|| error::no_daemon(&places))
    }

    fn read(named: &str, tls: bool) -> Result<Way> {
        match named.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Way::Socket(path.into())),
            Some(("tcp" | "http", address)) if !tls && is_address(address) => {
                Ok(Way::Tcp(address.trim_end_matches('/').to_owned()))
            }
            _ => Err(error::host(named)),
        }
    }
}

fn is_address(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Docker's socket, that of a user's own Docker, and those of Podman.
fn usual(runtime: Option<&str>, home: Option<&str>) -> Vec<PathBuf> {
    let of = |base: Option<&str>, rest: &str| base.map(|base| Path::new(base).join(rest));
    [
        Some(PathBuf::from("/var/run/docker.sock")),
        of(runtime, "docker.sock"),
        of(home, ".docker/run/docker.sock"),
        of(runtime, "podman/podman.sock"),
        Some(PathBuf::from("/run/podman/podman.sock")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_read_or_told() {
        let check = |named: &str, expect: Option<&str>| {
            let found = Way::read(named, false).map(|way| way.to_string());
            assert_eq!(found.as_deref().ok(), expect, "{named}");
        };
        check("unix:///run/d.sock", Some("unix:///run/d.sock"));
        check("tcp://10.0.0.1:2375", Some("tcp://10.0.0.1:2375"));
        check("http://[::1]:2375/", Some("tcp://[::1]:2375"));
        check("unix://d.sock", None);
        check("tcp://somewhere", None);
        check("ssh://me@there", None);
        check("nonsense", None);
        assert_eq!(Way::read("tcp://h:1", true).unwrap_err().code(), "container::host");
    }

    #[test]
    fn the_users_own_engines_are_found() {
        let found = usual(Some("/run/user/7"), Some("/home/me"));
        assert!(found.contains(&PathBuf::from("/run/user/7/podman/podman.sock")));
        assert!(found.contains(&PathBuf::from("/home/me/.docker/run/docker.sock")));
        assert_eq!(usual(None, None).len(), 2);
    }
}
