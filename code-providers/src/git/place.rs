//! Where commits go: the deployment's own repository, a work tree, or somebody's address.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use code_core::{Deployment, Result};

use super::error;

/// Where commits go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The deployment's own repository in the state directory.
    Own,
    /// A directory: a work tree, which is committed into, or a bare repository, which is pushed to.
    Dir(PathBuf),
    /// An address, which is fetched from and pushed to.
    Address(String),
}

/// The same, with what is found there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Own,
    Tree(PathBuf),
    Remote(String),
}

/// The ways to an address that are taken: each is encrypted, or on this machine.
const SCHEMES: [&str; 3] = ["https", "ssh", "file"];

impl Place {
    /// A place as a person writes it; a directory may be relative to `from`.
    ///
    /// # Errors
    /// `git::place` where git would take it for something else, `git::password` where a password stands in it.
    pub fn of(text: &str, from: &Path) -> Result<Place> {
        if text.trim().is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(error::place(text, "it is no directory and no address"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            if !SCHEMES.contains(&scheme) {
                return Err(error::place(text, "its way is not one of https, ssh, file"));
            }
            let host = rest.split('/').next().unwrap_or_default();
            if host.starts_with('-') {
                return Err(error::place(text, "its host begins with `-`"));
            }
            if host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
                return Err(error::password());
            }
            return Ok(Place::Address(text.to_owned()));
        }
        // `host:path`, unless a slash comes first; `transport::…` would run a program of its choice.
        if let Some((host, path)) = text.split_once(':').filter(|(host, _)| !host.contains('/')) {
            if path.starts_with(':') || host.is_empty() {
                return Err(error::place(text, "its way is not one of https, ssh, file"));
            }
            return Ok(Place::Address(text.to_owned()));
        }
        Ok(Place::Dir(plain(&from.join(text))))
    }

    /// Checks that a directory is a repository now, and that exports would not change what is deployed from
    /// `project`. Nothing is asked over a network.
    ///
    /// # Errors
    /// `git::no-repository`, `git::inside-project`.
    pub fn check(&self, project: &Path, deployment: Option<&Deployment>) -> Result<()> {
        if let Kind::Tree(dir) = self.kind()? {
            let dir = dir.canonicalize().unwrap_or(dir);
            let folder = deployment.map_or_else(|| dir.clone(), |of| dir.join(folder(of)));
            if folder.starts_with(project) {
                return Err(error::inside_project(&dir));
            }
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> Result<Kind> {
        match self {
            Place::Own => Ok(Kind::Own),
            Place::Address(address) => Ok(Kind::Remote(address.clone())),
            Place::Dir(dir) if is_bare(dir) => Ok(Kind::Remote(dir.display().to_string())),
            Place::Dir(dir) if dir.is_dir() && dir.ancestors().any(|dir| dir.join(".git").exists()) => {
                Ok(Kind::Tree(dir.clone()))
            }
            Place::Dir(dir) => Err(error::no_repository(dir)),
        }
    }
}

/// As it is shown: it holds no password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Own => f.write_str("the deployment's own repository"),
            Place::Dir(dir) => write!(f, "{}", dir.display()),
            Place::Address(address) => f.write_str(address),
        }
    }
}

/// The folder of a deployment in every repository.
pub(super) fn folder(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.application(), deployment.environment())
}

fn is_bare(dir: &Path) -> bool {
    dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

/// The path without `.` and `..`, also where it does not exist.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Place, &str>) {
        let place = Place::of(text, Path::new("/project"));
        assert_eq!(
            place.as_ref().map_err(|error| error.code()),
            expect.as_ref().map_err(|code| *code),
            "{text}"
        );
        if let Err(error) = place {
            assert!(error.help_text().is_some());
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_place_is_a_directory_or_an_address_and_nothing_that_runs() {
        check("../ops", Ok(Place::Dir("/ops".into())));
        check("/srv/ops.git", Ok(Place::Dir("/srv/ops.git".into())));
        check("./a:b", Ok(Place::Dir("/project/a:b".into())));
        for address in
            ["https://h/o/r.git", "ssh://git@h:22/r", "git@github.com:o/r.git", "file:///srv/r", "h:r"]
        {
            check(address, Ok(Place::Address(address.into())));
        }
        for none in [
            "",
            " ",
            "--upload-pack=touch /tmp/x",
            "-x",
            "ext::sh -c touch% /tmp/x",
            "fd::17",
            "http://h/r",
            "git://h/r",
            "ssh://-oProxyCommand=x/r",
            "a\nb",
        ] {
            check(none, Err("git::place"));
        }
        check("https://me:hunter2@h/r", Err("git::password"));
    }
}
