//! One story of one seed: what is wanted, what goes wrong, who dies when, and how it ends.
//!
//! ```text
//! act: want · roll back · take down      ┌─ died ─▶ time passes ─▶ resume ─┐
//!      plan ─▶ apply ────────────────────┤◀────────────────────────────────┘   until the run has ended
//!                                        └─ ended ─▶ what exists is written down
//! last act, in calm weather: the run ends, the wanted state is reached, and all of it is taken down
//! ```

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::chaos::{Chaos, Weather};
use super::dice::Dice;
use super::journal::Journal;
use super::record::{Entry, Fate, Life, Limits, Record};
use super::world::Cast;
use crate::approver::{Answer, Approver, Decided};
use crate::checks::{Approval, How};
use crate::engine::breaker::BreakerPolicy;
use crate::engine::retry::RetryPolicy;
use crate::engine::{EngineBuilder, Finished, Planned, Proposal};
use crate::event::{Body, Decision, Event, OnFailure, Outcome, Sink};
use crate::expr::Want;
use crate::memory::{MemoryHost, MemorySecrets, MemoryStore};
use crate::provider::Observed;
use crate::spec::{Origins, Spec};
use crate::status::Run;
use crate::store::Seq;
use crate::{Address, Ctx, Deployment, Engine, Error, ErrorKind, Host, Provider, Result};

/// The longest that a story may take, by the runtime's clock, which jumps when nobody can do anything.
const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 30);

/// After this long nobody holds a lease any more.
const LEASE: Duration = Duration::from_secs(60 * 60);

/// More than this happens only where something never ends.
const MOST: usize = 50_000;

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    /// Everything follows from it.
    pub seed: u64,
    /// At most how many resources.
    pub size: usize,
    /// Where the engine dies, in place of what the seed says: in which act, at which moment.
    pub dies: Option<(usize, u64)>,
}

/// What was played.
#[derive(Debug)]
pub struct Played {
    /// Everything that happened.
    pub entries: Vec<Entry>,
    /// How many moments the first life of each act had.
    pub moments: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Want(usize),
    Back,
    Down { data: bool },
}

/// What the next engine of an act is to do.
#[derive(Clone, Copy, Debug)]
enum Next {
    Begin,
    Resume,
    Decide(Decision),
    /// Another of what is wanted takes the place of the run that is paused.
    Edit(usize),
}

impl Story {
    /// Plays it to its end, on this thread; the same story is played the same way each time.
    ///
    /// A story that cannot be played is one that is stuck: the oracle tells it.
    pub fn play(self, cast: &dyn Fn(&mut Dice, usize) -> Cast) -> Played {
        let record = Record::default();
        let mut moments = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let played = match runtime {
            Err(error) => Err(error.to_string()),
            Ok(runtime) => runtime.block_on(async {
                let played = tokio::time::timeout(LONGEST, async {
                    let mut dice = Dice::new(self.seed);
                    let cast = cast(&mut dice, self.size);
                    let stage = Stage::new(self, cast, &mut dice, &record)?;
                    stage.play(&mut dice, &mut moments).await
                });
                match played.await {
                    Ok(played) => played.map_err(|error: Error| error.to_string()),
                    Err(_) => Err("the story does not end".to_owned()),
                }
            }),
        };
        if let Err(why) = played {
            record.note(Entry::Stuck(why));
        }
        Played { entries: record.entries(), moments }
    }

    /// In every eighth story much goes wrong, every pause ends in an edit, and what fails then goes back.
    fn is_of_edits(self) -> bool {
        self.seed % 8 == 5
    }

    /// The same story without a death, and then with a death at each of its moments.
    pub fn everywhere(self, cast: &dyn Fn(&mut Dice, usize) -> Cast) -> Vec<Story> {
        let calm = Story { dies: Some((usize::MAX, 0)), ..self };
        let moments = calm.play(cast).moments;
        let deaths = moments.iter().enumerate().flat_map(|(act, count)| (1..=*count).map(move |m| (act, m)));
        std::iter::once(calm).chain(deaths.map(|dies| Story { dies: Some(dies), ..self })).collect()
    }
}

/// What outlives the engines of a story.
struct Stage {
    story: Story,
    cast: Cast,
    deployment: Deployment,
    host: Arc<MemoryHost>,
    store: Arc<MemoryStore>,
    secrets: Arc<MemorySecrets>,
    weather: Arc<Weather>,
    record: Record,
    limits: Limits,
    retry: RetryPolicy,
    person: bool,
    on_failure: OnFailure,
    /// Whether records were lost: from then on only what is wanted can be known.
    lost: Cell<bool>,
    /// What the last act that succeeded wanted.
    wanted: RefCell<BTreeSet<Address>>,
}

impl Stage {
    fn new(story: Story, cast: Cast, dice: &mut Dice, record: &Record) -> Result<Stage> {
        let edits = story.is_of_edits();
        let trouble = [0, 5, 15, 40][dice.roll(4)];
        let trouble = if edits { 40 } else { trouble };
        let full_disk = [0, 0, 8][dice.roll(3)];
        let retry = RetryPolicy {
            attempts: 1 + dice.roll(4) as u32,
            first: Duration::from_millis(100 << dice.roll(4)),
            longest: Duration::from_secs(10),
        };
        let limits = Limits {
            total: 1 + dice.roll(6),
            cpu: 1 + dice.roll(3),
            providers: cast
                .providers
                .iter()
                .map(|(p, _)| {
                    let able = p.capabilities();
                    (p.info().name.clone(), (able.concurrency, able.class))
                })
                .collect(),
            attempts: retry.attempts,
            breaker: BreakerPolicy {
                failures: 2 + dice.roll(5) as u32,
                cool_down: Duration::from_secs(1 + dice.roll(30) as u64),
            },
        };
        record.note(Entry::Limits(limits.clone()));
        let Some(first) = cast.wants.first() else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "sim::no-wants",
                "play a story in which nothing is wanted",
            )
            .help("give the cast a spec"));
        };
        Ok(Stage {
            story,
            deployment: first.deployment()?,
            cast,
            host: Arc::new(MemoryHost::new()),
            store: Arc::new(MemoryStore::new()),
            secrets: Arc::new(MemorySecrets::new()),
            weather: Weather::new(story.seed, trouble, full_disk),
            record: record.clone(),
            limits,
            retry,
            person: dice.one_in(2) && !edits,
            on_failure: [OnFailure::RollBack, OnFailure::Pause, OnFailure::Pause, OnFailure::Stop]
                [if edits { 1 } else { dice.roll(4) }],
            lost: Cell::default(),
            wanted: RefCell::default(),
        })
    }

    async fn play(&self, dice: &mut Dice, moments: &mut Vec<u64>) -> Result<()> {
        let mut lives = 0;
        // Dice of its own: what is lost changes nothing about what happens before.
        let mut losses = Dice::new(self.story.seed.rotate_left(24));
        let forgetful = losses.one_in(5);
        for index in 0..1 + dice.roll(4) {
            let act = match dice.roll(8) {
                _ if index == 0 => Act::Want(0),
                0 => Act::Back,
                1 => Act::Down { data: dice.one_in(2) },
                _ => Act::Want(dice.roll(self.cast.wants.len())),
            };
            if !self.act(index, act, dice, &mut lives, moments).await? {
                return Ok(());
            }
            if forgetful && losses.one_in(3) {
                self.lose_the_last_run();
            }
        }
        self.weather.calm();
        self.record.note(Entry::Calm);
        let mut wanted = BTreeSet::new();
        for act in [Act::Want(self.cast.wants.len() - 1), Act::Down { data: true }] {
            if !self.act(usize::MAX, act, dice, &mut lives, moments).await? {
                return Ok(());
            }
            wanted.append(&mut self.wanted.borrow_mut());
        }
        let mut orphans: Vec<_> = self.world(&self.engine(None)?).await.into_keys().collect();
        if self.lost.get() {
            orphans.retain(|address| wanted.contains(address));
        }
        if !orphans.is_empty() {
            self.record.note(Entry::Orphans(orphans));
        }
        Ok(())
    }

    /// The journal ends where the last run began: the rest was damaged, and a repair kept what stood before.
    fn lose_the_last_run(&self) {
        let events = self.store.events(&self.deployment.to_string());
        let end = |(_, event): &&(Seq, Event)| matches!(event.body, Body::RunEnded { .. });
        let began = |(_, event): &(Seq, Event)| matches!(event.body, Body::RunStarted { .. });
        let succeeded = events.iter().rev().find(end).is_some_and(|(_, event)| {
            matches!(event.body, Body::RunEnded { outcome: Outcome::Succeeded, .. })
        });
        if let Some(begun) = events.iter().rposition(began).filter(|_| succeeded) {
            // One batch ends a run that is superseded and begins the next: there is no end between the two.
            let alone = |(_, event): &&(Seq, Event)| matches!(&event.body, Body::RunEnded { outcome, .. } if *outcome != Outcome::Superseded);
            let last = events[..begun].iter().rev().find(alone).map_or(Seq::START, |(seq, _)| *seq);
            self.store.forget(&self.deployment.to_string(), last);
            self.record.note(Entry::Lost { last });
            self.lost.set(true);
        }
    }

    /// One act, to the end of its run; false where the story cannot go on.
    async fn act(
        &self,
        index: usize,
        act: Act,
        dice: &mut Dice,
        lives: &mut u32,
        moments: &mut Vec<u64>,
    ) -> Result<bool> {
        let calm = index == usize::MAX;
        let honest = self.engine(None)?;
        let Some(proposal) = self.proposal(&honest, act).await else { return Ok(true) };
        self.record.note(Entry::World(self.world(&honest).await));
        let mut next = Next::Begin;
        for round in 0.. {
            *lives += 1;
            let life = Life::new(*lives, &self.record, self.fate(index, round, dice));
            let engine = self.engine(Some(&life))?;
            let end = tokio::select! {
                biased;
                () = life.dead().cancelled() => None,
                end = self.work(&engine, &life, &proposal, next) => Some(end),
            };
            drop(engine);
            if round == 0 && !calm {
                moments.push(life.moments());
            }
            if let Some(end) = &end {
                let how = end.as_ref().map(|f| f.as_ref().map(|f| f.outcome));
                let how = how.map_err(|error| error.code().to_owned());
                self.record.note(Entry::Ended { life: life.number, how });
            }
            if self.record.len() > MOST {
                self.record.note(Entry::Stuck("more and more happens".to_owned()));
                return Ok(false);
            }
            // The dead do not give back their lease: its time has to pass.
            self.host.advance(LEASE);
            let state = honest.state(&self.deployment).await?;
            let goes_on = state.resumable_run().filter(|run| {
                !run.is_cancelled() || (finished_now(&end, Outcome::Cancelled) && round < 4 && dice.one_in(2))
            });
            next = match goes_on {
                Some(run)
                    if run.paused.is_some() && round < 6 && (self.story.is_of_edits() || dice.one_in(2)) =>
                {
                    Next::Edit(dice.roll(self.cast.wants.len()))
                }
                Some(run) if run.paused.is_some() => Next::Decide(decision(run, round, dice)),
                Some(_) if dice.one_in(10) => Next::Decide(Decision::RollBack),
                Some(_) => Next::Resume,
                None => Next::Begin,
            };
            if goes_on.is_none() {
                let finished = end.and_then(Result::ok).flatten();
                self.look_at_the_end(&honest, &proposal, finished.as_ref(), calm).await?;
                return Ok(true);
            }
            if round >= 6 {
                // Even bad weather passes.
                self.weather.calm();
            }
            if round >= 12 {
                self.record.note(Entry::Stuck("the run does not end in calm weather".to_owned()));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What one engine does: it carries out the proposal, or goes on with what another had begun.
    async fn work(
        &self,
        engine: &Engine,
        life: &Life,
        proposal: &Proposal,
        next: Next,
    ) -> Result<Option<Finished>> {
        match next {
            Next::Begin => {}
            Next::Edit(want) => return self.edit(engine, life, want).await,
            Next::Resume => return engine.resume(&self.deployment, life.stop()).await,
            Next::Decide(decision) => {
                return engine.decide(&self.deployment, decision, life.stop()).await;
            }
        }
        let planned = engine.plan(proposal, &self.accepted(engine, proposal).await?).await?;
        engine.apply(&planned, self.approval(&planned), life.stop()).await.map(Some)
    }

    /// The place of the paused run is taken; where it cannot be, the run goes on as it was.
    async fn edit(&self, engine: &Engine, life: &Life, want: usize) -> Result<Option<Finished>> {
        let state = engine.state(&self.deployment).await?;
        let (Some(run), Some(want)) = (state.open_run(), self.cast.wants.get(want)) else { return Ok(None) };
        let mut proposal = Proposal::of(want.clone(), Origins::new())?;
        let goes_back = run.id.0 % 2 == 0 || self.story.is_of_edits();
        proposal.on_failure = goes_back.then_some(OnFailure::RollBack);
        let proposal = proposal.following(run, "somebody", self.host.now());
        let planned = engine.plan(&proposal, &self.accepted(engine, &proposal).await?).await?;
        engine.apply(&planned, self.approval(&planned), life.stop()).await.map(Some)
    }

    /// Who wants again what was gone back from says so.
    async fn accepted(&self, engine: &Engine, proposal: &Proposal) -> Result<BTreeSet<String>> {
        let state = engine.state(&self.deployment).await?;
        let bad = proposal.spec.as_ref().and_then(|spec| state.bad(spec));
        Ok(bad.map(|revision| format!("bad-revision:{}", revision.number)).into_iter().collect())
    }

    fn approval(&self, planned: &Planned) -> Approval {
        Approval { plan: planned.plan.id, by: "the story".into(), at: self.host.now(), how: How::Program }
    }

    /// When an engine of this act dies or is asked to stop.
    fn fate(&self, act: usize, round: usize, dice: &mut Dice) -> Fate {
        if act == usize::MAX || round >= 4 {
            return Fate::default();
        }
        let span = 12 * self.cast_size();
        match self.story.dies {
            Some((at, moment)) if at == act && round == 0 => Fate { dies: Some(moment), ..Fate::default() },
            // Once more while it recovers.
            Some((at, _)) if at == act && round == 1 && dice.one_in(3) => {
                Fate { dies: Some(1 + dice.roll(span) as u64), ..Fate::default() }
            }
            Some(_) => Fate::default(),
            None => Fate {
                dies: dice.one_in(2).then(|| 1 + dice.roll(span) as u64),
                stops_back: dice.one_in(3).then(|| 1 + dice.roll(9) as u64),
                stops: dice.one_in(8).then(|| 1 + dice.roll(span) as u64),
                loses: dice.one_in(12).then(|| 1 + dice.roll(span) as u64),
            },
        }
    }

    fn cast_size(&self) -> usize {
        self.story.size.max(1)
    }

    /// An engine that lives this life; without one, an engine to which nothing happens.
    fn engine(&self, life: Option<&Arc<Life>>) -> Result<Engine> {
        let mut builder = Engine::builder()
            .state_dir("/nonexistent/sim")
            .host(Arc::clone(&self.host) as Arc<dyn Host>)
            .secrets(Arc::clone(&self.secrets) as _)
            .parallel(self.limits.total)
            .computing(self.limits.cpu)
            .retry(self.retry.clone())
            .breaker(self.limits.breaker.clone())
            .on_failure(self.on_failure);
        let store = Arc::clone(&self.store);
        builder = match life {
            None => builder.store(store),
            Some(life) => builder.store(Arc::new(Journal::new(store, life, &self.weather))),
        };
        if life.is_some() && self.story.seed % 4 == 3 {
            let dice = Mutex::new(Dice::of(self.story.seed, b"clock"));
            builder = builder.sink(Arc::new(Jumps {
                host: Arc::clone(&self.host),
                record: self.record.clone(),
                dice,
            }));
        }
        if let Some(life) = life.filter(|_| self.person) {
            let dice = Mutex::new(Dice::new(self.story.seed ^ u64::from(life.number).rotate_left(48)));
            builder = builder.approver(Arc::new(Person {
                life: Arc::clone(life),
                dice,
                wants: self.cast.wants.clone(),
            }));
        }
        for (provider, half) in &self.cast.providers {
            let provider = Arc::clone(provider);
            builder = builder.provider(match life {
                None => provider,
                Some(life) => Arc::new(Chaos::new(provider, half.clone(), life, &self.weather)),
            });
        }
        self.cast.recipes.iter().cloned().fold(builder, EngineBuilder::recipe).build()
    }

    async fn proposal(&self, honest: &Engine, act: Act) -> Option<Proposal> {
        match act {
            Act::Want(i) => Proposal::of(self.cast.wants.get(i)?.clone(), Origins::new()).ok(),
            Act::Back => honest.rollback(&self.deployment, None).await.ok(),
            Act::Down { data } => honest.destroy(&self.deployment, data).await.ok(),
        }
    }

    /// What exists, as nobody in the story can be sure to see it.
    async fn world(&self, honest: &Engine) -> BTreeMap<Address, Want> {
        let mut there = BTreeMap::new();
        let ctx = honest.ctx().for_deployment(&self.deployment);
        for resource in self.weather.known() {
            let kind = resource.kind.as_str();
            let serves = |p: &&(Arc<dyn Provider>, _)| p.0.capabilities().kinds.contains(&kind);
            let Some((provider, _)) = self.cast.providers.iter().find(serves) else { continue };
            if let Ok(Observed::Present(live)) = provider.observe(&ctx, &resource, None).await {
                let mut was = live.was;
                if let Some(drift) = live.drift.first() {
                    was = was.with("drift", drift.as_str());
                }
                there.insert(resource.address, was);
            }
        }
        there
    }

    /// What nobody in the story sees: whether what is said to be reached is, and whether all that exists is
    /// known.
    async fn look_at_the_end(
        &self,
        honest: &Engine,
        proposal: &Proposal,
        finished: Option<&Finished>,
        calm: bool,
    ) -> Result<()> {
        let world = self.world(honest).await;
        let state = honest.state(&self.deployment).await?;
        let unlisted = |a: &&Address| !state.inventory.contains_key(*a) && !state.doubts.contains_key(*a);
        let mut unlisted: Vec<_> = world.keys().filter(unlisted).cloned().collect();
        self.record.note(Entry::World(world));
        let said = finished.is_some_and(|finished| finished.outcome == Outcome::Succeeded);
        self.wanted.take();
        if said || calm {
            // Whoever edited wants what the edited spec says; where nothing was done, the last run was another act's.
            let this = |run: &&Run| finished.is_some_and(|finished| finished.run == run.id);
            let wanted = state.run.as_ref().filter(|run| run.plan.follows.is_some()).filter(this);
            let wanted = wanted.and_then(|run| run.plan.spec.clone());
            let edited = wanted.and_then(|spec| Proposal::of(spec, Origins::new()).ok());
            let proposal = edited.as_ref().unwrap_or(proposal);
            let accepted = self.accepted(honest, proposal).await.unwrap_or_default();
            match honest.plan(proposal, &accepted).await {
                Ok(planned) if planned.plan.steps.is_empty() => {
                    self.wanted.borrow_mut().extend(planned.plan.unchanged);
                }
                Ok(planned) => {
                    let steps = planned.plan.steps.iter();
                    let steps = steps.map(|s| format!("{} {}", s.change.action, s.address())).collect();
                    self.record.note(Entry::LeftToDo(steps));
                }
                Err(error) => self.record.note(Entry::LeftToDo(vec![error.to_string()])),
            }
        }
        if self.lost.get() {
            unlisted.retain(|address| self.wanted.borrow().contains(address));
        }
        if !unlisted.is_empty() {
            self.record.note(Entry::Unlisted(unlisted));
        }
        Ok(())
    }
}

/// Whether an engine came to its end, and so.
fn finished_now(end: &Option<Result<Option<Finished>>>, outcome: Outcome) -> bool {
    matches!(end, Some(Ok(Some(finished))) if finished.outcome == outcome)
}

/// What a person says at a pause; in the end they have enough of it.
fn decision(run: &Run, round: usize, dice: &mut Dice) -> Decision {
    let failed: Vec<_> = run.failed().collect();
    match dice.roll(8) {
        _ if round >= 6 => Decision::RollBack,
        0..=2 => Decision::Retry,
        3 | 4 if !failed.is_empty() => Decision::Skip { step: failed[dice.roll(failed.len())] },
        5 => Decision::Abort,
        6 => Decision::RollBack,
        _ => Decision::Retry,
    }
}

/// Somebody at the prompt, who takes their time and may walk away.
#[derive(Debug)]
struct Person {
    life: Arc<Life>,
    dice: Mutex<Dice>,
    wants: Vec<Spec>,
}

#[async_trait]
impl Approver for Person {
    async fn approve(&self, ctx: &Ctx, planned: &Planned) -> Result<Option<Approval>> {
        self.life.moment().await;
        let (by, at) = ("the story".to_owned(), ctx.host().now());
        Ok(Some(Approval { plan: planned.plan.id, by, at, how: How::Program }))
    }

    async fn decide(&self, ctx: &Ctx, run: &Run) -> Result<Option<Decided>> {
        let (time, walks_away, answer) = {
            let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
            let edits = (!self.wants.is_empty() && dice.one_in(3)).then(|| dice.roll(self.wants.len()));
            let answer = match edits {
                Some(want) => Answer::Edited(Box::new(self.wants[want].clone())),
                None => decision(run, dice.roll(7), &mut dice).into(),
            };
            (dice.roll(200) as u64, dice.one_in(3), answer)
        };
        self.life.moment().await;
        ctx.host().sleep(Duration::from_secs(time)).await;
        self.life.moment().await;
        Ok((!walks_away).then(|| Decided { by: "somebody".to_owned(), answer }))
    }
}

/// Somebody who sets the clock again and again: in every fourth story.
#[derive(Debug)]
struct Jumps {
    host: Arc<MemoryHost>,
    record: Record,
    dice: Mutex<Dice>,
}

impl Sink for Jumps {
    fn offer(&self, event: &Event) {
        // Between two writes: what is on its way has its time already.
        if matches!(event.body, Body::StepProgress { .. }) {
            return;
        }
        // A failure is where somebody looks at the clock, and sees that it is wrong.
        let failed = matches!(event.body, Body::StepRetries { .. } | Body::BreakerOpened { .. });
        let one_in = if failed { 3 } else { 12 };
        let by = match self.dice.lock().unwrap_or_else(PoisonError::into_inner).roll(one_in) {
            0 => SignedDuration::from_hours(365 * 24),
            1 => SignedDuration::from_hours(-24),
            _ => return,
        };
        if by.is_negative() {
            self.host.set_back(by.unsigned_abs());
        } else {
            self.host.set_ahead(by.unsigned_abs());
        }
        self.record.note(Entry::ClockSet(i64::try_from(by.as_millis()).unwrap_or_default()));
    }
}
