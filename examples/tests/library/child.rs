//! The embedding program: it takes a sentence the whole way with every crate, and compares what is global.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use code_core::checks::{Approval, How};
use code_core::engine::{EngineBuilder, Planned, Proposal};
use code_core::event::Outcome;
use code_core::local::{LocalHost, LocalStore};
use code_core::request::Request;
use code_core::{Engine, Host, Layout};
use code_monitor::{Metrics, Spans};
use code_nlp::Grammar;
use code_nlp::context::{Context, Machine, Options};
use code_nlp::resolve::{Ask, resolve};
use code_providers::recipes::local::local;
use code_providers::sample::sample_digest;
use code_providers::sqlite::Sqlite;
use code_providers::{ProcessProvider, ReleaseProvider};
use code_security::{CostScanner, LocalSecrets, RegoScanner};

/// The variable by which this program knows that it is the child, and where it may write.
pub(crate) const DIR: &str = "LIBRARY_TEST_DIR";
/// The file that says what went wrong: the child says nothing.
pub(crate) const WHY: &str = "why";
/// How the child ends where all is well; nothing else ends so.
pub(crate) const END: u8 = 42;

/// How often the panic hook of this program was called.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Deploys and takes down, and ends with [`END`]; what goes wrong is written to [`WHY`].
pub(crate) fn main(dir: &Path) -> ExitCode {
    let why = dir.join(WHY);
    let hook = why.clone();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        note(&hook, &panic.to_string());
    }));
    let before = global();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(deploy(dir));
    drop(runtime);
    if let Err(error) = done {
        note(&why, &format!("{error:?}"));
        return ExitCode::FAILURE;
    }
    let after = global();
    if before != after {
        note(&why, &format!("before: {before:?}\nafter: {after:?}"));
    }
    if tracing::dispatcher::has_been_set() {
        note(&why, "a subscriber was set");
    }
    // The hook is still this program's own.
    let said = std::fs::read(&why).unwrap_or_default();
    let _ = std::panic::catch_unwind(|| panic!("on purpose"));
    std::fs::write(&why, said).unwrap();
    if PANICS.load(Ordering::SeqCst) != 1 {
        note(&why, "another panic hook was set");
    }
    ExitCode::from(END)
}

/// What belongs to the process and not to a library: signals that are caught, variables, the directory.
fn global() -> (u64, Vec<(OsString, OsString)>, PathBuf) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    // Who starts a child hears of its end (17, SIGCHLD: tokio's), and the C library takes two signals for its threads
    // (32 and 33, nptl(7)).
    let caught = [17, 32, 33].into_iter().fold(caught, |caught, signal| caught & !(1 << (signal - 1)));
    (caught, std::env::vars_os().collect(), std::env::current_dir().unwrap())
}

async fn deploy(dir: &Path) -> Result<(), Box<dyn Error>> {
    let layout = Layout::new(dir.join("state"));
    let host: Arc<dyn Host> = Arc::new(LocalHost::new());
    let engine = Engine::builder()
        .state_dir(layout.root())
        .host(Arc::clone(&host))
        .secrets(Arc::new(LocalSecrets::new(layout.secrets())))
        .store(Arc::new(LocalStore::new(&layout)))
        .parser(Arc::new(Grammar))
        .scanner(Arc::new(RegoScanner::new()?))
        .scanner(Arc::new(CostScanner))
        .provider(Arc::new(ProcessProvider::new()))
        .provider(Arc::new(ReleaseProvider::new()))
        .provider(Arc::new(Sqlite::default()))
        .sink(Arc::new(Metrics::default()))
        .sink(Arc::new(Spans::default()));
    let engine = local().into_iter().fold(engine, EngineBuilder::recipe).build()?;

    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let machine = Machine { free_ports: vec![free], user: host.user(), ..Machine::default() };
    let options = Options { application: Some("shop".to_owned()), ..Options::default() };
    let context = Context { dir: dir.display().to_string(), machine, options, ..Context::default() };
    let text = "Deploy a web app with a SQLite database to staging";
    let request = Request::new(text, host.user(), host.now())?;
    let parsed = engine.interpret(&request, &context.settings.vocabulary(&context.history)).await?;
    let ask = resolve(Some(&request), &parsed, &context)?.asks.remove(0);
    let Ask::Change(mut change) = ask else { return Err("it was not understood".into()) };
    change.release(|_| Ok(sample_digest()))?;
    let proposal = Proposal::of(change.spec, change.origins)?;
    let deployment = proposal.deployment.clone();
    let planned = engine.plan(&proposal, &BTreeSet::new()).await?;
    let finished = engine.apply(&planned, yes(&engine, &planned), engine.ctx().cancel()).await?;
    if finished.outcome != Outcome::Succeeded {
        return Err(format!("{:?}", finished.error).into());
    }
    engine.status(&deployment).await?;
    engine.verify(&deployment).await?;
    engine.health().await;
    code_monitor::report::render(&engine.events(&deployment).await?, None)?;

    // What fails says so in its result, and nowhere else.
    let missing = engine.rollback(&deployment, Some(9)).await;
    missing.err().ok_or("there is no revision 9")?;

    let planned = engine.plan(&engine.destroy(&deployment, true).await?, &BTreeSet::new()).await?;
    let finished = engine.apply(&planned, yes(&engine, &planned), engine.ctx().cancel()).await?;
    if finished.outcome != Outcome::Succeeded {
        return Err(format!("{:?}", finished.error).into());
    }
    Ok(())
}

fn yes(engine: &Engine, planned: &Planned) -> Approval {
    let (by, at) = (engine.ctx().host().user(), engine.ctx().host().now());
    Approval { plan: planned.plan.id, by, at, how: How::Program }
}

fn note(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{text}"));
}
