//! What ends a command early: Ctrl-C, and the time that `--timeout` leaves it.
//!
//! ```text
//!               in a run                                 elsewhere
//! Ctrl-C        no new step, what runs is asked to end   the program ends
//! once more     everything is dropped
//! time is over  as the first Ctrl-C, with a number of    error[front::timeout]
//!               its own: 9 and not 130
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use code_core::{Error, ErrorKind, Host};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::screen::Screen;
use crate::style::{Tone, paragraph};

/// The time that a command has.
#[derive(Debug, Default)]
pub struct Limit {
    after: Duration,
    over: CancellationToken,
    /// Held while a run goes on, which ends by itself.
    run: Mutex<()>,
    /// Whether a run was stopped by it: then its end is all that there is to tell.
    told: AtomicBool,
}

impl Limit {
    /// So much time from now on; without any, as much as it takes.
    pub fn begin(after: Option<Duration>, host: &Arc<dyn Host>) -> Limit {
        let limit = Limit { after: after.unwrap_or_default(), ..Limit::default() };
        if let Some(after) = after {
            let (over, host) = (limit.over.clone(), Arc::clone(host));
            tokio::spawn(async move {
                host.sleep(after).await;
                over.cancel();
            });
        }
        limit
    }

    /// Waits until the time is over and no run has to be ended any more.
    pub async fn passed(&self) -> Error {
        self.over.cancelled().await;
        let _ended = self.run.lock().await;
        if self.told.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.late()
    }

    /// What is told where no run has an end to tell.
    fn late(&self) -> Error {
        let after = crate::render::time::duration(self.after);
        Error::new(ErrorKind::Timeout, "front::timeout", format!("end within {after}"))
            .help("give it more time with `--timeout`, or see with `doctor` what does not answer")
    }

    /// The error of something that was stopped: where the time is over, that says it.
    pub fn error(&self, error: Error) -> Error {
        let stopped = error.kind() == ErrorKind::Cancelled && self.over.is_cancelled();
        if stopped { self.late().because(error) } else { error }
    }

    /// How the program ends: a run that was stopped because its time is over was not interrupted by a person.
    pub fn exit(&self, exit: Exit) -> Exit {
        if exit == Exit::Interrupted && self.over.is_cancelled() { Exit::TimedOut } else { exit }
    }
}

/// Runs `work`; on the first interrupt, or when the time is over, its token is cancelled; on the next it is dropped,
/// with everything that it started, and the answer is `None`.
pub async fn interruptible<T>(
    screen: &Arc<Screen>,
    limit: &Limit,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let _run = limit.run.lock().await;
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without signals the default holds: an interrupt ends the program.
        return Some(work.await);
    };
    tokio::pin!(work);
    let mut first = true;
    loop {
        let why = tokio::select! {
            done = &mut work => return Some(done),
            () = limit.over.cancelled(), if first => {
                limit.told.store(true, Ordering::SeqCst);
                "the time is over: "
            }
            _ = interrupt.recv() => "",
            _ = terminate.recv() => "",
        };
        if !first {
            return None;
        }
        first = false;
        cancel.cancel();
        let text = format!(
            "{why}stopping: no new step begins, and the steps that run are asked to end; {}",
            if why.is_empty() { "once more to end at once" } else { "Ctrl-C to end at once" }
        );
        screen.note(&paragraph(&screen.notes, 0, Tone::Warn, &text));
    }
}
