//! The front: parses a command line, calls the engine, and renders what comes back.
//!
//! ```text
//!  argv ──cli──▶ Asked ──flow──▶ Engine ──▶ nouns ──render──▶ text on standard output
//!                          │ composed of all crates │  └json──▶ one JSON line each
//!                          └──────── events ──progress──▶ bars or lines on standard error
//! ```
//!
//! Everything that it can do, a user of the library can do in as many lines: nothing here decides anything.
//! `cli` is the grammar, `flow` one file a story, `render` pure functions from nouns to text, `exit` the
//! numbers for scripts, `compose` the one place where all crates come together.

pub mod cli;
pub mod complete;
pub mod compose;
pub mod exit;
pub mod explain;
pub mod flow;
pub mod interrupt;
pub mod json;
pub mod machine;
pub mod pager;
pub mod place;
pub mod progress;
pub mod render;
pub mod screen;
pub mod session;
pub mod style;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use code_core::engine::EngineBuilder;
use code_core::local::{LocalHost, LocalStore};
use code_core::{Engine, Error, ErrorKind, Host, Layout, Result};
use code_nlp::settings::Settings;

use cli::{Asked, Options};
use exit::Exit;
use flow::doctor::Ailing;
use flow::propose::aside;
use interrupt::Limit;
use place::Place;
use progress::Feed;
use screen::Screen;
use session::{Called, Session};
use style::{Tone, paragraph, use_color};

/// The program's name.
pub const PROGRAM: &str = "deploy";

/// What a program adds to the engine of the front: providers, recipes, scanners of its own. It comes before what
/// this build knows, so that its recipes are asked first.
pub type Own = fn(EngineBuilder) -> EngineBuilder;

/// The whole `main` of a front with parts of one's own: `front::main_with(|engine| engine.provider(mine))`.
pub fn main_with(own: Own) -> ExitCode {
    // This executable is also the keeper of deployed processes and the sample app: see `code_providers`.
    if let Some(code) = code_providers::keeper_main().or_else(code_providers::sample::sample_main) {
        return code;
    }
    std::panic::set_hook(Box::new(|panic| {
        // It becomes an error, and its text may hold a secret.
        if code_core::guard::is_calling() {
            return;
        }
        let text = format!(
            "error[front::panic]: a mistake in the program itself: {panic}\n\n\
             hint: nothing that was recorded is lost; `deploy resume` goes on with a run. Please report this.\n"
        );
        // A standard error that is closed: there is nowhere left to say it.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }));
    let args: Vec<_> = std::env::args_os().collect();
    complete::complete(&args).unwrap_or_else(|| run(&args, own)).into()
}

/// Does what the command line says, and says how the program ends.
pub fn run(args: &[OsString], own: Own) -> Exit {
    let host: Arc<dyn Host> = Arc::new(LocalHost::new());
    let env = |name: &str| host.env(name);
    let color = use_color(cli::ColorMode::Auto, &env, std::io::stderr().is_terminal());
    let (options, asked) = match cli::parse(args, color) {
        Ok(parsed) => parsed,
        Err(ended) => {
            // Who asked for JSON reads no text.
            if ended.exit != Exit::Done && args.iter().any(|arg| arg == "--json") {
                let error = ended.error();
                let lines =
                    [json::Line::version(host.now()), json::Line::error(host.now(), &error, ended.exit)];
                let text: String = lines.iter().map(|line| line.text() + "\n").collect();
                let _ = std::io::stdout().lock().write_all(text.as_bytes());
            }
            return said(&ended);
        }
    };
    let program = Called::new(args, &options).program().to_owned();
    let screen = match Screen::new(&options, Arc::clone(&host)) {
        Ok(screen) => Arc::new(screen),
        Err(error) => return said(&cli::Ended { text: format!("{error:?}\n"), exit: Exit::from(&error) }),
    };
    let detailed = matches!(asked, Asked::Command(cli::Command::Plan { detailed_exitcode: true, .. }));
    if screen.wants_json() && flow::streams(&asked) {
        screen.line(json::Line::version(host.now()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(act(args, options, asked, &screen, &host, own));
            // A question that nobody answers any more must not hold the end.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Error::new(ErrorKind::Failed, "front::runtime", "start")
            .help("see whether this user may start more threads and open more files (`ulimit -u -n`)")
            .because(error)),
    };
    match done {
        Ok(Exit::Done) => match screen.lost() {
            // Whoever reads the output must not believe that it is all there. Where it goes, nothing can be said.
            Some(lost) => said(&cli::Ended {
                text: render::error::error(&screen.notes, &program, &lost),
                exit: Exit::from(&lost),
            }),
            None => Exit::Done,
        },
        Ok(exit) => exit,
        Err(error) => {
            let exit = Exit::from(&error);
            // As tofu has it: in this mode 2 means that something would change.
            let exit = if detailed { Exit::Unexpected } else { exit };
            screen.note(&render::error::error(&screen.notes, &program, &error));
            screen.line(json::Line::error(screen.now(), &error, exit));
            exit
        }
    }
}

async fn act(
    args: &[OsString],
    options: Options,
    asked: Asked,
    screen: &Arc<Screen>,
    host: &Arc<dyn Host>,
    own: Own,
) -> Result<Exit> {
    let here = std::env::current_dir().map_err(|error| {
        Error::new(ErrorKind::NotFound, "front::project", "find the current directory")
            .help("change into a directory that exists")
            .because(error)
    })?;
    let root = rustix::process::geteuid().is_root();
    let place = Place::find(&options, &here, root)?;
    if let Some(why) = place.why.as_deref().filter(|_| !screen.quiet) {
        screen.note(&paragraph(&screen.notes, 0, Tone::Dim, why));
    }
    let goes_on = matches!(asked, Asked::Command(cli::Command::Doctor));
    let mut ailing = Ailing { goes_on, ..Ailing::default() };
    let settings = ailing.or("settings", settings(&place.project), || Ok(Settings::default()))?;
    let layout = Layout::new(&place.state);
    let feed = Arc::new(Feed::default());
    let told = Arc::clone(screen);
    let tell = move |what: &str| told.note(&paragraph(&told.notes, 0, Tone::Dim, what));
    let store = Arc::new(LocalStore::new(&layout).telling(tell));
    let git = compose::git(&options, &settings, &place.project, &here, &**host);
    let git = ailing.or("git", git, || Ok(compose::own_git(&place.project)))?;
    let engine = |settings: &Settings| {
        let begun = own(Engine::builder().exporter(Arc::new(git.clone())));
        let (keeps, host, feed) = (Arc::clone(&store), Arc::clone(host), Arc::clone(&feed));
        compose::engine(begun, &layout, keeps, &place.project, settings, host, feed)
    };
    let engine = ailing.or("policies", engine(&settings), || engine(&Settings::default()))?;
    let called = Called::new(args, &options);
    let (screen, host) = (Arc::clone(screen), Arc::clone(host));
    let ended = Mutex::default();
    let ailing = ailing.found;
    let limit = Limit::begin(options.timeout, &host);
    let session = Session {
        options,
        screen,
        host,
        place,
        layout,
        store,
        settings,
        engine,
        git,
        feed,
        limit,
        called,
        ailing,
        ended,
    };
    let done = tokio::select! {
        biased;
        done = aside(|| flow::run(&session, asked)) => done,
        late = session.limit.passed() => Err(late),
    };
    flow::verify::tell_cuts(&session);
    done
}

fn settings(project: &Path) -> Result<Settings> {
    match Settings::find(project) {
        Some(path) => Settings::read(&path),
        None => Ok(Settings::default()),
    }
}

/// Help goes to standard output, a mistake to standard error.
fn said(ended: &cli::Ended) -> Exit {
    // A reader that went away: the exit code still says how it went.
    let _ = match ended.exit {
        Exit::Done => std::io::stdout().lock().write_all(ended.text.as_bytes()),
        _ => std::io::stderr().lock().write_all(ended.text.as_bytes()),
    };
    ended.exit
}
