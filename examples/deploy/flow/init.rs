//! A first spec in the project, that deploys without a network.

use std::fs::OpenOptions;
use std::io::{ErrorKind as Io, Write};

use code_core::id::name_from;
use code_core::{Error, ErrorKind, Result};
use serde_json::json;

use crate::exit::Exit;
use crate::flow::propose::line;
use crate::session::{Session, quoted};

/// The file's name.
const FILE: &str = "deploy.yaml";

/// Writes `deploy.yaml`, where there is none yet, and says what comes next.
///
/// # Errors
/// `front::init-exists`, `front::init-write`.
pub fn init(session: &Session) -> Result<Exit> {
    let project = &session.place.project;
    let path = project.join(FILE);
    let name = project.file_name().map(|name| name_from(&name.to_string_lossy())).unwrap_or_default();
    let name =
        session.options.application.clone().unwrap_or(if name.is_empty() { "app".into() } else { name });
    let environment = session.options.environment.as_deref().unwrap_or("staging");
    let text = first(&name, environment);
    if session.screen.dry_run {
        session.screen.page(&text);
        return Ok(Exit::Done);
    }
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(|error| unwritable(&path, error))?,
        Err(error) if error.kind() == Io::AlreadyExists => {
            return Err(Error::new(
                ErrorKind::Invalid,
                "front::init-exists",
                "write a first spec: there is one already",
            )
            .help("edit it, or move it away")
            .with("path", path.display().to_string()));
        }
        Err(error) => return Err(unwritable(&path, error)),
    }
    let next = session.called.command(&format!("--spec {}", quoted(&path.display().to_string())));
    session.screen.page(&format!("wrote {}\nnext  {next}\n", path.display()));
    line(session, "init", "wrote a first spec", &json!({ "path": path, "command": next }))?;
    Ok(Exit::Done)
}

fn first(name: &str, environment: &str) -> String {
    format!(
        "# yaml-language-server: $schema=https://code-engine.dev/schema/spec.v1.schema.json\n\
         # What should run. What is left out is filled in, and shown with its origin.\n\
         version: 1\n\
         application: {name}\n\
         environment: {environment}\n\
         components:\n\
         \x20 - name: web\n\
         \x20   kind: web\n\
         \x20   # source: .        # this project; without it, the sample app\n\
         \x20   depends_on: [db]\n\
         \x20 - name: db\n\
         \x20   kind: database\n\
         \x20   engine: sqlite     # or postgresql, where its programs are\n"
    )
}

fn unwritable(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Denied, "front::init-write", "write a first spec")
        .help("name a project that you may write: `--project DIR`")
        .with("path", path.display().to_string())
        .because(error)
}
