//! Ctrl-C: the first asks the run to stop, and says so at once; the second ends the program.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::screen::Screen;
use crate::style::{Tone, paragraph};

/// Runs `work`; on the first interrupt its token is cancelled, on the second it is dropped, with everything
/// that it started, and the answer is `None`.
pub async fn interruptible<T>(
    screen: &Arc<Screen>,
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without signals the default holds: an interrupt ends the program.
        return Some(work.await);
    };
    tokio::pin!(work);
    let mut first = true;
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !first {
            return None;
        }
        first = false;
        cancel.cancel();
        let text =
            "stopping: no new step begins, and the steps that run are asked to end; once more to end at once";
        screen.note(&paragraph(&screen.notes, 0, Tone::Warn, text));
    }
}
