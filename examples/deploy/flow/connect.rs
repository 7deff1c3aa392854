//! The database's own shell, with its address and password in its environment and not in its arguments.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use code_core::expr::plain;
use code_core::status::Recorded;
use code_core::{Address, Error, ErrorKind, Result};
use code_providers::postgres::connect_command;

use crate::exit::Exit;
use crate::session::Session;

/// Opens the shell of a component in the place of this program.
///
/// # Errors
/// `front::no-such-component`, `front::no-shell` where the component has none, `front::shell-missing`.
pub async fn connect(session: &Session, component: &str, args: &[OsString]) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let state = session.engine.state(&deployment).await?;
    let found = state.inventory.iter().filter(|(address, _)| address.component() == component);
    let resources: Vec<(&Address, &Recorded)> = found.collect();
    if resources.is_empty() {
        let mut names: Vec<&str> = state.inventory.keys().map(Address::component).collect();
        names.dedup();
        let message = format!("find `{component}` in {deployment}");
        return Err(Error::new(ErrorKind::NotFound, "front::no-such-component", message)
            .help("name one of its components")
            .with("components", names.join(", ")));
    }
    let by_kind = |kind: &str| resources.iter().find(|(_, recorded)| recorded.kind == kind);
    let mut command = if let Some((_, database)) = by_kind("postgres.database") {
        psql(session, database).await?
    } else if let Some((_, database)) = by_kind("sqlite.database") {
        sqlite(session, database)?
    } else {
        let message = format!("open a shell of `{component}`: it has none");
        return Err(Error::new(ErrorKind::Unsupported, "front::no-shell", message)
            .help("`connect` opens databases; `logs` shows what a component writes"));
    };
    if session.screen.dry_run {
        session.screen.page(&format!("would run {}\n", command.get_program().display()));
        return Ok(Exit::Done);
    }
    let program = PathBuf::from(command.get_program());
    // Only comes back where it could not be started.
    let error = command.args(args).exec();
    Err(missing(&program.display().to_string()).because(error))
}

async fn psql(session: &Session, database: &Recorded) -> Result<Command> {
    let wanted = connect_command(&session.engine.ctx(), &database.live).await?;
    let program = Some(wanted.program.clone()).filter(|path| path.is_file());
    let program = program.or_else(|| session.host.which("psql")).ok_or_else(|| missing("psql"))?;
    let mut command = start(program);
    command.args(&wanted.args);
    for (name, value) in &wanted.env {
        command.env(name, value.expose());
    }
    Ok(command)
}

fn sqlite(session: &Session, database: &Recorded) -> Result<Command> {
    let program = session.host.which("sqlite3").ok_or_else(|| missing("sqlite3"))?;
    let mut command = start(program);
    if let Some(path) = want(database, "path") {
        command.arg(path);
    }
    Ok(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell takes the place of this program: no host lives on to run it"
)]
fn start(program: PathBuf) -> Command {
    Command::new(program)
}

fn want(recorded: &Recorded, name: &str) -> Option<String> {
    recorded.live.was.get(name)?.known().map(|value| plain(&value))
}

fn missing(program: &str) -> Error {
    let help = match program {
        "sqlite3" => "install it (Debian, Ubuntu: `apt install sqlite3`; macOS has it)",
        _ => "install it (Debian, Ubuntu: `apt install postgresql-client`; macOS: `brew install libpq`)",
    };
    Error::new(ErrorKind::Missing, "front::shell-missing", format!("start `{program}`")).help(help)
}
