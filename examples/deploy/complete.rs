//! Completions that know what there is: components, deployments, runs, steps and error codes of now.
//!
//! ```text
//! completions bash ──▶ a few lines of shell, which ask this program at each TAB:
//! DEPLOY_COMPLETE=bash deploy -- deploy logs w⇥ ──▶ web, web/release …
//! ```
//!
//! The grammar comes from `cli`, and the names from the same engine as everything else. Nothing is changed,
//! and where a name cannot be looked up there is one fewer to offer: a completion never fails.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use code_core::local::{LocalHost, LocalStore};
use code_core::{Deployment, Engine, Layout, Result};
use code_security::LocalSecrets;

use crate::cli::{Cli, Options};
use crate::exit::Exit;
use crate::place::Place;
use crate::{PROGRAM, explain};

/// The variable by which a shell asks for completions.
const VARIABLE: &str = "DEPLOY_COMPLETE";

/// Answers a shell that asks for completions; `None` where none does.
pub fn complete(args: &[OsString]) -> Option<Exit> {
    let here = std::env::current_dir().ok();
    let env = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    match env.try_complete(args.iter().cloned(), here.as_deref()) {
        Ok(true) => Some(Exit::Done),
        Ok(false) => None,
        Err(error) => {
            // A reader that went away.
            let _ = error.print();
            Some(Exit::Usage)
        }
    }
}

/// The lines that make a shell ask; `completer` is how it calls this program.
pub fn registration(shell: clap_complete::Shell, completer: &str) -> String {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&shell.to_string()) {
        // Writing into memory does not fail.
        let _ = shell.write_registration(VARIABLE, PROGRAM, PROGRAM, completer, &mut script);
    }
    String::from_utf8_lossy(&script).into_owned()
}

/// What can stand in the place of an argument.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// Components of what is deployed.
    Components,
    /// Components, and the steps of all runs.
    ComponentsAndSteps,
    /// Deployments: `shop/staging`.
    Deployments,
    /// The second part of those.
    Environments,
    /// Their first part.
    Applications,
    /// Runs: `latest`, and their numbers.
    Runs,
    /// Revisions that one can go back to.
    Revisions,
    /// Error codes.
    Codes,
}

/// Completes an argument with what there is.
pub fn names(of: Of) -> ArgValueCompleter {
    ArgValueCompleter::new(move |word: &OsStr| {
        let word = word.to_string_lossy();
        let found = match of {
            Of::Codes => explain::list().map(|(code, first)| (code.to_owned(), first.to_owned())).collect(),
            _ => live(of).unwrap_or_default(),
        };
        found
            .into_iter()
            .filter(|(name, _)| name.starts_with(&*word))
            .map(|(name, about)| {
                CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.into()))
            })
            .collect()
    })
}

/// A name, and what it is.
type Named = (String, String);

fn live(of: Of) -> Result<Vec<Named>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Ok(Vec::new()) };
    let Some(options) = options() else { return Ok(Vec::new()) };
    let Ok(here) = std::env::current_dir() else { return Ok(Vec::new()) };
    let place = Place::find(&options, &here, rustix::process::geteuid().is_root())?;
    let layout = Layout::new(&place.state);
    let engine = Engine::builder()
        .state_dir(layout.root())
        .host(Arc::new(LocalHost::new()))
        .secrets(Arc::new(LocalSecrets::new(layout.secrets())))
        .store(Arc::new(LocalStore::new(&layout)))
        .build()?;
    runtime.block_on(look(of, &engine, &options))
}

/// What stands on the line so far, as far as it can be read: its `--state` and `--environment` count.
fn options() -> Option<Options> {
    let line = std::env::args_os().skip_while(|arg| arg != "--").skip(1);
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(line).ok()?;
    Options::from_arg_matches(&matches).ok()
}

async fn look(of: Of, engine: &Engine, options: &Options) -> Result<Vec<Named>> {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let mut names = BTreeSet::new();
    let all = engine.deployments().await?;
    let whole = matches!(of, Of::Deployments | Of::Environments | Of::Applications);
    for deployment in &all {
        let chosen = fits(&options.application, deployment.application())
            && fits(&options.environment, deployment.environment());
        if whole || chosen {
            names.extend(of_one(of, engine, deployment).await?);
        }
    }
    let mut names: Vec<Named> = names.into_iter().collect();
    if matches!(of, Of::Runs) {
        names.sort_by_key(|(number, _)| std::cmp::Reverse(number.parse::<u64>().unwrap_or(0)));
        names.insert(0, ("latest".to_owned(), "the last run".to_owned()));
    }
    Ok(names)
}

async fn of_one(of: Of, engine: &Engine, deployment: &Deployment) -> Result<BTreeSet<Named>> {
    let plain = |name: &str| (name.to_owned(), String::new());
    let mut names = BTreeSet::new();
    match of {
        Of::Deployments => names.extend([plain(&deployment.to_string())]),
        Of::Environments => names.extend([plain(deployment.environment())]),
        Of::Applications => names.extend([plain(deployment.application())]),
        Of::Components | Of::ComponentsAndSteps => {
            let state = engine.state(deployment).await?;
            names.extend(state.inventory.keys().map(|address| plain(address.component())));
            if matches!(of, Of::ComponentsAndSteps) {
                let runs = engine.runs(deployment).await?;
                names.extend(runs.iter().flat_map(|run| &run.steps).map(|step| plain(step.as_str())));
            }
        }
        Of::Runs => {
            let runs = engine.runs(deployment).await?;
            names.extend(runs.into_iter().map(|run| (run.id.to_string(), run.asked.unwrap_or_default())));
        }
        Of::Revisions => {
            let state = engine.state(deployment).await?;
            let deployed = state.revisions.iter().filter(|revision| revision.spec.is_some());
            names.extend(
                deployed
                    .map(|revision| (revision.number.to_string(), crate::render::time::moment(revision.at))),
            );
        }
        Of::Codes => {}
    }
    Ok(names)
}
