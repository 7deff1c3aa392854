//! Where the project is, and where its state lies.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use code_core::{Digest, Error, ErrorKind, Result};

use crate::cli::Options;

/// The settings file that marks a project's root.
const SETTINGS: &str = "code.toml";
/// The state directory inside of a project.
const STATE: &str = ".code";
/// Where root keeps the state of projects that no service user can enter.
const ROOT_STATE: &str = "/var/lib/code";

/// The project's directory and its state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The project's directory, absolute.
    pub project: PathBuf,
    /// The state directory, absolute.
    pub state: PathBuf,
    /// Why the state is not in the project, where it is not and nobody asked for that.
    pub why: Option<String>,
}

impl Place {
    /// The place that the options and the current directory say; `root` is whether this runs as root.
    ///
    /// # Errors
    /// `front::project` where the project is no directory, `front::state` where state cannot lie there.
    pub fn find(options: &Options, here: &Path, root: bool) -> Result<Place> {
        let project = match &options.project {
            Some(named) => here.join(named),
            None => nearest(here).unwrap_or(here).to_path_buf(),
        };
        let project = project.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "front::project", "find the project's directory")
                .help("name a directory that exists: `--project DIR`")
                .with("path", project.display().to_string())
        })?;
        if let Some(state) = &options.state {
            let state = absolute(here, state);
            let there = state.ancestors().find(|dir| dir.symlink_metadata().is_ok());
            if let Some(file) = there.filter(|dir| !dir.is_dir()) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "front::state",
                    "keep state in what is no directory",
                )
                .help("name a directory, or one that can be made: `--state DIR`")
                .with("path", file.display().to_string()));
            }
            return Ok(Place { project, state, why: None });
        }
        let inside = project.join(STATE);
        // PostgreSQL refuses root, so its server runs as another user, who has to reach its data.
        if root && !enterable(&project) {
            let hash = Digest::of(project.as_os_str().as_encoded_bytes()).short();
            let state = Path::new(ROOT_STATE).join(hash);
            let why = format!(
                "state is kept in {}: as root, service users must be able to enter it, and they cannot enter {}",
                state.display(),
                project.display()
            );
            return Ok(Place { project, state, why: Some(why) });
        }
        Ok(Place { project, state: inside, why: None })
    }
}

/// The nearest directory upwards with settings or state.
fn nearest(here: &Path) -> Option<&Path> {
    here.ancestors().find(|dir| dir.join(SETTINGS).is_file() || dir.join(STATE).join("journal").is_dir())
}

/// The path with every part that exists resolved, so that the same directory has one name.
fn absolute(here: &Path, path: &Path) -> PathBuf {
    let path = here.join(path);
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), _, _) => path,
        (_, Some(parent), Some(name)) => absolute(here, parent).join(name),
        _ => path,
    }
}

/// Whether every user may enter the directory and all above it.
fn enterable(dir: &Path) -> bool {
    dir.ancestors()
        .all(|dir| dir.metadata().is_ok_and(|meta| meta.is_dir() && meta.permissions().mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &[&str]) -> Options {
        let args: Vec<_> = ["deploy", "status"].iter().chain(line).map(Into::into).collect();
        crate::cli::parse(&args, false).expect("a good line").0
    }

    #[test]
    fn state_lies_in_the_project_or_where_the_option_says() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().canonicalize().unwrap().join("a project é");
        let below = project.join("src/deep");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(project.join("code.toml"), "").unwrap();
        let found = Place::find(&options(&[]), &below, false).unwrap();
        assert_eq!((found.project.clone(), found.state), (project.clone(), project.join(".code")));
        let found = Place::find(&options(&["--state", "x/y"]), &below, true).unwrap();
        assert_eq!(found.state, below.join("x/y"));
        std::fs::write(below.join("file"), "").unwrap();
        for state in ["file", "file/below"] {
            let error = Place::find(&options(&["--state", state]), &below, false).unwrap_err();
            assert_eq!(error.code(), "front::state");
        }
        let error = Place::find(&options(&["--project", "nowhere"]), &below, false).unwrap_err();
        assert_eq!(error.code(), "front::project");
    }

    #[test]
    fn as_root_service_users_must_reach_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let found = Place::find(&options(&[]), dir.path(), true).unwrap();
        assert!(found.state.starts_with("/var/lib/code") && found.why.is_some());
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let found = Place::find(&options(&[]), dir.path(), true).unwrap();
        assert!(found.state.ends_with(".code") && found.why.is_none());
    }
}
