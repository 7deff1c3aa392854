//! Carries out what the scheduler decides: the only place that waits.
//!
//! ```text
//!                 ┌────────────── one turn ──────────────┐
//!  ended attempts │ scheduler ─▶ commands ─▶ events      │
//!  and waits ────▶│   all events of the turn: one append │────▶ attempts and waits begin
//!                 └──────────────────────────────────────┘
//! ```
//!
//! `StepStarted` is durable before the provider is called, because the append comes before the start. While
//! nothing ends, an append of nothing keeps the lease; where it is refused, everything stops.
//!
//! At a pause the approver is asked, if there is one. What it decides is written down and folded, and a new
//! scheduler begins at the state that this gives: just as after a crash. Where it edits the spec, the driver is
//! at its end: the run that takes the place of this one has a plan and a driver of its own.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::approver::{Answer, Decided};
use crate::checks::{Checked, Policy};
use crate::engine::attempt::{Attempt, surroundings};
use crate::engine::breaker::Turn;
use crate::engine::redacted::redacted;
use crate::engine::run::{LEASE, may_decide, stuck};
use crate::engine::scheduler::{Command, Input, Limits, Node, Recorded, Rules, Scheduler, Start};
use crate::engine::{Finished, Parts};
use crate::event::{Body, Event, Outcome};
use crate::mutant::mutant;
use crate::plan::Plan;
use crate::provider::{Failed, Live, Observed, Reversal};
use crate::spec::Spec;
use crate::status::{Phase, Run, State, StepRecord};
use crate::store::{Lease, Seq};
use crate::{Address, Ctx, Error, ErrorKind, Key, Layout, Progress, Result, RunId, StepId, kill};

/// How often the lease is kept while nothing is written: it outlives two that come too late.
const KEEP: Duration = Duration::from_secs(LEASE.as_secs() / 3);

/// The longest that one attempt may take before it counts as failed.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The longest that it may go on after it was asked to stop: a tool gets seconds for that.
const STOP_LIMIT: Duration = Duration::from_secs(2 * 60);

/// A run on its way.
#[derive(Debug)]
pub(super) struct Driver {
    parts: Arc<Parts>,
    ctx: Ctx,
    lease: Lease,
    state: State,
    plan: Arc<Plan>,
    policy: Arc<Policy>,
    run: RunId,
    /// The providers of the plan, in the order of their indices in the scheduler.
    providers: Vec<String>,
    first_error: Option<Error>,
    /// The steps whose provider was asked to change something.
    touched: BTreeSet<StepId>,
}

/// How a driver left its run.
pub(super) struct Left {
    pub(super) finished: Finished,
    /// Where it is paused, and somebody wants another run in its place.
    pub(super) edited: Option<Edited>,
}

/// Another spec in the place of the one that a paused run is of.
pub(super) struct Edited {
    pub(super) by: String,
    pub(super) spec: Box<Spec>,
}

/// What a person said at a pause.
enum Said {
    Nothing,
    Decided,
    Edited(Edited),
}

/// Waits for something that takes its time, and keeps the lease meanwhile.
pub(super) async fn kept<T>(
    parts: &Parts,
    ctx: &Ctx,
    lease: &Lease,
    last: Seq,
    work: impl Future<Output = T>,
) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = ctx.host().sleep(KEEP) => keep(parts, ctx, lease, last).await?,
        }
    }
}

/// Begins the time of the lease anew: an append of nothing. It is refused where the lease was lost.
async fn keep(parts: &Parts, ctx: &Ctx, lease: &Lease, last: Seq) -> Result<()> {
    parts.store.append(ctx, lease, last, &[]).await.map(drop)
}

/// What an attempt or a wait ended with.
enum Ended {
    Attempt { step: StepId, undo: bool, touched: bool, result: Result<Option<Live>, Failed> },
    Wait { step: StepId, undo: bool },
}

impl Driver {
    /// A run of a plan that passed the gate, whose beginning is in the journal.
    pub(super) fn new(
        parts: &Arc<Parts>,
        ctx: Ctx,
        lease: Lease,
        state: State,
        plan: Checked<Plan>,
        policy: Policy,
    ) -> Driver {
        let run = state.run.as_ref().map_or(RunId(0), |run| run.id);
        let begun = state.run.iter().flat_map(|run| run.steps.iter().enumerate());
        let begun = begun.filter(|(_, record)| record.attempts > 0 && !record.untouched);
        let touched = begun.map(|(i, _)| StepId(i as u32)).collect();
        let first_error = state.run.as_ref().and_then(|run| {
            let failed = run.failed().filter_map(|step| run.steps.get(step.index()));
            failed.filter_map(|record| record.error.clone()).next()
        });
        Driver {
            parts: Arc::clone(parts),
            ctx,
            lease,
            state,
            plan: Arc::new(plan.into_inner()),
            policy: Arc::new(policy),
            run,
            providers: Vec::new(),
            first_error,
            touched,
        }
    }

    /// Carries the run to its end, or to where it waits for a person.
    pub(super) async fn drive(mut self, cancel: &CancellationToken) -> Result<Left> {
        let mut edited = None;
        let outcome = loop {
            if self.state.run.as_ref().is_some_and(|run| run.paused.is_some()) {
                match self.ask(cancel).await? {
                    Said::Decided => {}
                    Said::Edited(edit) => {
                        edited = Some(edit);
                        break Outcome::Paused;
                    }
                    Said::Nothing => break Outcome::Paused,
                }
            }
            let outcome = self.carry(cancel).await?;
            if outcome != Outcome::Paused {
                break outcome;
            }
        };
        let finished = Finished { run: self.run, outcome, state: self.state, error: self.first_error };
        Ok(Left { finished, edited })
    }

    /// From where the run is to its end, or to a pause.
    async fn carry(&mut self, cancel: &CancellationToken) -> Result<Outcome> {
        let mut scheduler = self.scheduler()?;
        // Attempts get a token of their own, so that a failing journal can end them too.
        let stop = cancel.child_token();
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        // Asked to stop before anything began: then nothing does.
        let mut cancelled = cancel.is_cancelled();
        let first = if cancelled { Input::Cancel } else { Input::Begin };
        let commands = scheduler.handle(self.uptime(), first);
        let mut outcome = self.turn(vec![(commands, None)], &mut tasks, &stop).await?;
        while outcome.is_none() {
            let mut ended = Vec::new();
            let host = self.ctx.host_arc();
            tokio::select! {
                biased;
                Some(one) = tasks.join_next() => ended.push(one),
                () = cancel.cancelled(), if !cancelled => {}
                () = host.sleep(KEEP), if !tasks.is_empty() => {}
                else => return Err(stuck("a step that runs or waits")),
            }
            while let Some(more) = tasks.try_join_next() {
                ended.push(more);
            }
            let mut commands = Vec::new();
            // Told before the calls that it ended, so that their failing is not taken for a failure.
            if cancel.is_cancelled() && !cancelled {
                cancelled = true;
                commands.push((scheduler.handle(self.uptime(), Input::Cancel), None));
            }
            for one in ended {
                commands.push(self.ended(&mut scheduler, one));
            }
            let turn = self.turn(commands, &mut tasks, &stop).await;
            if turn.is_err() {
                // What cannot be written down must not go on.
                stop.cancel();
                while tasks.join_next().await.is_some() {}
            }
            outcome = turn?;
        }
        stop.cancel();
        Ok(outcome.unwrap_or(Outcome::Failed))
    }

    /// Asks how a paused run goes on, and writes a decision down.
    async fn ask(&mut self, cancel: &CancellationToken) -> Result<Said> {
        let (Some(approver), Some(run)) = (self.parts.approver.clone(), self.state.run.clone()) else {
            return Ok(Said::Nothing);
        };
        let ctx = self.ctx.clone();
        let asked = approver.decide(&ctx, &run);
        let decided = tokio::select! {
            biased;
            answer = kept(&self.parts, &ctx, &self.lease, self.state.last, asked) => answer??,
            () = cancel.cancelled() => return Ok(Said::Nothing),
        };
        Ok(match decided {
            None => Said::Nothing,
            Some(Decided { by, answer: Answer::Edited(spec) }) => Said::Edited(Edited { by, spec }),
            Some(Decided { by, answer: Answer::Decision(decision) }) => {
                may_decide(&run, decision)?;
                self.append(vec![Body::Decided { run: self.run, by, decision }]).await?;
                Said::Decided
            }
        })
    }

    fn scheduler(&mut self) -> Result<Scheduler> {
        let mut providers: Vec<(String, (usize, crate::provider::Class))> = Vec::new();
        let mut nodes = Vec::with_capacity(self.plan.steps.len());
        for step in &self.plan.steps {
            let at = providers.iter().position(|(name, _)| *name == step.provider);
            let at = match at {
                Some(at) => at,
                None => {
                    let able = self.parts.provider(&step.change.resource.kind)?.capabilities();
                    providers.push((step.provider.clone(), (able.concurrency.max(1), able.class)));
                    providers.len() - 1
                }
            };
            nodes.push(Node {
                provider: at,
                duration: self.state.expected_seconds(&step.change),
                reversible: !matches!(step.change.reversal, Reversal::Irreversible(_)),
                begun_before: step.begun_before,
            });
        }
        let limits = Limits {
            total: self.parts.limits.total,
            cpu: self.parts.limits.cpu,
            providers: providers.iter().map(|(_, limit)| *limit).collect(),
        };
        self.providers = providers.into_iter().map(|(name, _)| name).collect();
        let start = self.state.run.as_ref().map(start_of).unwrap_or_default();
        let seed = u64::from_le_bytes(self.plan.id.as_bytes()[..8].try_into().unwrap_or_default());
        let graph = self.plan.graph()?;
        let rules = Rules {
            retry: self.parts.retry.clone(),
            breaker: self.parts.breaker.clone(),
            on_failure: self.state.run.as_ref().map(|run| run.on_failure).unwrap_or_default(),
            seed,
        };
        Ok(Scheduler::new(graph, nodes, limits, rules, &start))
    }

    /// What the scheduler is told the time by: nobody sets it.
    fn uptime(&self) -> Duration {
        let host = self.ctx.host();
        if mutant("scheduler-goes-by-the-clock") {
            return Duration::from_millis(u64::try_from(host.now().as_millisecond()).unwrap_or_default());
        }
        host.uptime()
    }

    /// Tells the scheduler what ended; gives its commands, and the event that comes before them.
    fn ended(
        &mut self,
        scheduler: &mut Scheduler,
        ended: Result<Ended, tokio::task::JoinError>,
    ) -> (Vec<Command>, Option<Outgoing>) {
        let at = self.uptime();
        match ended {
            Ok(Ended::Wait { step, undo }) => (scheduler.handle(at, Input::Woke { step, undo }), None),
            Ok(Ended::Attempt { step, undo, result: Ok(live), .. }) => {
                let run = self.run;
                let commands = scheduler.handle(at, Input::Done(step));
                (commands, Some(Outgoing::Done(Body::StepDone { run, step, undo, live })))
            }
            Ok(Ended::Attempt { step, undo, touched, result: Err(mut failed) }) => {
                failed.error = self.with_log(step, undo, failed.error);
                // Here already: what goes back to the caller has passed no event.
                failed.error = failed.error.map_text(|text| self.ctx.redactor().redact(text));
                // What an earlier attempt did, also one before a crash, is there to be taken back.
                let untouched = !touched && !self.touched.contains(&step);
                if touched {
                    self.touched.insert(step);
                }
                let retry = failed.error.retryable();
                let commands = scheduler.handle(at, Input::Failed { step, retry, untouched });
                (commands, Some(Outgoing::Failed { failed, untouched }))
            }
            // Attempts catch their own panics; a task that is gone without a word was aborted with the run.
            Err(_) => (Vec::new(), None),
        }
    }

    /// One turn: everything that is decided goes to the journal in one append, and only then begins.
    async fn turn(
        &mut self,
        decided: Vec<(Vec<Command>, Option<Outgoing>)>,
        tasks: &mut JoinSet<Ended>,
        stop: &CancellationToken,
    ) -> Result<Option<Outcome>> {
        let mut bodies = Vec::new();
        let mut begin = Vec::new();
        let mut outcome = None;
        for (commands, outgoing) in decided {
            let mut failed = None;
            match outgoing {
                Some(Outgoing::Done(body)) => bodies.push(body),
                Some(Outgoing::Failed { failed: why, untouched }) => failed = Some((why, untouched)),
                None => {}
            }
            for command in commands {
                bodies.push(self.event_of(&command, failed.as_ref()));
                match command {
                    Command::End(end) => outcome = Some(end),
                    Command::Pause(_) => outcome = Some(Outcome::Paused),
                    Command::Start { .. } | Command::Wake { .. } => begin.push(command),
                    Command::GiveUp { .. }
                    | Command::Refuse { .. }
                    | Command::Breaker { .. }
                    | Command::Skip { .. }
                    | Command::TakeBack => {}
                }
            }
        }
        if mutant("calls-before-it-writes") {
            begin.drain(..).for_each(|command| self.begin(&command, tasks, stop));
        }
        if bodies.is_empty() {
            keep(&self.parts, &self.ctx, &self.lease, self.state.last).await?;
        } else {
            self.append(bodies).await?;
        }
        for command in begin {
            self.begin(&command, tasks, stop);
        }
        Ok(outcome)
    }

    fn event_of(&mut self, command: &Command, failed: Option<&(Failed, bool)>) -> Body {
        let run = self.run;
        let unknown = || {
            let error = Error::new(ErrorKind::Bug, "step::no-reason", "say why a step failed");
            (Failed::from(error.help("report it")), false)
        };
        match *command {
            Command::Refuse { step } => {
                let untouched = !self.touched.contains(&step);
                let error = self.left_alone(step);
                self.first_error.get_or_insert_with(|| error.clone());
                let left = Observed::Unknown("its provider was not asked".to_owned());
                Body::StepFailed { run, step, undo: false, error, left, untouched }
            }
            Command::Breaker { provider, turn } => {
                let provider = self.providers.get(provider).cloned().unwrap_or_default();
                match turn {
                    Turn::Opened => {
                        let cool_down_ms = millis(self.parts.breaker.cool_down);
                        Body::BreakerOpened { run, provider, cool_down_ms }
                    }
                    Turn::Closed => Body::BreakerClosed { run, provider },
                }
            }
            Command::Pause(ref steps) => {
                let why = self.first_error.as_ref().map(ToString::to_string).unwrap_or_default();
                Body::RunPaused { run, steps: steps.clone(), why }
            }
            Command::Start { step, undo, attempt } => {
                Body::StepStarted { run, step, undo, attempt, key: Key::of(self.plan.id, step, undo) }
            }
            Command::Wake { step, undo, attempt, after } => {
                let (Failed { error, .. }, untouched) = failed.cloned().unwrap_or_else(unknown);
                let after_ms = millis(after);
                Body::StepRetries { run, step, undo, attempt, after_ms, error, untouched }
            }
            Command::GiveUp { step, undo } => {
                let (Failed { error, left }, untouched) = failed.cloned().unwrap_or_else(unknown);
                let address = self.plan.step(step).map(|s| s.address().to_string()).unwrap_or_default();
                let error = error.with("step", address);
                self.first_error.get_or_insert_with(|| error.clone());
                Body::StepFailed { run, step, undo, error, left, untouched }
            }
            Command::Skip { step, why } => Body::StepSkipped { run, step, why: why.to_owned() },
            Command::TakeBack => {
                let why = self.first_error.as_ref().map(ToString::to_string);
                let why = why.unwrap_or_else(|| "a person decided so".to_owned());
                Body::UndoStarted { run, why }
            }
            Command::End(outcome) => Body::RunEnded { run, outcome },
        }
    }

    /// The error of a step whose provider is left alone.
    fn left_alone(&self, step: StepId) -> Error {
        let step = self.plan.step(step);
        let provider = step.map(|step| step.provider.clone()).unwrap_or_default();
        let address = step.map(|step| step.address().to_string()).unwrap_or_default();
        Error::new(
            ErrorKind::Failed,
            "provider::breaker-open",
            format!("ask `{provider}`, which failed too often and is left alone for now"),
        )
        .help("mend what its last failures name, and run the same command again")
        .with("step", address)
    }

    /// Writes events down, folds them into the state, and offers them to the sinks; nothing secret gets out.
    async fn append(&mut self, bodies: Vec<Body>) -> Result<()> {
        if bodies.is_empty() {
            return Ok(());
        }
        let at = self.ctx.host().now();
        let events: Vec<Event> =
            bodies.into_iter().map(|body| redacted(&self.ctx, Event { at, body })).collect();
        let first = self.state.last.next();
        kill::append(&events, "before");
        let wrote = self.parts.store.append(&self.ctx, &self.lease, self.state.last, &events).await;
        if !mutant("lost-writes-are-ignored") {
            wrote?;
        }
        kill::append(&events, "after");
        let mut seq = first;
        for event in &events {
            self.state.apply(seq, event);
            seq = seq.next();
            self.parts.offer(&self.plan.deployment, event);
        }
        Ok(())
    }

    fn begin(&self, command: &Command, tasks: &mut JoinSet<Ended>, stop: &CancellationToken) {
        match *command {
            Command::Wake { step, undo, after, .. } => {
                let host = self.ctx.host_arc();
                let stop = stop.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = host.sleep(if mutant("does-not-wait") { Duration::ZERO } else { after }) => {}
                    }
                    Ended::Wait { step, undo }
                });
            }
            Command::Start { step, undo, attempt } => {
                let work = self.attempt(step, undo, attempt, stop);
                tasks.spawn(async move {
                    // A step without a way back is not begun: the scheduler skips it.
                    let Some(attempt) = work else {
                        return Ended::Attempt { step, undo, touched: false, result: Ok(None) };
                    };
                    let applied = Arc::clone(&attempt.applied);
                    let result = guarded(attempt).await;
                    let touched = applied.load(Ordering::SeqCst);
                    Ended::Attempt { step, undo, touched, result }
                });
            }
            _ => {}
        }
    }

    fn attempt(&self, id: StepId, undo: bool, attempt: u32, stop: &CancellationToken) -> Option<Attempt> {
        let step = self.plan.step(id)?;
        let outputs = |address: &crate::Address, output: &str| {
            self.state.inventory.get(address)?.live.outputs.get(output).cloned()
        };
        let resource = Attempt::resource(step, undo, &outputs)?;
        let was = if undo { Attempt::resource(step, false, &outputs) } else { None };
        let recorded = self.state.inventory.get(step.address()).map(|recorded| recorded.live.clone());
        let last = recorded.or_else(|| step.change.prior.clone());
        let layout = Layout::new(&*self.parts.state_dir);
        let log = layout.step_log(&self.plan.deployment, self.run, id, undo, attempt);
        let ctx = surroundings(&self.ctx, &self.plan, step, undo, &resource)
            .with_cancel(stop.clone())
            .with_progress(self.progress(id, log));
        Some(Attempt {
            parts: Arc::clone(&self.parts),
            plan: Arc::clone(&self.plan),
            policy: Arc::clone(&self.policy),
            step: id,
            undo,
            attempt,
            resource,
            was,
            last,
            ctx,
            applied: Arc::default(),
        })
    }

    /// The error of the last attempt at a step with the log of what its tool wrote, where there is one and the
    /// error names no other.
    fn with_log(&self, step: StepId, undo: bool, error: Error) -> Error {
        if error.context().any(|(name, _)| name == "log") {
            return error;
        }
        let run = self.state.run.as_ref();
        let records = run.map(|run| if undo { &run.undo } else { &run.steps });
        let attempt = records.and_then(|records| records.get(step.index())).map_or(1, |r| r.attempts);
        let layout = Layout::new(&*self.parts.state_dir);
        let log = layout.step_log(&self.plan.deployment, self.run, step, undo, attempt);
        if log.is_file() { error.with("log", log.display().to_string()) } else { error }
    }

    /// Where the progress of a step goes: what it says to the sinks, what its tool writes to its log.
    fn progress(&self, step: StepId, log: PathBuf) -> Arc<dyn Fn(Progress) + Send + Sync> {
        let parts = Arc::clone(&self.parts);
        let (run, deployment) = (self.run, self.plan.deployment.clone());
        let file = Mutex::new(None);
        Arc::new(move |progress| {
            let message = match progress {
                Progress::Said(text) => text,
                Progress::Part { done, total, unit } => format!("{done} of {total} {unit}"),
                Progress::Line(line) => {
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    if file.is_none() {
                        let made = log.parent().map(std::fs::create_dir_all);
                        *file =
                            made.and_then(|_| OpenOptions::new().create(true).append(true).open(&log).ok());
                    }
                    // A log that cannot be written takes nothing from the run.
                    if let Some(file) = file.as_mut() {
                        let _ = writeln!(file, "{line}");
                    }
                    line
                }
            };
            let at = parts.host.now();
            parts.offer(&deployment, &Event { at, body: Body::StepProgress { run, step, message } });
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An event that stands before the commands of its input.
enum Outgoing {
    Done(Body),
    Failed { failed: Failed, untouched: bool },
}

/// An attempt that cannot take the run with it: not by a panic, and not by never ending.
async fn guarded(attempt: Attempt) -> Result<Option<Live>, Failed> {
    let address = attempt.resource.address.clone();
    let stop = attempt.ctx.cancel().clone();
    let mut task = tokio::spawn(attempt.make());
    let abort = AbortOnDrop(task.abort_handle());
    let ended = tokio::time::timeout(ATTEMPT_LIMIT, async {
        tokio::select! {
            biased;
            ended = &mut task => Ok(ended),
            () = stop.cancelled() => tokio::time::timeout(STOP_LIMIT, &mut task).await,
        }
    });
    let too_late = match ended.await {
        Ok(Ok(ended)) => return ended.unwrap_or_else(|panic| Err(panicked(&address, panic))),
        Ok(Err(_)) => format!("stop `{address}` within two minutes"),
        Err(_) => format!("finish `{address}` within an hour"),
    };
    // What goes on is not to be on its way any more.
    abort.0.abort();
    let _ = task.await;
    Err(not_back(
        Error::new(ErrorKind::Timeout, "step::timeout", too_late)
            .help("look at the step's log, and run the same command again"),
    ))
}

fn panicked(address: &Address, panic: tokio::task::JoinError) -> Failed {
    let message = format!("go on with `{address}`: its provider panicked");
    not_back(
        Error::new(ErrorKind::Bug, "provider::panicked", message)
            .help("report it to the author of the provider")
            .because(panic),
    )
}

fn not_back(error: Error) -> Failed {
    Failed { error, left: Observed::Unknown("the call did not come back".to_owned()) }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn start_of(run: &Run) -> Start {
    let recorded = |records: &[StepRecord]| {
        let one = |r: &StepRecord| Recorded {
            phase: match r.phase {
                Phase::Started if mutant("doubt-counts-as-done") => Phase::Done,
                phase => phase,
            },
            attempts: r.attempts,
            forgiven: r.forgiven,
            untouched: r.untouched,
        };
        records.iter().map(one).collect()
    };
    Start {
        steps: recorded(&run.steps),
        undo: recorded(&run.undo),
        undoing: run.undoing.is_some(),
        ordered: run.ordered,
    }
}
