//! The sample app: what is deployed where there is no app of one's own.
//!
//! ```text
//! browser ──▶ stable address ──▶ this app, 1…n replicas ──▶ PostgreSQL, SQLite, or memory
//!                                 GET  /         a page: notes, and which replica answered
//!                                 POST /notes    one more, as a form or as JSON
//!                                 GET  /notes    as JSON
//!                                 GET  /health   503 while the database does not answer
//! ```
//!
//! It is a program of its own inside of another one: a binary that deploys it calls [`sample_main`] first,
//! and is copied into the release, where it is run with the argument [`ARGUMENT`]. The app reads `PORT`,
//! `DATABASE_URL` (or the file that `DATABASE_URL_FILE` names) and `CODE_*` from its environment, listens on 127.0.0.1
//! where `HOST` says nothing else, and on SIGTERM finishes what it has begun.

mod answer;
mod notes;
mod page;
mod settings;

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use code_core::{Digest, Error, ErrorKind, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use answer::App;
use notes::Notes;
use settings::Settings;

pub use crate::recipes::local::SAMPLE_ARGUMENT as ARGUMENT;

/// How long requests may take to finish after SIGTERM: less than the grace that a process is given.
const DRAIN: Duration = Duration::from_secs(8);

/// Everything that makes the app what it is. Its digest stays the same when the binary around it is built
/// anew, so that building alone replaces no process.
const SOURCE: [&str; 6] = [
    include_str!("mod.rs"),
    include_str!("answer.rs"),
    include_str!("notes.rs"),
    include_str!("page.html"),
    include_str!("page.rs"),
    include_str!("settings.rs"),
];

/// The digest of the sample app: the `release` of a component whose source is `sample`.
pub fn sample_digest() -> Digest {
    Digest::of_parts(SOURCE.map(str::as_bytes))
}

/// Runs the sample app where the first argument is [`ARGUMENT`]; `None` where it is not. Call it first in
/// `main`, before anything else is started.
pub fn sample_main() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != ARGUMENT {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "this is a program of its own, not a part of the library")]
    let var = |name: &str| std::env::var(name).ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let end = runtime.map_err(|error| failed("start the sample app", error)).and_then(|runtime| {
        let settings = Settings::read(var)?;
        runtime.block_on(run(settings))
    });
    Some(match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:?}"));
            ExitCode::FAILURE
        }
    })
}

async fn run(settings: Settings) -> Result<()> {
    // Asked for before anything is told to be ready, so that no signal kills it in the middle of a request.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed("listen for SIGTERM", e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed("listen for SIGINT", e))?;
    let listener = TcpListener::bind((settings.host, settings.port)).await;
    let listener =
        listener.map_err(|e| failed("listen on PORT", e).with("port", settings.port.to_string()))?;
    let at = listener.local_addr().map_err(|e| failed("listen on PORT", e))?;
    let notes = Notes::new(settings.database.clone());
    let app = Arc::new(App { settings, notes, pid: std::process::id(), now });
    say(&format!("listening on http://{at}, notes in {}", app.notes.engine()));
    tokio::spawn(wait_for_database(Arc::clone(&app)));

    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => serve(&app, stream, from, &graceful),
                // Out of file descriptors, or gone before it was taken: the next one may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(listener);
    say("stopping: no new requests, finishing those that have begun");
    tokio::select! {
        () = graceful.shutdown() => say("stopped"),
        () = tokio::time::sleep(DRAIN) => say("stopped before all requests were finished"),
    }
    Ok(())
}

fn serve(app: &Arc<App>, stream: tokio::net::TcpStream, from: SocketAddr, graceful: &GracefulShutdown) {
    let app = Arc::clone(app);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let app = Arc::clone(&app);
        async move {
            let (begun, line) = (Instant::now(), format!("{} {}", request.method(), request.uri().path()));
            let health = request.uri().path() == "/health";
            let answer = app.answer(request).await;
            // What asks every second whether all is well would hide everything else.
            if !(health && answer.status().is_success()) {
                let took = begun.elapsed().as_millis();
                say(&format!("{line:?} {} {took} ms from {from}", answer.status().as_u16()));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service);
    tokio::spawn(graceful.watch(connection));
}

/// Asks until the database answers, so that the first request need not wait, and the log says when it did.
async fn wait_for_database(app: Arc<App>) {
    let mut pause = Duration::from_millis(100);
    let mut said = false;
    while let Err(error) = app.notes.check().await {
        if !said {
            say(&format!("waiting for the database: {error:?}"));
            said = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    say("the database answers");
}

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is a program of its own, not a part of the library")]
    let now = jiff::Timestamp::now();
    now.as_second()
}

/// A line of the app's log. A reader that is gone must not end the app.
fn say(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "sample::start", what.to_owned())
        .help("see that nothing else listens on the port")
        .because(error)
}
