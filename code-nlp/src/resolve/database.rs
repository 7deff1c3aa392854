//! Which engine a database has: what was said, else what it always had, else what this machine can run.
//!
//! The choice binds: data of one engine is of no use to another, so it changes only on explicit words.

use code_core::diagnostic::Note;
use code_core::intent::Platform;
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::Fields;
use super::fill::At;

/// The contract's word for an engine that files may call otherwise.
pub(crate) fn canonical(engine: &str) -> String {
    let engine = engine.to_lowercase();
    match engine.as_str() {
        "postgres" | "pg" | "psql" => "postgresql".to_owned(),
        "sqlite3" => "sqlite".to_owned(),
        "mongo" => "mongodb".to_owned(),
        _ => engine,
    }
}

/// Holds a said engine against the one that there is.
pub(super) fn choose(fields: &mut Fields, at: &At<'_>, scene: &mut Scene<'_>) -> Result<()> {
    let name = fields.name().to_owned();
    let history = &scene.context.history;
    let before = history.last_with(&scene.place.deployment, &name);
    let before = before.and_then(|(_, component)| component.engine.as_deref());
    let running = at.base.and_then(|base| base.text("/engine"));
    let Some(wanted) = fields.text("/engine").map(str::to_owned) else { return Ok(()) };
    let explicit =
        at.update && matches!(fields.origin("/engine"), Some(Origin::Request { .. } | Origin::Option { .. }));
    match running {
        Some(running) if running != wanted && !explicit => {
            let message = format!("make `{name}`, which is {running}, {wanted}: its data would stay behind");
            Err(Error::new(ErrorKind::Refused, "resolve::engine-change", message)
                .help(format!(
                    "if that is meant, say it: \"change {name} to {wanted}\"; or give a second database a name of its own"
                ))
                .with("said at", fields.origin("/engine").map(Origin::to_string).unwrap_or_default()))
        }
        Some(running) if running != wanted => {
            let message = format!(
                "`{name}` changes from {running} to {wanted}: no data is moved, and that cannot be undone"
            );
            scene.notes.push(Note::warning("resolve::engine-change", message));
            Ok(())
        }
        None if before.is_some_and(|before| before != wanted) => {
            let before = before.unwrap_or_default();
            let message =
                format!("`{name}` was {before} before: data that was kept of it is not used by {wanted}");
            scene.notes.push(Note::warning("resolve::engine-change", message));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Gives an engine where there is none yet, and holds it against what this machine has.
pub(super) fn settle(fields: &mut Fields, at: &At<'_>, scene: &Scene<'_>) -> Result<()> {
    let here = scene.context.machine.postgresql.as_ref();
    if !fields.has("/engine") {
        let (engine, why) = match (at.platform, here) {
            (Platform::Local, Some(programs)) => (
                "postgresql",
                format!("PostgreSQL {} is on this machine ({})", programs.major, programs.bin_dir),
            ),
            (Platform::Local, None) => ("sqlite", "PostgreSQL is not on this machine".to_owned()),
            _ => ("postgresql", "the usual one".to_owned()),
        };
        fields.fill("/engine", engine, Origin::default(why));
    }
    if at.platform != Platform::Local || fields.text("/engine") != Some("postgresql") {
        return Ok(());
    }
    let asked = fields.origin("/engine").map(Origin::to_string).unwrap_or_default();
    let how = "install it (Debian, Ubuntu: `apt install postgresql`; macOS: `brew install postgresql`), or ask for SQLite";
    let Some(programs) = here else {
        return Err(Error::new(
            ErrorKind::Missing,
            "resolve::no-postgresql",
            format!("find PostgreSQL on this machine for `{}`", fields.name()),
        )
        .help(how)
        .with("asked for", asked));
    };
    let major = programs.major.to_string();
    match fields.text("/version") {
        None => {
            let why = format!("the version of the programs in {}", programs.bin_dir);
            fields.fill("/version", major, Origin::default(why));
            Ok(())
        }
        Some(version) if version.split('.').next() == Some(major.as_str()) => Ok(()),
        Some(version) => Err(Error::new(
            ErrorKind::Missing,
            "resolve::no-postgresql",
            format!("find PostgreSQL {version} on this machine for `{}`: here is {major}", fields.name()),
        )
        .help(format!("install that version next to the other, or leave it out to have {major}"))
        .with("asked for", fields.origin("/version").map(Origin::to_string).unwrap_or_default())),
    }
}
