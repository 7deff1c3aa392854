//! What a request is read against: the project, its settings, what was deployed before, and this machine.
//!
//! ```text
//! project files ─┐
//! code.toml ─────┤
//! journals ──────┼──▶ Context (plain data) ──▶ resolve (pure)
//! this machine ──┤
//! options ───────┘
//! ```
//!
//! Everything here is data that was read before. That is what makes [`resolve`](crate::resolve) a function:
//! the same words in the same context give the same spec.

mod history;
mod project;

use std::collections::{BTreeMap, BTreeSet};

use code_core::intent::Platform;

pub use history::{History, Was};
pub use project::{Found, MAX_PROJECT_FILE_BYTES, Project};

use crate::settings::Settings;

/// The surroundings of a request.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The directory in which the request was made, for messages.
    pub dir: String,
    /// The project, where one was recognised.
    pub project: Option<Project>,
    /// Further projects, by the `source` that names them in a request, the settings or a spec file: see
    /// [`sources`](crate::resolve::sources).
    pub sources: BTreeMap<String, Project>,
    /// Directories with `*.tf` files, by the `source` that names them, or would.
    pub roots: BTreeMap<String, String>,
    /// The project's settings; empty where it has none.
    pub settings: Settings,
    /// What was deployed before, from the journals.
    pub history: History,
    /// This machine.
    pub machine: Machine,
    /// What the command line says beside the request.
    pub options: Options,
}

/// What matters of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The programs of PostgreSQL, where they are here.
    pub postgresql: Option<Postgresql>,
    /// Ports on which nothing listens, best first.
    pub free_ports: Vec<u16>,
    /// Programs that can be run by name, of those that [`Project::programs`] asks about.
    pub programs: BTreeSet<String>,
    /// The user's name.
    pub user: String,
}

/// The programs of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgresql {
    /// The directory of `initdb` and `postgres`.
    pub bin_dir: String,
    /// Their major version.
    pub major: u32,
}

/// What the command line says beside the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--application`.
    pub application: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    /// `--platform`.
    pub platform: Option<Platform>,
    /// `--project`: whether the project's directory was named.
    pub project: bool,
    /// `--dry-run`.
    pub dry_run: bool,
}
