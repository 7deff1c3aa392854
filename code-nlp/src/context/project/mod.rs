//! The user's own app: what it is called, how it is built, how it is started, each with the line that says so.
//!
//! A directory is recognised by its files. A Procfile says best how an app is started, so it goes first; the
//! language's own manifest says how it is built, and how it is started where there is no Procfile. Nothing is
//! guessed: what no file says is an error that names what to write, and it is only raised when the app is
//! really to be deployed.
//!
//! ```text
//! Procfile ────────▶ processes: web, worker, …
//! Cargo.toml ──────▶ name, build, web        (cargo build --release)
//! package.json ────▶ name, build, web        (npm ci, where a lockfile pins what is installed)
//! pyproject.toml,
//! requirements.txt,
//! *.py ────────────▶ name, build, web        (pip, where every requirement is pinned)
//! ```

mod cargo;
mod node;
mod procfile;
mod python;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use code_core::id::name_from;
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

/// The largest file of a project that is read, in bytes.
pub const MAX_PROJECT_FILE_BYTES: u64 = 1024 * 1024;

/// A program and its arguments.
type Argv = Vec<String>;

/// A value that was found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where it was found.
    pub origin: Origin,
}

/// An app in a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its directory.
    pub dir: String,
    /// The file by which it was recognised.
    pub recognised: Origin,
    /// The application's name.
    pub name: Found<String>,
    /// How it is built, run in its directory; `None` where nothing has to be, an error where that cannot be
    /// told.
    pub build: Result<Option<Found<Argv>>>,
    /// How its processes are started, by type: `web`, `worker`.
    pub processes: BTreeMap<String, Found<Argv>>,
    /// Why no file says how it is started, where none does.
    pub missing: Option<Error>,
    /// The programs that building and starting it takes.
    pub programs: BTreeSet<String>,
}

/// What one kind of file says of a project.
#[derive(Debug)]
struct Manifest {
    recognised: Origin,
    name: Option<Found<String>>,
    build: Result<Option<Found<Argv>>>,
    web: Result<Found<Argv>>,
    programs: BTreeSet<String>,
}

impl Project {
    /// The app in a directory; `None` where none of its files is one that is known.
    ///
    /// # Errors
    /// `project::unreadable` where a file cannot be read, is larger than [`MAX_PROJECT_FILE_BYTES`], is not
    /// text, or is not what its name says; `project::path` where the path is not UTF-8.
    pub fn read(dir: &Path) -> Result<Option<Project>> {
        let shown = dir.to_str().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "project::path", format!("use the directory {}", dir.display()))
                .help("its path is not UTF-8: move the project to a path that is")
        })?;
        let files = Files { dir };
        let procfile = procfile::read(&files)?;
        let manifest = match cargo::read(&files)? {
            Some(manifest) => Some(manifest),
            None => match node::read(&files)? {
                Some(manifest) => Some(manifest),
                None => python::read(&files)?,
            },
        };
        let recognised = match (&procfile, &manifest) {
            (Some(processes), _) => processes.first_key_value().map(|(_, found)| found.origin.clone()),
            (None, Some(manifest)) => Some(manifest.recognised.clone()),
            (None, None) => return Ok(None),
        };
        let recognised = recognised.unwrap_or_else(|| files.origin("Procfile", 0, ""));
        let directory = dir.file_name().and_then(|name| name.to_str()).map(name_from).unwrap_or_default();
        let own_name = manifest.as_ref().and_then(|manifest| manifest.name.clone());
        let name = own_name.filter(|found| !found.value.is_empty()).unwrap_or_else(|| Found {
            value: if directory.is_empty() { "app".to_owned() } else { directory },
            origin: Origin::default("the directory's name"),
        });
        let mut project = Project {
            dir: shown.to_owned(),
            recognised,
            name,
            build: Ok(None),
            processes: procfile.unwrap_or_default(),
            missing: None,
            programs: BTreeSet::new(),
        };
        if !project.processes.is_empty() {
            project.programs.insert("sh".to_owned());
        }
        if let Some(manifest) = manifest {
            project.build = manifest.build;
            project.programs.extend(manifest.programs);
            if !project.processes.contains_key("web") {
                match manifest.web {
                    Ok(web) => drop(project.processes.insert("web".to_owned(), web)),
                    Err(error) => project.missing = Some(error),
                }
            }
        }
        Ok(Some(project))
    }

    /// How a component is started: by the process type of its name, else by the one of its kind.
    ///
    /// # Errors
    /// `project::no-start-command`, and what kept it from being known.
    pub fn start(&self, name: &str, kind: &str) -> Result<&Found<Argv>> {
        let of_kind = match kind {
            "web" | "api" => "web",
            other => other,
        };
        if let Some(found) = self.processes.get(name).or_else(|| self.processes.get(of_kind)) {
            return Ok(found);
        }
        if let (Some(error), "web") = (&self.missing, of_kind) {
            return Err(error.clone());
        }
        let types: Vec<&str> = self.processes.keys().map(String::as_str).collect();
        Err(no_start_command(
            &self.dir,
            format!("tell how `{name}` ({kind}) is started"),
            match types.is_empty() {
                true => String::new(),
                false => format!(" The project has processes of type {}.", types.join(", ")),
            },
        ))
    }

    /// A program that the app takes is not on this machine.
    pub(crate) fn missing_program(program: &str, recognised: &Origin) -> Error {
        let get = match program {
            "cargo" => "install Rust (https://rustup.rs)",
            "npm" | "node" => "install Node.js with npm",
            "python3" => "install Python 3 with its `venv` module",
            "uv" => "install uv",
            _ => "install it",
        };
        Error::new(
            ErrorKind::Missing,
            "project::missing-program",
            format!("find `{program}`, which the app takes"),
        )
        .help(format!("{get}, or say how the app is built and started with `build` and `start` in code.toml"))
        .with("recognised by", recognised.to_string())
    }
}

/// No file says how something is started.
fn no_start_command(dir: &str, message: String, more: String) -> Error {
    Error::new(ErrorKind::NotFound, "project::no-start-command", message)
        .help(format!(
            "write a Procfile with a line such as `web: ./server --port $PORT`, or `start = [\"./server\"]` under `[components.web]` in code.toml.{more}"
        ))
        .with("directory", dir)
}

/// The files of a project, read with a limit.
#[derive(Debug)]
struct Files<'a> {
    dir: &'a Path,
}

impl Files<'_> {
    fn has(&self, name: &str) -> bool {
        self.dir.join(name).is_file()
    }

    /// A file's text; `None` where it is not there.
    fn text(&self, name: &str) -> Result<Option<String>> {
        let path = self.dir.join(name);
        let bad = |message: String| {
            Error::new(ErrorKind::Invalid, "project::unreadable", message)
                .help("make it a text file that you can read, or remove it")
                .with("path", path.display().to_string())
        };
        let size = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(bad(format!("read {name}")).because(error)),
        };
        if size > MAX_PROJECT_FILE_BYTES {
            return Err(bad(format!(
                "read {name}: it has {size} bytes, and {MAX_PROJECT_FILE_BYTES} are read"
            )));
        }
        let bytes = std::fs::read(&path).map_err(|error| bad(format!("read {name}")).because(error))?;
        let text = String::from_utf8(bytes).map_err(|_| bad(format!("read {name}: it is not UTF-8 text")))?;
        match text.contains('\0') {
            true => Err(bad(format!("read {name}: it has NUL bytes"))),
            false => Ok(Some(text)),
        }
    }

    /// The names in a directory of the project, sorted.
    fn names(&self, dir: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.join(dir)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).take(1000).collect();
        names.sort();
        names
    }

    fn origin(&self, name: &str, line: u32, what: &str) -> Origin {
        let path = self.dir.join(name).display().to_string();
        Origin::File { path, line, what: what.to_owned() }
    }

    /// A file that is not what its name says.
    fn broken(&self, name: &str, error: impl std::error::Error) -> Error {
        Error::new(ErrorKind::Invalid, "project::unreadable", format!("read {name}"))
            .help("correct the file, or remove it")
            .with("path", self.dir.join(name).display().to_string())
            .because(error)
    }
}

/// The line (from 1) of the first line of `text` that `is` it; 0 where there is none.
fn line_where(text: &str, is: impl Fn(&str) -> bool) -> u32 {
    text.lines().position(is).map_or(0, |index| u32::try_from(index + 1).unwrap_or(0))
}

fn argv(words: &[&str]) -> Argv {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
