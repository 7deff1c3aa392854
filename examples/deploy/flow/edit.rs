//! Another spec in the place of a paused run's: in the person's own editor, or from a file.
//!
//! ```text
//! the run's spec ──▶ STATE/edit/…yaml ──▶ $VISUAL, $EDITOR ─┐
//! resume --edit FILE ───────────────────────────────────────┴─▶ spec ─▶ gate ─▶ plan ─▶ asked ─▶ the next run
//! ```
//!
//! Until that run begins the other one stays paused, and the text is kept: whoever made a mistake in it finds it
//! in the editor again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use code_core::spec::Spec;
use code_core::status::Run;
use code_core::{Deployment, Error, ErrorKind, Layout, Result};
use code_nlp::spec_file::{MAX_SPEC_BYTES, PartialSpec, read_spec, write_spec};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::flow::propose::{Goal, propose};
use crate::flow::sentence;
use crate::session::Session;

/// What is opened where nobody said anything else, as every Unix has it.
const EDITOR: &str = "vi";

/// Goes on from a paused run with an edited spec: the one in `file`, else what the person makes of the run's in
/// their editor.
///
/// # Errors
/// `front::no-editor`, `front::spec-file`, `run::not-paused`, and those of the spec and of the engine; the run
/// stays paused.
pub async fn edit(
    session: &Session,
    deployment: &Deployment,
    run: &Run,
    file: Option<&Path>,
) -> Result<Exit> {
    let draft = match file {
        Some(_) => None,
        None => Some(draft(session, deployment, run)?),
    };
    let path = draft.as_deref().or(file).unwrap_or(Path::new(""));
    let shown = path.display().to_string();
    let bytes = text(path)?;
    of_this(&read_spec(&shown, &bytes)?.spec, deployment)?;
    let change = sentence::of_spec(session, &shown, &bytes, &Goal::Apply).await?;
    let proposal = sentence::proposal(session, change, None)?;
    let proposal = proposal.following(run, &session.user(), session.host.now());
    let came = propose(session, proposal, Goal::Apply).await?;
    let taken = session.engine.state(deployment).await?.open_run().is_none_or(|open| open.id != run.id);
    if let Some(draft) = draft.filter(|_| taken) {
        let _ = fs::remove_file(draft);
    }
    Ok(came.exit)
}

/// The file in which the person has edited the spec of a run.
fn draft(session: &Session, deployment: &Deployment, run: &Run) -> Result<PathBuf> {
    let Some(spec) = run.plan.spec.as_ref().filter(|_| session.screen.interactive) else {
        return Err(no_editor("without a terminal and a spec to edit"));
    };
    let path = session.place.state.join("edit");
    let path = path.join(format!("{}-run-{}.yaml", Layout::slug(deployment), run.id));
    if !path.exists() {
        let failed = |error| unreadable(&path, error);
        fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
        fs::write(&path, page(spec, deployment, run)?).map_err(failed)?;
    }
    let said = ["VISUAL", "EDITOR"].into_iter().find_map(|name| session.host.env(name));
    open(said.as_deref().filter(|said| !said.trim().is_empty()).unwrap_or(EDITOR), &path)?;
    Ok(path)
}

/// What the person finds: the spec of the run, but for the releases, which are made of the project as it is.
fn page(spec: &Spec, deployment: &Deployment, run: &Run) -> Result<String> {
    let mut spec = spec.clone();
    spec.components.iter_mut().for_each(|component| component.release = None);
    let why = run.paused.as_ref().map(|paused| paused.why.replace('\n', " ")).unwrap_or_default();
    Ok(format!(
        "# Run {} of {deployment} is paused: it failed to {why}\n\
         # Save and leave: the plan of this spec is shown, and asked about before anything changes.\n\
         {}",
        run.id,
        write_spec(&spec)?
    ))
}

/// Hands the terminal on to an editor until the person leaves it.
fn open(editor: &str, path: &Path) -> Result<()> {
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(EDITOR);
    // An interrupt is for the editor: this program must not end under it.
    let held = signal(SignalKind::interrupt());
    #[expect(clippy::disallowed_methods, reason = "an editor has the terminal, which no host hands on")]
    let left = Command::new(program).args(words).arg(path).status();
    drop(held);
    match left {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(no_editor(&format!("`{editor}`, which ended with {status}"))),
        Err(error) => Err(no_editor(&format!("`{editor}`")).because(error)),
    }
}

/// Told before anything is made of the spec: what does not fit another deployment would be told in its place.
fn of_this(spec: &PartialSpec, deployment: &Deployment) -> Result<()> {
    let application = spec.application.as_deref().unwrap_or(deployment.application());
    let environment = spec.environment.as_deref().unwrap_or(deployment.environment());
    if (application, environment) == (deployment.application(), deployment.environment()) {
        return Ok(());
    }
    let message = format!("use a spec of {application}/{environment} for {deployment}");
    Err(Error::new(ErrorKind::Invalid, "engine::other-deployment", message)
        .help("leave the names of the application and the environment as they are"))
}

fn text(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
    // One byte more than may be read: so that what is too long is known to be.
    let read = file.take(MAX_SPEC_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, error))?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Invalid, "front::spec-file", "read the spec file")
        .help("name a YAML or JSON file that you can read: `resume --edit FILE`")
        .with("path", path.display().to_string())
        .because(error)
}

fn no_editor(what: &str) -> Error {
    Error::new(ErrorKind::NeedsAnswer, "front::no-editor", format!("edit the spec {what}"))
        .help("name your editor in VISUAL or EDITOR, or give the edited spec: `resume --edit FILE`")
}
