//! Making a change: asking the keeper, and waiting until what was started is healthy.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use code_core::provider::{Action, Change, Failed, Live, Observed};
use code_core::{Ctx, Error, ErrorKind, Result};
use tokio::time::Instant;

use super::keeper::{Ending, Keeper, Kept, KeptRoute, Phase, Place, Program, Table};
use super::{observe, want};

/// How often progress is said while a process starts.
const BEAT: Duration = Duration::from_secs(1);
/// How many lines of a log are shown of a failure.
const LINES: usize = 20;
/// How much of the end of a log is read for them.
const TAIL: u64 = 16 * 1024;

/// Starts, restarts, changes or stops a process.
pub(super) async fn process(
    ctx: &Ctx,
    program: &Program,
    place: Place,
    change: &Change,
) -> Result<Option<Live>, Failed> {
    let Some(want) = &change.resource.want else {
        return stop(ctx, program, &place).await.map_err(|error| unseen(error, "stopping failed"));
    };
    let nothing =
        |error| Failed { error, left: change.prior.clone().map_or(Observed::Absent, Observed::Present) };
    let (job, secrets) = want::job(ctx, place.clone(), want).await.map_err(nothing)?;
    let mut keeper = Keeper::ensure(ctx.host(), program, ctx.state_dir()).await.map_err(nothing)?;
    let began = size(&job.log);
    let (log, seconds, grace) = (job.log.clone(), job.ready_seconds, Duration::from_secs(job.grace_seconds));
    ctx.say(format!("starting {}", place.address));
    let fresh = change.action == Action::Replace;
    let kept = match keeper.start(job, super::keeper::Disclosed::new(secrets), fresh).await {
        Ok(kept) => kept,
        Err(error) if error.code().starts_with("keeper::") => {
            return Err(unseen(error, "the keeper did not answer"));
        }
        Err(error) => return Err(Failed { error, left: Observed::Absent }),
    };
    let error = match healthy(ctx, &mut keeper, kept, Duration::from_secs(seconds)).await {
        Ok(kept) => return Ok(Some(observe::live(&kept, Vec::new()))),
        Err(error) => error,
    };
    // Before lines are chosen: a secret may stand in several.
    let lines = last_lines(&ctx.redactor().redact(&tail(&log, began)));
    let error = error.with("log", log.display().to_string());
    let error = if lines.is_empty() { error } else { error.with("last lines", lines) };
    // What did not become healthy is not left running. A cancelled wait may still be answered on the old
    // connection, so this is said on another one.
    let stopped = match Keeper::ensure(ctx.host(), program, ctx.state_dir()).await {
        Ok(mut keeper) => keeper.stop(&place, grace).await,
        Err(error) => Err(error),
    };
    match stopped {
        Ok(()) => Err(Failed { error, left: Observed::Absent }),
        Err(stop) => Err(unseen(error, &format!("stopping it failed: {stop}"))),
    }
}

/// Waits until a process is healthy, saying what is waited for.
async fn healthy(ctx: &Ctx, keeper: &mut Keeper, mut kept: Kept, most: Duration) -> Result<Kept> {
    let place = kept.job.place.clone();
    let deadline = Instant::now() + most;
    let mut said = String::new();
    loop {
        let why = match &kept.phase {
            Phase::Ready => return Ok(kept),
            Phase::Failed(ending) => return Err(exited(&place, *ending)),
            Phase::Lost { why } => return Err(lost(&place, why)),
            Phase::Unhealthy { why } => why.clone(),
            Phase::Starting { why } => why.clone().unwrap_or_default(),
            Phase::Restarting { attempt, of, .. } => {
                format!("it ended, and is restarted ({attempt} of {of})")
            }
        };
        if Instant::now() >= deadline {
            let what = format!("see {place} healthy within {} s", most.as_secs());
            return Err(Error::new(ErrorKind::Timeout, "process::unhealthy", what)
                .help("see its log; it must listen on the port in PORT. Give it more time with `health.timeout_seconds`")
                .with("why", why));
        }
        if why != said {
            let waits = format!("waiting for {} to be healthy", place.address);
            ctx.say(if why.is_empty() { waits } else { format!("{waits}: {why}") });
            said = why;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let next = tokio::select! {
            next = keeper.wait(&place, left.min(BEAT)) => next?,
            () = ctx.cancel().cancelled() => {
                return Err(Error::new(ErrorKind::Cancelled, "process::cancelled", format!("wait for {place}"))
                    .help("deploy again to start it"));
            }
        };
        kept = next.ok_or_else(|| lost(&place, "somebody stopped it meanwhile"))?;
        if matches!(kept.phase, Phase::Unhealthy { .. }) {
            tokio::time::sleep(left.min(BEAT / 4)).await;
        }
    }
}

async fn stop(ctx: &Ctx, program: &Program, place: &Place) -> Result<Option<Live>> {
    let table = Table::read(ctx.state_dir())?;
    let Some(kept) = table.process(place) else { return Ok(None) };
    ctx.say(format!("stopping {}", place.address));
    let grace = Duration::from_secs(kept.job.grace_seconds);
    let mut keeper = Keeper::ensure(ctx.host(), program, ctx.state_dir()).await?;
    keeper.stop(place, grace).await?;
    Ok(None)
}

/// Serves, switches or ends a route.
pub(super) async fn route(
    ctx: &Ctx,
    program: &Program,
    place: Place,
    change: &Change,
) -> Result<Option<Live>, Failed> {
    let before = || change.prior.clone().map_or(Observed::Absent, Observed::Present);
    let nothing = |error| Failed { error, left: before() };
    let Some(want) = &change.resource.want else {
        let table = Table::read(ctx.state_dir()).map_err(nothing)?;
        let Some(KeptRoute { drain_seconds, .. }) = table.route(&place) else { return Ok(None) };
        let mut keeper = Keeper::ensure(ctx.host(), program, ctx.state_dir()).await.map_err(nothing)?;
        keeper.unroute(&place, Duration::from_secs(*drain_seconds)).await.map_err(nothing)?;
        return Ok(None);
    };
    let route = want::kept_route(place, want).map_err(nothing)?;
    let mut keeper = Keeper::ensure(ctx.host(), program, ctx.state_dir()).await.map_err(nothing)?;
    ctx.say(format!("serving port {} from {} processes", route.port, route.targets.len()));
    keeper.route(route.clone()).await.map_err(nothing)?;
    Ok(Some(observe::live_route(&route, Vec::new())))
}

fn unseen(error: Error, why: &str) -> Failed {
    Failed { error, left: Observed::Unknown(why.to_owned()) }
}

fn exited(place: &Place, ending: Ending) -> Error {
    let what = format!("keep {place} running: it {ending} before it was healthy");
    Error::new(ErrorKind::Failed, "process::exited", what)
        .help("see the last lines of its log; try its start command by hand")
}

fn lost(place: &Place, why: &str) -> Error {
    Error::new(ErrorKind::Failed, "process::lost", format!("keep {place} running: {why}"))
        .help("deploy again to start it")
}

fn size(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |meta| meta.len())
}

/// The end of what was written to a log since it had this size: whole lines.
fn tail(log: &Path, since: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        let since = if since > length { 0 } else { since };
        let from = since.max(length.saturating_sub(TAIL));
        let cut = from > since;
        // With the byte before, which says whether a line begins here.
        file.seek(SeekFrom::Start(from - u64::from(cut)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        if cut {
            // Of a secret that began before, nobody would know the rest.
            let begin = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
            bytes.drain(..begin);
        }
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
