//! Whether everything that a deployment needs is here and works. It looks at everything and changes nothing, and
//! whatever is broken is one line of the answer: also what ends every other command at once.
//!
//! ```text
//! project    settings · policies · git       what code.toml says, and whether it can be followed
//! machine    state · disk · clock · ports    where CODE writes, and what others may have taken
//! tools      one for each provider           missing is a warning, unless what is deployed needs it
//! deployed   journal · runs · exports · keeper · secrets
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use code_core::event::Event;
use code_core::provider::Health as Tool;
use code_core::status::State;
use code_core::store::Seq;
use code_core::verify::Link;
use code_core::{Deployment, Error, Result};
use code_nlp::settings::Settings;
use code_providers::git::Place;
use code_providers::process::identity::describe;
use code_providers::process::keeper::{Keeper, Table};
use code_providers::process::port::{is_free, listeners};

use crate::exit::Exit;
use crate::render::doctor::{Check, Health, doctor as page, several, verdict};
use crate::session::{Session, quoted};

/// What is wrong with a project. Only the doctor goes on without; everything else ends with the first of it.
#[derive(Debug, Default)]
pub struct Ailing {
    /// Whether to go on.
    pub goes_on: bool,
    /// What was found so far, by the check that tells it.
    pub found: Vec<(&'static str, Error)>,
}

impl Ailing {
    /// The result; or, where it is an error and somebody wants to hear of all of them, something `instead`.
    ///
    /// # Errors
    /// That of the result, and of what is done instead.
    pub fn or<T>(
        &mut self,
        name: &'static str,
        result: Result<T>,
        instead: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match result {
            Err(error) if self.goes_on => {
                self.found.push((name, error));
                instead()
            }
            result => result,
        }
    }
}

/// Looks at everything, and says how to mend what is not as it should be.
///
/// # Errors
/// `json::write`.
pub async fn doctor(session: &Session) -> Result<Exit> {
    let (deployed, mut journals) = deployed(session).await;
    let mut checks = project(session);
    checks.push(state(&session.place.state));
    checks.push(disk(&session.place.state));
    checks.push(clock(session, &deployed));
    checks.extend(ports(session).await);
    checks.extend(tools(session, &deployed).await);
    checks.append(&mut journals);
    checks.extend(runs(session, &deployed));
    checks.extend(keeper(session).await);
    checks.extend(secrets(session));
    let text = verdict(&checks);
    session.screen.answer("doctor", &text, &page(&session.screen.style, &checks), &checks)?;
    let worst = checks.iter().map(|check| check.state).max();
    Ok(if worst == Some(Health::Fail) { Exit::Unexpected } else { Exit::Done })
}

/// A deployment, and what can be read of it.
struct Deployed {
    deployment: Deployment,
    events: Vec<(Seq, Event)>,
    state: State,
}

/// The error as one line, with where it is.
fn told(error: &Error) -> String {
    let facts = error.context().map(|(name, value)| format!("{}: {value}", name.replace('_', " ")));
    let facts: Vec<String> = facts.chain(error.causes().iter().map(ToString::to_string)).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) };
    format!("failed to {}{facts}", error.message())
}

fn failed(name: &str, error: &Error) -> Check {
    Check::not(Health::Fail, name, told(error), error.help_text().unwrap_or("see its page"))
}

/// What the project says, and whether it can be followed.
fn project(session: &Session) -> Vec<Check> {
    let found = |name: &str| session.ailing.iter().find(|(what, _)| *what == name).map(|(_, error)| error);
    let well = |name: &str, says: String| match found(name) {
        Some(error) => failed(name, error),
        None => Check::pass(name, says),
    };
    let path = Settings::find(&session.place.project);
    let settings = path.map_or_else(
        || "no code.toml: everything has a default".to_owned(),
        |path| path.display().to_string(),
    );
    let policies = match session.settings.policies.len() {
        0 => "those of this build".to_owned(),
        n => format!(
            "those of this build, and {} of the project's own",
            several(n, "directory", "directories")
        ),
    };
    let mut checks = vec![well("settings", settings), well("policies", policies)];
    let place = found("git").cloned().or_else(|| place(session).err());
    checks.extend(place.map(|error| failed("git place", &error)));
    checks
}

/// Whether the repositories that the settings name are there.
fn place(session: &Session) -> Result<()> {
    let (settings, project) = (&session.settings, &session.place.project);
    let of_environments = settings.environments.values().filter_map(|one| one.git.as_ref());
    for named in settings.git.iter().chain(of_environments) {
        Place::of(named, project)?.check(project, None)?;
    }
    Ok(())
}

/// Whether the state directory, or the nearest one above it that exists, can be written: asked without writing.
fn state(dir: &Path) -> Check {
    use rustix::fs::Access;
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    let shown = dir.display();
    let Err(error) = rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK) else {
        return Check::pass("state", format!("{shown} can be written"));
    };
    let own = there.metadata().is_ok_and(|meta| meta.uid() == rustix::process::geteuid().as_raw());
    let fix = if own && error == rustix::io::Errno::ACCESS {
        format!("chmod u+rwx {}", quoted(&there.display().to_string()))
    } else {
        "keep state where you may write: `--state DIR`".to_owned()
    };
    Check::not(Health::Fail, "state", format!("{shown} cannot be written: {error}"), fix)
}

/// Below so many bytes a journal may soon not be written any more; and below so many, that is near.
const FULL: u64 = 16 << 20;
const NEARLY_FULL: u64 = 512 << 20;

fn disk(dir: &Path) -> Check {
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    match rustix::fs::statvfs(there) {
        Ok(found) => room(found.f_bavail.saturating_mul(found.f_frsize), found.f_files, found.f_favail),
        Err(error) => Check::pass("disk", format!("how much is free is not known: {error}")),
    }
}

/// Whether so many free bytes and files are enough; some file systems count no files.
fn room(bytes: u64, files: u64, free_files: u64) -> Check {
    let says = format!("{} MiB are free for state", bytes >> 20);
    let health = match bytes {
        _ if files > 0 && free_files == 0 => {
            let fix = "remove files there; `deploy prune` removes old releases";
            return Check::not(
                Health::Fail,
                "disk",
                "no file can be made there any more: no inode is free",
                fix,
            );
        }
        0..FULL => Health::Fail,
        FULL..NEARLY_FULL => Health::Warn,
        _ => return Check::pass("disk", says),
    };
    Check::not(health, "disk", says, "free some space there; `deploy prune` removes old releases")
}

/// Whether time goes on: what is recorded must not be in the future, or approvals and backoffs go wrong.
fn clock(session: &Session, deployed: &[Deployed]) -> Check {
    let now = session.host.now();
    let last = deployed.iter().flat_map(|one| &one.events).map(|(_, event)| event.at).max();
    match last {
        Some(last) if last.duration_since(now) > jiff::SignedDuration::from_mins(1) => Check::not(
            Health::Warn,
            "clock",
            format!("it is {now:.0}, and the last event was recorded at {last:.0}, which is still to come"),
            "timedatectl set-ntp true",
        ),
        _ => Check::pass("clock", "it goes on from the last event"),
    }
}

/// The ports that the settings name and those that were given away: free, or ours.
async fn ports(session: &Session) -> Vec<Check> {
    let settings = &session.settings;
    let own = settings.components.iter().map(|(name, part)| (name.clone(), part.port));
    let of_environments = settings.environments.iter().flat_map(|(environment, settings)| {
        let parts = settings.components.iter();
        parts.map(move |(name, part)| (format!("{name} in {environment}"), part.port))
    });
    let named = own.chain(of_environments).filter_map(|(name, port)| Some((port?, name)));
    let Ok(table) = Table::read(&session.place.state) else {
        return vec![Check::pass("ports", "which are ours cannot be told without the keeper's table")];
    };
    let kept = matches!(Keeper::look(&session.place.state).await, Ok(Some(_)));
    let routes = table.routes.iter().map(|route| (route.port, route.place.to_string()));
    let processes = table.processes.iter().filter_map(|kept| Some((kept.port?, kept.job.place.to_string())));
    let ours = |port: &u16| {
        let lives = table.processes.iter().any(|process| process.port == Some(*port) && process.lives());
        lives || (kept && table.routes.iter().any(|route| route.port == *port && route.trouble.is_none()))
    };
    let mut all: Vec<(u16, String)> = named.chain(routes).chain(processes).collect();
    all.sort();
    all.dedup_by_key(|(port, _)| *port);
    let taken: Vec<Check> = all
        .iter()
        .filter(|(port, _)| !ours(port) && !is_free(*port))
        .map(|(port, name)| {
            let who: Vec<String> = listeners(*port).into_iter().map(describe).collect();
            let who = if who.is_empty() { "somebody else".to_owned() } else { who.join(", ") };
            let says = format!("{port} of {name} is taken by {who}");
            let fix = format!("end what listens on {port}, or give {name} another `port` in code.toml");
            Check::not(Health::Fail, "ports", says, fix)
        })
        .collect();
    match (taken.is_empty(), all.len()) {
        (false, _) => taken,
        (true, 0) => vec![Check::pass("ports", "none is fixed")],
        (true, n) => vec![Check::pass("ports", several(n, "port", "ports") + " free, or ours")],
    }
}

/// The tool of each provider: where it is missing, that is a failure only for what is deployed.
async fn tools(session: &Session, deployed: &[Deployed]) -> Vec<Check> {
    let in_use = deployed.iter().flat_map(|one| one.state.inventory.values()).filter(|one| !one.kept);
    // The part before the dot is the provider's: `postgres.data`.
    let mut needed: BTreeSet<&str> = in_use.filter_map(|one| one.kind.split('.').next()).collect();
    let settings = &session.settings;
    let exported = settings.git.is_some() || settings.environments.values().any(|one| one.git.is_some());
    if exported || session.options.git.is_some() {
        needed.insert("git");
    }
    let mut checks = Vec::new();
    for (info, health) in session.engine.health().await {
        let name = info.name.as_str();
        checks.push(match health {
            Ok(Tool::Ready { version }) => Check::pass(name, version),
            Ok(Tool::Missing { what, help }) if needed.contains(name) => Check::not(
                Health::Fail,
                name,
                format!("{what} is missing, and what is deployed needs it"),
                help,
            ),
            Ok(Tool::Missing { what, help }) => {
                Check::not(Health::Warn, name, format!("{what} is missing"), help)
            }
            Ok(Tool::Broken { why, help }) => Check::not(Health::Fail, name, why, help),
            Err(error) => failed(name, &error),
        });
    }
    checks
}

/// What is recorded, and whether it can be trusted.
async fn deployed(session: &Session) -> (Vec<Deployed>, Vec<Check>) {
    let (mut all, mut checks) = (Vec::new(), Vec::new());
    let deployments = match session.engine.deployments().await {
        Ok(deployments) => deployments,
        Err(error) => return (all, vec![failed("journal", &error)]),
    };
    let mut records = 0;
    for deployment in deployments {
        match session.engine.readable(&deployment).await {
            Ok((events, _)) => {
                let state = State::fold(&events);
                all.push(Deployed { deployment: deployment.clone(), events, state });
            }
            Err(error) => {
                checks.push(failed("journal", &error));
                continue;
            }
        }
        match session.engine.verify(&deployment).await {
            Ok(verified) => {
                records += verified.records;
                checks.extend(verified.broken.map(|broken| {
                    let says = format!("{deployment}, record {}: {}", broken.record, broken.what);
                    match broken.link {
                        Link::Releases => Check::not(
                            Health::Warn,
                            "releases",
                            format!("{says}: nobody can go back to that revision"),
                            format!("bring {} back from a backup", quoted(&broken.expected)),
                        ),
                        _ => {
                            let which = format!("journal repair {}", meant(&deployment));
                            Check::not(Health::Fail, "journal", says, session.called.command(&which))
                        }
                    }
                }));
            }
            // Made, and nothing written in it yet.
            Err(error) if error.code() == "engine::no-deployment" => {}
            Err(error) => checks.push(failed("journal", &error)),
        }
    }
    if !checks.iter().any(|check| check.name == "journal") {
        let says = if all.is_empty() {
            "nothing is recorded yet".to_owned()
        } else {
            format!("{records} events hold")
        };
        checks.insert(0, Check::pass("journal", says));
    }
    (all, checks)
}

/// The options that name a deployment.
fn meant(deployment: &Deployment) -> String {
    format!("-e {} --application {}", deployment.environment(), deployment.application())
}

/// Runs that have not ended, and revisions that were not exported.
fn runs(session: &Session, deployed: &[Deployed]) -> Vec<Check> {
    let mut checks = Vec::new();
    for Deployed { deployment, state, .. } in deployed {
        let which = meant(deployment);
        if let Some(run) = state.open_run() {
            let (says, fix) = match &run.paused {
                Some(_) => ("waits for a decision", format!("resume --retry {which}")),
                None => ("is going on, or was interrupted", format!("resume {which}")),
            };
            let says = format!("run {} of {deployment} {says}", run.id);
            checks.push(Check::not(Health::Warn, "runs", says, session.called.command(&fix)));
        }
        let owed = state.owed().count();
        if owed > 0 {
            let says = format!("{} of {deployment} not exported yet", several(owed, "revision", "revisions"));
            checks.push(Check::not(
                Health::Warn,
                "exports",
                says,
                session.called.command(&format!("push {which}")),
            ));
        }
    }
    checks
}

/// Whether somebody watches what runs and serves its addresses.
async fn keeper(session: &Session) -> Option<Check> {
    let state = &session.place.state;
    let table = match Table::read(state) {
        Ok(table) => table,
        Err(error) => return Some(failed("keeper", &error)),
    };
    let (processes, routes) = (table.processes.len(), table.routes.len());
    let places = table.processes.iter().map(|kept| &kept.job.place);
    let first = places.chain(table.routes.iter().map(|route| &route.place)).next()?;
    let start = session.called.command(&format!("start {}", meant(&first.deployment)));
    let processes = several(processes, "process", "processes");
    let what = format!("{processes} and {}", several(routes, "address", "addresses"));
    Some(match Keeper::look(state).await {
        Err(error) => failed("keeper", &error),
        Ok(None) => {
            let says = format!("nobody keeps {what}: what ends is not restarted, and no address answers");
            Check::not(Health::Fail, "keeper", says, start)
        }
        Ok(Some(greeting)) => match greeting.check() {
            Err(error) => failed("keeper", &error),
            Ok(()) if greeting.version == env!("CARGO_PKG_VERSION") => {
                Check::pass("keeper", format!("process {} keeps {what}", greeting.pid))
            }
            Ok(()) => {
                let says =
                    format!("process {} keeps {what}, and is of version {}", greeting.pid, greeting.version);
                // What it keeps goes on, and the next one adopts it.
                Check::not(Health::Warn, "keeper", says, format!("kill {}; {start}", greeting.pid))
            }
        },
    })
}

/// Whether nobody else may read the key of the secrets: it is not used where somebody may.
fn secrets(session: &Session) -> Option<Check> {
    let key: PathBuf = session.layout.secrets().join("key");
    let mode = fs::metadata(&key).ok()?.permissions().mode() & 0o777;
    Some(if mode & 0o077 == 0 {
        Check::pass("secrets", "their key is for its owner alone")
    } else {
        let shown = quoted(&key.display().to_string());
        let says = format!("others may read their key (mode {mode:o})");
        Check::not(Health::Fail, "secrets", says, format!("chmod 600 {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_before_it_is_full() {
        let states: Vec<Health> = [
            room(0, 10, 5),
            room(FULL - 1, 10, 5),
            room(FULL, 10, 5),
            room(NEARLY_FULL, 10, 5),
            room(NEARLY_FULL, 10, 0),
            room(NEARLY_FULL, 0, 0),
        ]
        .map(|check| check.state)
        .into();
        use Health::{Fail, Pass, Warn};
        assert_eq!(states, [Fail, Fail, Warn, Pass, Fail, Pass]);
    }
}
