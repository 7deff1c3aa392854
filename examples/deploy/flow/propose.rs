//! The way of everything that changes something: show, judge, plan, show, ask, apply, tell.
//!
//! ```text
//! Proposal ─▶ scene ─▶ spec ─▶ verdicts ─▶ plan ─▶ verdicts ─┬─ nothing to do ──▶ 0
//!                                                             ├─ dry run ─────────▶ 0
//!                                                             ├─ yes, or asked ──▶ run ─▶ summary
//!                                                             └─ nobody to ask ──▶ saved plan, 4
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use code_core::checks::Approval;
use code_core::engine::{Finished, Planned, Proposal};
use code_core::event::OnFailure;
use code_core::{Deployment, Error, ErrorKind, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::flow::{ended, git, last, prune, resume};
use crate::interrupt::interruptible;
use crate::json::{self, Line};
use crate::progress::{Board, Watch};
use crate::render::{plan, spec, summary, time, verdicts};
use crate::session::{Session, quoted};
use crate::style::{Tone, cell, paragraph, table};

/// What happens to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It is planned, shown and applied.
    Apply,
    /// It is only planned and shown.
    Show,
    /// It is planned, shown and saved.
    Save(PathBuf),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// How the program ends.
    pub exit: Exit,
    /// Whether the plan changes anything.
    pub changes: bool,
}

impl Came {
    fn of(exit: Exit, changes: bool) -> Result<Came> {
        Ok(Came { exit, changes })
    }
}

/// Takes a proposal the whole way.
///
/// # Errors
/// Those of the engine; `front::confirm` where something would go for good and nobody confirmed it by name.
pub async fn propose(session: &Session, proposal: Proposal, goal: Goal) -> Result<Came> {
    let accepted: BTreeSet<String> = session.options.accept.iter().cloned().collect();
    if goal == Goal::Apply {
        consent::may_change(session, &proposal.deployment)?;
    }
    if goal == Goal::Apply
        && !session.screen.dry_run
        && let Some(exit) = resume::same(session, &proposal).await?
    {
        return Came::of(exit, true);
    }
    begin(session, &proposal).await?;
    let reports = session.engine.judge(&proposal).await?;
    if proposal.spec.is_some() {
        session.screen.detail(&verdicts::verdicts(&session.screen.style, "spec", &reports, &accepted));
        line(session, "judged", "judged the spec", &json!({ "of": "spec", "reports": reports }))?;
    }
    let planned = session.engine.plan(&proposal, &accepted).await?;
    show_plan(session, &planned)?;
    // The refusal says what keeps the gate closed.
    session.engine.check(&planned).map_err(Error::from)?;
    let changes = !planned.plan.steps.is_empty();
    if let Goal::Save(path) = &goal {
        save(session, &planned, path)?;
        return Came::of(Exit::Done, changes);
    }
    let state = session.engine.state(&planned.plan.deployment).await?;
    let rolled_out = state.current().is_some_and(|revision| revision.number == planned.plan.revision);
    let gone = planned.plan.spec.is_none() && state.current().is_none();
    if !changes && (rolled_out || gone) {
        if goal == Goal::Apply && !session.screen.dry_run {
            git::catch_up(session, &planned.plan.deployment).await?;
        }
        ended::nothing_to_do(session, &planned.plan)?;
        return Came::of(Exit::Done, false);
    }
    if goal == Goal::Show || session.screen.dry_run {
        return Came::of(Exit::Done, changes);
    }
    if planned.plan.protected {
        return Came::of(wait_for_another_person(session, &planned)?, changes);
    }
    let how = match consent(session, &planned).await? {
        Consent::Given(how) => how,
        Consent::Declined => {
            session.screen.note("nothing was changed\n");
            return Came::of(Exit::Declined, changes);
        }
        Consent::NobodyToAsk => {
            let path = default_path(session, &planned);
            save(session, &planned, &path)?;
            let why = if session.screen.json {
                "with JSON nobody is asked"
            } else {
                "there is no terminal to ask at"
            };
            let text = format!("nothing was changed: {why}; `--yes` answers yes");
            return Came::of(needs_answer(session, &text)?, changes);
        }
    };
    let approval = Approval { plan: planned.plan.id, by: session.user(), at: session.host.now(), how };
    Came::of(run(session, &planned, approval).await?, changes)
}

/// The first lines: where this happens, and what should exist.
async fn begin(session: &Session, proposal: &Proposal) -> Result<()> {
    let style = &session.screen.style;
    session.screen.page(&summary::scene(style, &scene(session, &proposal.deployment, proposal).await?));
    last::warn(session, &proposal.deployment);
    if let Some(wanted) = &proposal.spec {
        session.screen.detail(&spec::spec(
            style,
            wanted,
            &proposal.origins,
            &session.place.project.display().to_string(),
        ));
        let data = json!({ "spec": wanted, "origins": proposal.origins });
        line(session, "spec", &format!("spec of {}", proposal.deployment), &data)?;
    }
    Ok(())
}

async fn scene(session: &Session, deployment: &Deployment, proposal: &Proposal) -> Result<summary::Scene> {
    let state = session.engine.state(deployment).await?;
    let current = state.current().and_then(|revision| revision.spec.as_ref());
    let platform = proposal.spec.as_ref().or(current).map(|spec| spec.target.platform);
    Ok(summary::Scene {
        deployment: deployment.clone(),
        platform: platform.map_or("local", |platform| platform.as_str()).to_owned(),
        user: session.user(),
        state: session.place.state.display().to_string(),
        run: state.runs + 1,
    })
}

fn show_plan(session: &Session, planned: &Planned) -> Result<()> {
    let style = &session.screen.style;
    session.screen.page(&plan::plan(style, &planned.plan));
    let instead = match planned.proposal.on_failure {
        Some(OnFailure::Pause) => Some("If a step fails, the run waits for a decision instead."),
        Some(OnFailure::Stop) => Some("If a step fails, the run ends instead, and what was done stays."),
        Some(OnFailure::RollBack) | None => None,
    };
    if let Some(instead) = instead {
        session.screen.page(&paragraph(style, 0, Tone::Warn, instead));
    }
    if !planned.plan.steps.is_empty() {
        let text = verdicts::verdicts(style, "plan", &planned.plan_reports, &planned.accepted);
        session.screen.detail(&text);
    }
    let counts = plan::counts(&crate::style::PLAIN, &planned.plan);
    line(session, "planned", counts.trim(), &json!({ "plan": planned.plan }))?;
    line(session, "judged", "judged the plan", &json!({ "of": "plan", "reports": planned.plan_reports }))
}

/// One line of JSON, where JSON goes anywhere.
pub fn line(session: &Session, kind: &str, message: &str, data: &impl serde::Serialize) -> Result<()> {
    if session.screen.wants_json() {
        session.screen.line(Line::new(kind, session.host.now(), message, json::to_value(data)?));
    }
    Ok(())
}

/// Asks whether to apply a plan, as what is at stake wants it.
async fn consent(session: &Session, planned: &Planned) -> Result<Consent> {
    let (plan, style) = (&planned.plan, &session.screen.notes);
    if consent::is_severe(plan) {
        let question = summary::severe_prompt(style, &plan.deployment);
        return consent::severe(session, &plan.deployment, &question, consent::unconfirmed(plan)).await;
    }
    Ok(consent::ordinary(session, &summary::prompt(style, &plan.deployment)).await)
}

fn default_path(session: &Session, planned: &Planned) -> PathBuf {
    match &session.options.out {
        Some(path) => path.clone(),
        None => session.place.state.join("plans").join(format!("{}.json", planned.plan.id.short())),
    }
}

/// Saves a plan and says how it is applied.
///
/// # Errors
/// `front::plan-save`.
pub fn save(session: &Session, planned: &Planned, path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Failed, "front::plan-save", "save the plan")
            .help("name a file in a directory that you may write: `--out FILE`")
            .with("path", path.display().to_string())
            .because(error)
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(planned).map_err(|error| failed(error.into()))?;
    std::fs::write(path, text + "\n").map_err(failed)?;
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let shown = quoted(&path.display().to_string());
    let command = session.called.command(&format!("apply {shown}"));
    let mut rows = vec![vec![cell(Tone::Strong, "saved"), cell(Tone::Plain, &shown)]];
    if planned.plan.protected {
        let approve = session.called.command(&format!("approve {shown}"));
        rows.push(vec![cell(Tone::Dim, "approve, as another user"), cell(Tone::Plain, approve)]);
    }
    rows.push(vec![cell(Tone::Dim, "apply"), cell(Tone::Plain, &command)]);
    // Not broken to the width: the command is to be copied whole.
    let wide = crate::style::Style { width: 10_000, ..session.screen.style };
    session.screen.page(&table(&wide, 0, &rows));
    let data = json!({ "path": path, "command": command, "plan": planned.plan.id });
    line(session, "saved", "saved the plan", &data)
}

fn wait_for_another_person(session: &Session, planned: &Planned) -> Result<Exit> {
    let path = default_path(session, planned);
    super::saved::open_approvals(session)?;
    save(session, planned, &path)?;
    let text = format!(
        "nothing was changed: {} is protected, so another user of this machine has to approve the plan first",
        planned.plan.deployment
    );
    needs_answer(session, &text)
}

/// Says who has to answer first, and with what.
fn needs_answer(session: &Session, text: &str) -> Result<Exit> {
    session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, text));
    let exit = Exit::NeedsAnswer;
    line(session, "needs_answer", text, &json!({ "exit": exit.code() }))?;
    Ok(exit)
}

/// Carries out an approved plan, shows it going on, and tells how it ended.
///
/// # Errors
/// Those of the engine.
pub async fn run(session: &Session, planned: &Planned, approval: Approval) -> Result<Exit> {
    last::note(session, &planned.plan.deployment);
    let board = Board::of(Some(&planned.plan));
    let cancel = CancellationToken::new();
    let work = aside(|| session.engine.apply(planned, approval, &cancel));
    let exit = watched(session, board, &cancel, work).await?;
    resume::at_pause(session, &planned.plan.deployment, exit).await
}

/// Something that is done, kept aside.
pub type Aside<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Keeps aside what is to be awaited: all that a command may do is much, and the stack of a program's first thread is
/// not. It is made in here, so that none of it lies on the stack of who awaits it.
pub fn aside<'a, T, F: Future<Output = T> + 'a>(make: impl FnOnce() -> F) -> Aside<'a, T> {
    Box::pin(make())
}

/// Awaits a run while it is shown, and tells how it ended.
///
/// # Errors
/// Those of the run.
pub async fn watched(
    session: &Session,
    board: Board,
    cancel: &CancellationToken,
    work: Aside<'_, Result<Finished>>,
) -> Result<Exit> {
    let started = session.host.now();
    let watch =
        Watch::begin(&session.feed, &session.screen, session.view(), session.options.verbose > 0, board);
    let finished = interruptible(&session.screen, &session.limit, cancel, work).await;
    watch.end();
    match finished {
        Some(Ok(finished)) => {
            let exit = ended::tell(session, &finished, time::between(started, session.host.now()));
            prune::after_a_run(session, &finished).await;
            exit
        }
        Some(Err(error)) => Err(session.limit.error(error)),
        None => {
            let text = format!("stopped in the middle; go on with: {}", session.called.command("resume"));
            session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, &text));
            Ok(Exit::Interrupted)
        }
    }
}
