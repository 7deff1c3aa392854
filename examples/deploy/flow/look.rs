//! The commands that only look: status, history, cost, scan, explain, report, commands, completions.

use std::collections::BTreeSet;

use clap::CommandFactory;
use code_core::engine::Proposal;
use code_core::expr::plain;
use code_core::intent::{Action, Intent};
use code_core::parser::Parsed;
use code_core::scanner::Cost;
use code_core::spec::{Origin, Spec};
use code_core::{Deployment, Error, ErrorKind, Result};
use code_nlp::context::Context;
use code_nlp::resolve::{Ask, Filter, resolve};
use code_providers::{KeeperEvent, forsaken, keeper_events};
use serde_json::{Value, json};

use crate::cli;
use crate::exit::Exit;
use crate::flow::propose::line;
use crate::flow::sentence;
use crate::render::history::{Line, lines};
use crate::render::{self, history as told, time, verdicts};
use crate::session::Session;
use crate::style::{Tone, cell, table};
use crate::{complete, explain};

/// How every deployment is now.
///
/// # Errors
/// Those of the store.
pub async fn status(session: &Session, filter: &Filter) -> Result<Exit> {
    let mut all = Vec::new();
    let mut damaged = false;
    // Read once: it holds the history of every deployment.
    let context = sentence::unasked(session).await;
    for deployment in session.engine.deployments().await? {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        if fits(&filter.application, deployment.application())
            && fits(&filter.environment, deployment.environment())
        {
            let mut status = session.engine.status(&deployment).await?;
            match &status.damage {
                Some(error) => {
                    damaged = true;
                    note_error(session, error);
                }
                None => status.outdated = outdated(session, &deployment, &context).await?,
            }
            if !filter.components.is_empty() {
                status.resources.retain(|r| filter.components.iter().any(|c| c == r.address.component()));
            }
            all.push(status);
        }
    }
    let data: Vec<Value> = all.iter().map(render::status::to_json).collect();
    let page = render::status::status(&session.screen.style, &all);
    let forsaken = forsaken(&session.place.state);
    if let Some(error) = &forsaken {
        note_error(session, error);
    }
    let drift = forsaken.is_some() || render::status::has_drift(&all);
    let message = format!("{} deployments{}", all.len(), if drift { ", with drift" } else { "" });
    session.screen.answer("status", &message, &page, &data)?;
    Ok(match (damaged, drift) {
        (true, _) => Exit::Broken,
        (false, true) => Exit::Drift,
        (false, false) => Exit::Done,
    })
}

fn note_error(session: &Session, error: &Error) {
    let page = render::error::error(&session.screen.notes, session.called.program(), error);
    session.screen.note(&page);
}

/// What the settings say now and the revision does not: `replicas of web: 1, and code.toml:2 says 3`.
async fn outdated(
    session: &Session,
    deployment: &Deployment,
    context: &Result<Context>,
) -> Result<Vec<String>> {
    let state = session.engine.state(deployment).await?;
    let Some(is) = state.current().and_then(|revision| revision.spec.as_ref()) else { return Ok(Vec::new()) };
    // What an update without any wish of its own would make of it.
    let intent = Intent {
        application: Some(deployment.application().to_owned()),
        environment: Some(deployment.environment().to_owned()),
        ..Intent::new(Action::Update)
    };
    let parsed = Parsed { intents: vec![intent], ..Parsed::default() };
    let resolve = |context| resolve(None, &parsed, context);
    let resolved = match context.as_ref().map_err(Clone::clone).and_then(resolve) {
        Ok(resolved) => resolved,
        // A status is told whatever is wrong with the project by now.
        Err(error) => return Ok(vec![format!("settings: cannot {error}")]),
    };
    let mut found = Vec::new();
    for ask in resolved.asks {
        let Ask::Change(change) = ask else { continue };
        let (was, now) = (serde_json::to_value(is), serde_json::to_value(&change.spec));
        let (Ok(was), Ok(now)) = (was, now) else { continue };
        for (pointer, origin) in &change.origins {
            let (was, now) = (was.pointer(pointer), now.pointer(pointer));
            if matches!(origin, Origin::Setting { .. }) && was != now {
                let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), plain);
                found.push(format!(
                    "{}: it is {}, and {origin} says {}",
                    named(&change.spec, pointer),
                    text(was),
                    text(now)
                ));
            }
        }
    }
    Ok(found)
}

/// `/components/0/replicas/min` as a person says it: `replicas min of web`.
fn named(spec: &Spec, pointer: &str) -> String {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    match parts[..] {
        ["components", index, ref rest @ ..] => {
            let component = index.parse().ok().and_then(|i: usize| spec.components.get(i));
            format!("{} of {}", rest.join(" "), component.map_or("a component", |c| &c.name))
        }
        _ => parts.join(" "),
    }
}

/// What happened, and what the keeper saw, in the order of time.
///
/// # Errors
/// Those of the store; `front::nothing-deployed`.
pub async fn history(session: &Session, limit: usize) -> Result<Exit> {
    let mut page = String::new();
    let mut data = Vec::new();
    let mut damaged = false;
    let chosen = session.chosen().await?;
    for deployment in &chosen {
        let (events, damage) = session.engine.readable(deployment).await?;
        if let Some(error) = &damage {
            damaged = true;
            note_error(session, error);
        }
        let seen = keeper_events(&session.place.state, deployment)?;
        let recorded = events.iter().map(|(_, event)| event.at).zip(lines(&events)).collect();
        let kept = seen.iter().map(|event| {
            let at = time::moment(event.at);
            (event.at, Line { seq: None, at, message: told_by_keeper(event), tone: Tone::Warn })
        });
        let lines = told::merged(recorded, kept.collect());
        if chosen.len() > 1 {
            page.push_str(&session.screen.style.paint(Tone::Strong, format!("{deployment}\n")));
        }
        page.push_str(&told::page(&session.screen.style, &lines, limit));
        let skip = events.len().saturating_sub(limit);
        data.push(json!({
            "deployment": deployment,
            "events": events.iter().skip(skip)
                .map(|(seq, event)| json!({ "seq": seq, "event": event })).collect::<Vec<_>>(),
            "keeper": seen,
        }));
    }
    if chosen.is_empty() {
        page.push_str("nothing has happened yet\n");
    }
    session.screen.answer("history", &format!("{} deployments", chosen.len()), &page, &data)?;
    // What is before the damage is shown all the same.
    Ok(if damaged { Exit::Broken } else { Exit::Done })
}

/// `web/process.r1.0 restarted (1) as process 4711`.
fn told_by_keeper(event: &KeeperEvent) -> String {
    match &event.address {
        Some(address) => format!("{address} {}", event.seen),
        None => event.seen.to_string(),
    }
}

/// What a spec costs.
///
/// # Errors
/// Those of the engine.
pub async fn cost(session: &Session, proposal: &Proposal) -> Result<Exit> {
    let reports = session.engine.judge(proposal).await?;
    let cost: Option<&Cost> = reports.iter().find_map(|report| report.cost.as_ref());
    let style = &session.screen.style;
    let mut page = verdicts::cost(style, cost);
    let rows: Vec<_> = cost
        .iter()
        .flat_map(|cost| &cost.items)
        .map(|item| {
            let price = item.monthly.map_or_else(|| "unknown".to_owned(), |price| format!("{price:.2}"));
            vec![cell(Tone::Strong, &item.at), cell(Tone::Plain, price), cell(Tone::Dim, &item.why)]
        })
        .collect();
    page.push_str(&table(style, 2, &rows));
    session.screen.answer("cost", page.lines().next().unwrap_or_default(), &page, &cost)?;
    Ok(Exit::Done)
}

/// What the scanners say of a spec.
///
/// # Errors
/// Those of the engine.
pub async fn scan(session: &Session, proposal: &Proposal) -> Result<Exit> {
    let reports = session.engine.judge(proposal).await?;
    let accepted: BTreeSet<String> = session.options.accept.iter().cloned().collect();
    let page = verdicts::verdicts(&session.screen.style, "spec", &reports, &accepted);
    let open = verdicts::is_open(&reports, &accepted);
    session.screen.answer("scan", if open { "pass" } else { "stop" }, &page, &reports)?;
    Ok(if open { Exit::Done } else { Exit::Refused })
}

/// What an error code means, or a list of all.
///
/// # Errors
/// `explain::unknown-code`.
pub fn explain_code(session: &Session, code: Option<&str>) -> Result<Exit> {
    match code {
        Some(code) => {
            let page = explain::page(code)?;
            let shown = render::page::page(&session.screen.style, page);
            session.screen.answer("explain", code, &shown, &json!({ "code": code, "page": page }))?;
        }
        None => {
            let rows: Vec<_> = explain::list()
                .map(|(code, first)| vec![cell(Tone::Strong, code), cell(Tone::Plain, first)])
                .collect();
            let codes: Vec<&str> = explain::list().map(|(code, _)| code).collect();
            let page = table(&session.screen.style, 0, &rows);
            session.screen.answer("explain", &format!("{} codes", codes.len()), &page, &codes)?;
        }
    }
    Ok(Exit::Done)
}

/// The commands and what each does to the world.
///
/// # Errors
/// `json::write`.
pub fn commands(session: &Session) -> Result<Exit> {
    let all = cli::list();
    let rows: Vec<_> = all
        .iter()
        .map(|listed| {
            let label = match listed.label {
                cli::Label::ReadOnly => cell(Tone::Good, "read-only"),
                cli::Label::Changes => cell(Tone::Warn, "changes"),
                cli::Label::Destructive => cell(Tone::Bad, "destructive"),
            };
            vec![cell(Tone::Strong, &listed.name), label, cell(Tone::Plain, &listed.about)]
        })
        .collect();
    let page = table(&session.screen.style, 0, &rows);
    session.screen.answer("commands", &format!("{} commands", all.len()), &page, &all)?;
    Ok(Exit::Done)
}

/// The completions for a shell.
pub fn completions(session: &Session, shell: clap_complete::Shell) -> Exit {
    session.screen.page(&complete::registration(shell, session.called.program()));
    Exit::Done
}

/// The manual page, for `man`.
///
/// # Errors
/// `front::output` where it cannot be made.
pub fn man(session: &Session) -> Result<Exit> {
    let mut page = Vec::new();
    // What the short help leaves out belongs here, too.
    let command = cli::Cli::command().mut_args(|arg| arg.hide_short_help(false));
    let made = clap_mangen::Man::new(command).render(&mut page);
    made.map_err(|error| {
        Error::new(ErrorKind::Bug, "front::output", "make the manual page")
            .help("please report it; `help COMMAND` says the same")
            .because(error)
    })?;
    session.screen.page(&String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}

/// Writes the report of the last run as one HTML file.
///
/// # Errors
/// `front::which-deployment`, `report::no-run`, `front::report-write`.
pub async fn report(session: &Session) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let events = session.engine.events(&deployment).await?;
    let html = code_monitor::report::render(&events, None)?;
    let default = || {
        let name = format!("{}-{}.html", deployment.application(), deployment.environment());
        session.place.state.join("reports").join(name)
    };
    let path = session.options.out.clone().unwrap_or_else(default);
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Failed, "front::report-write", "write the report")
            .help("name a file in a directory that you may write: `--out FILE`")
            .with("path", path.display().to_string())
            .because(error)
    };
    if session.screen.dry_run {
        session.screen.page(&format!("would write {}\n", path.display()));
        return Ok(Exit::Done);
    }
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    std::fs::write(&path, html).map_err(failed)?;
    session.screen.page(&format!("report  {}\n", path.display()));
    line(session, "report", "wrote the report", &json!({ "path": path }))?;
    Ok(Exit::Done)
}
