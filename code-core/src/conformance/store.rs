//! The rules of [`StateStore`].
//!
//! ```text
//!        the store under judgement             another's view of the same (`Sample::reopen`)
//!  lease ─▶ append ─▶ append ─▶ release   │   read · lease
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use tempfile::TempDir;

use super::suite::{At, Judged, Objection, Rule, Suite, at_wait, holds, rules, speaks_badly};
use crate::event::{Body, Event};
use crate::memory::{MemoryHost, ctx};
use crate::store::{Lease, Seq};
use crate::{Ctx, Error, Result, RunId, StateStore, StepId};

/// How long a lease is asked for.
const TTL: Duration = Duration::from_secs(60);
const SHOP: &str = "shop/staging";

type Reopens<S> = Arc<dyn Fn(&Arc<S>, &Path) -> Arc<S> + Send + Sync>;

/// What the suite has to know of a store.
pub struct Sample<S> {
    reopen: Reopens<S>,
    expires: bool,
    many: u64,
    patience: Duration,
}

impl<S: StateStore> Sample<S> {
    /// A store whose leases have no time of their own, and of which every user has the same value.
    pub fn new() -> Sample<S> {
        Sample {
            reopen: Arc::new(|store, _| Arc::clone(store)),
            expires: false,
            many: 100_000,
            patience: Duration::from_secs(120),
        }
    }

    /// How another process would open the same store; the directory is the one that the first was given.
    #[must_use]
    pub fn reopen(mut self, reopen: impl Fn(&Arc<S>, &Path) -> Arc<S> + Send + Sync + 'static) -> Sample<S> {
        self.reopen = Arc::new(reopen);
        self
    }

    /// Its leases run out when their time is over by the clock of the host.
    #[must_use]
    pub fn expires(mut self) -> Sample<S> {
        self.expires = true;
        self
    }

    /// How many events of one deployment it is asked to hold; 100,000 by default.
    #[must_use]
    pub fn many(mut self, events: u64) -> Sample<S> {
        self.many = events;
        self
    }

    /// How long a rule may take before it counts as broken; two minutes by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Sample<S> {
        self.patience = patience;
        self
    }
}

impl<S: StateStore> Default for Sample<S> {
    fn default() -> Sample<S> {
        Sample::new()
    }
}

impl<S> fmt::Debug for Sample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The rules of a store, each held against an empty one; `fresh` is given a directory that is its own.
pub fn store<S: StateStore>(
    fresh: impl Fn(&Path) -> Arc<S> + Send + Sync + 'static,
    sample: &Sample<S>,
) -> Suite {
    let (reopen, expires, many) = (Arc::clone(&sample.reopen), sample.expires, sample.many);
    let bench = move || {
        let dir = TempDir::with_prefix("conformance-");
        let dir = dir.map_err(|error| Objection::NotJudged(format!("no directory: {error}")))?;
        let store = fresh(dir.path());
        let other = reopen(&store, dir.path());
        let host = Arc::new(MemoryHost::new());
        Ok(Arc::new(Bench { store, other, expires, many, ctx: ctx(&host), host, _dir: dir }))
    };
    Suite::new(all(), bench, |_| Box::pin(async {}), sample.patience)
}

fn all<S: StateStore>() -> Vec<Rule<Arc<Bench<S>>>> {
    rules![
        in_order as "what_was_appended_is_read_back_in_order",
        after as "reading_after_a_place_gives_the_rest",
        durable as "what_was_appended_is_there_for_another",
        whole as "a_batch_is_refused_as_a_whole",
        dropped as "a_dropped_append_leaves_whole_batches",
        stale as "a_place_that_is_not_the_last_is_refused",
        released as "a_released_lease_writes_nothing",
        overtaken as "an_overtaken_lease_writes_nothing",
        second as "a_second_holder_is_refused_and_told_the_first",
        free as "a_released_lease_can_be_taken",
        old_release as "releasing_an_old_lease_frees_nobody_elses",
        one_of_many as "of_many_at_once_one_holds",
        fence as "the_fence_grows",
        lasts as "a_lease_lasts_for_as_long_as_was_asked",
        runs_out as "a_lease_whose_time_is_over_can_be_taken",
        renewed as "an_append_begins_the_time_anew",
        no_lease as "a_reader_needs_no_lease",
        apart as "deployments_are_apart",
        listed as "who_has_events_is_listed",
        left as "a_lease_without_an_append_leaves_no_deployment",
        names as "what_is_no_name_is_refused",
        many as "many_events_are_kept_without_a_gap",
        help as "every_refusal_says_what_to_do",
    ]
}

struct Bench<S> {
    store: Arc<S>,
    other: Arc<S>,
    expires: bool,
    many: u64,
    ctx: Ctx,
    host: Arc<MemoryHost>,
    _dir: TempDir,
}

/// An event that is told apart from all others.
fn event(n: u64) -> Event {
    // Text that a store could mangle.
    let why = format!("event {n}: \"quoted\", ä\u{1f600}\n\u{0}\\");
    Event { at: Timestamp::UNIX_EPOCH, body: Body::StepSkipped { run: RunId(n), step: StepId(0), why } }
}

fn events(places: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    places.map(event).collect()
}

impl<S: StateStore> Bench<S> {
    async fn lease(&self) -> Result<Lease> {
        self.store.lease(&self.ctx, SHOP, "ann", TTL).await
    }

    async fn append(&self, lease: &Lease, after: u64, events: &[Event]) -> Result<Seq> {
        self.store.append(&self.ctx, lease, Seq(after), events).await
    }

    /// What another reads of a deployment.
    async fn read(&self, deployment: &str, after: u64) -> Result<Vec<(Seq, Event)>> {
        self.other.read(deployment, Seq(after)).try_collect().await
    }

    /// A lease under which three events in two batches were written.
    async fn written(&self) -> Result<Lease> {
        let lease = self.lease().await?;
        self.append(&lease, 0, &events(1..=2)).await?;
        self.append(&lease, 2, &events(3..=3)).await?;
        Ok(lease)
    }

    async fn count(&self) -> Result<usize> {
        Ok(self.read(SHOP, 0).await?.len())
    }

    fn must_expire(&self) -> Judged {
        let not = || Objection::NotClaimed("`expires`: a lease has no time, and ends with its holder".into());
        if self.expires { Ok(()) } else { Err(not()) }
    }
}

fn numbered(places: std::ops::RangeInclusive<u64>) -> Vec<(Seq, Event)> {
    places.map(|n| (Seq(n), event(n))).collect()
}

fn refused<T: fmt::Debug>(answer: Result<T>, code: &str, what: &str) -> Judged {
    let said = answer.as_ref().err().map(Error::code);
    holds!(said == Some(code), "{what} gave {answer:?}, and not `{code}`");
    Ok(())
}

/// Counted from 1, without a gap, each as it was written; and `append` says the place of the last.
async fn in_order<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.lease().await?;
    let last = bench.append(&lease, 0, &events(1..=2)).await?;
    let end = bench.append(&lease, last.0, &events(3..=3)).await?;
    let read: Vec<_> = bench.store.read(SHOP, Seq::START).try_collect().await?;
    holds!(read == numbered(1..=3), "three events were read as {read:?}");
    holds!((last, end) == (Seq(2), Seq(3)), "the places of the last are said to be {last} and {end}");
    Ok(())
}

async fn after<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.written().await?;
    for place in 0..=4 {
        let read: Vec<u64> =
            bench.store.read(SHOP, Seq(place)).map_ok(|(seq, _)| seq.0).try_collect().await?;
        let rest: Vec<u64> = (place + 1..=3).collect();
        holds!(read == rest, "after {place} it reads {read:?}");
    }
    Ok(())
}

async fn durable<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.written().await?;
    bench.store.release(&bench.ctx, lease).await?;
    let read = bench.count().await?;
    holds!(read == 3, "another reads {read} events of 3");
    Ok(())
}

/// What is refused leaves nothing of itself.
async fn whole<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.written().await?;
    // That it is refused at all is another rule.
    if bench.append(&lease, 1, &events(4..=6)).await.is_ok() {
        return Err(Objection::NotJudged("it was not refused".to_owned()));
    }
    let read: Vec<_> = bench.store.read(SHOP, Seq::START).try_collect::<Vec<_>>().await?;
    holds!(read.len() == 3, "of a batch that was refused, {} events are there", read.len().saturating_sub(3));
    Ok(())
}

/// A caller that goes away in the middle leaves all of its batch or none, and the place after it is free.
async fn dropped<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.lease().await?;
    let mut last = 0;
    for nth in 1..=6 {
        let batch = events(last + 1..=last + 5);
        if let At::Waiting(call) = at_wait(bench.append(&lease, last, &batch), nth).await {
            drop(call);
        }
        // An append that is on its way may still be finished: the next one under this lease comes after it.
        let _ = bench.append(&lease, u64::MAX, &[]).await;
        let read = bench.store.read(SHOP, Seq::START).count().await as u64;
        holds!(read == last || read == last + 5, "a batch of 5 left {} events", read.saturating_sub(last));
        last = read;
    }
    Ok(())
}

async fn stale<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.written().await?;
    for place in [0, 2, 4, u64::MAX] {
        let answer = bench.append(&lease, place, &events(4..=4)).await;
        refused(answer, "store::conflict", &format!("after {place}, where 3 is the last, appending"))?;
    }
    Ok(())
}

async fn released<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.written().await?;
    bench.store.release(&bench.ctx, lease.clone()).await?;
    let answer = bench.append(&lease, 3, &events(4..=4)).await;
    refused(answer, "store::fenced", "under a lease that was given back, appending")
}

async fn overtaken<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.must_expire()?;
    let lease = bench.written().await?;
    bench.host.advance(TTL * 2);
    bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await?;
    let answer = bench.append(&lease, 3, &events(4..=4)).await;
    refused(answer, "store::fenced", "under a lease that another one overtook, appending")
}

async fn second<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let _lease = bench.lease().await?;
    let Err(error) = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await else {
        return Err(Objection::Broken("two hold the lease".to_owned()));
    };
    holds!(error.code() == "store::locked", "the second is refused with {error:?}");
    holds!(format!("{error:?}").contains("ann"), "it does not name who holds it: {error:?}");
    Ok(())
}

async fn free<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.lease().await?;
    bench.store.release(&bench.ctx, lease).await?;
    let next = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await;
    holds!(next.is_ok(), "after the first gave it back, a second got {next:?}");
    Ok(())
}

/// Giving back a lease twice, or one that is over, does not touch the one that is held.
async fn old_release<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let old = bench.lease().await?;
    bench.store.release(&bench.ctx, old.clone()).await?;
    let held = bench.lease().await?;
    bench.store.release(&bench.ctx, old).await?;
    let answer = bench.append(&held, 0, &events(1..=1)).await;
    holds!(answer.is_ok(), "after an old lease was given back again, the one that is held wrote {answer:?}");
    Ok(())
}

async fn one_of_many<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let views = [&bench.store, &bench.other];
    let calls = (0..16).map(|n| {
        let view = Arc::clone(views[n % 2]);
        let ctx = bench.ctx.clone();
        tokio::spawn(async move { view.lease(&ctx, SHOP, &format!("holder {n}"), TTL).await.is_ok() })
    });
    let got = join_all(calls).await.into_iter().filter(|got| matches!(got, Ok(true))).count();
    holds!(got == 1, "of 16 at once, {got} got the lease");
    Ok(())
}

async fn fence<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let mut fences = Vec::new();
    for (view, place) in [&bench.store, &bench.other, &bench.store, &bench.other].into_iter().zip(0..) {
        let lease = view.lease(&bench.ctx, SHOP, "ann", TTL).await?;
        fences.push(lease.fence);
        view.append(&bench.ctx, &lease, Seq(place), &events(place + 1..=place + 1)).await?;
        view.release(&bench.ctx, lease).await?;
    }
    holds!(fences.is_sorted_by(|a, b| a < b), "the fences of four leases are {fences:?}");
    Ok(())
}

/// Commands of a holder that is gone may go on for a while: nobody is to work beside them.
async fn lasts<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.must_expire()?;
    let _first = bench.lease().await?;
    bench.host.advance(TTL - Duration::from_secs(1));
    let answer = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await;
    refused(answer, "store::locked", "a second before its time is over, taking the lease")
}

async fn runs_out<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.must_expire()?;
    let _first = bench.lease().await?;
    bench.host.advance(TTL * 2);
    let next = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await;
    holds!(next.is_ok(), "after its time was over, a second got {next:?}");
    Ok(())
}

async fn renewed<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.must_expire()?;
    let lease = bench.lease().await?;
    bench.host.advance(TTL * 3 / 4);
    bench.append(&lease, 0, &events(1..=1)).await?;
    bench.host.advance(TTL * 3 / 4);
    let answer = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await;
    refused(answer, "store::locked", "while its holder writes, taking the lease")
}

async fn no_lease<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let _held = bench.written().await?;
    let read = bench.read(SHOP, 0).await;
    holds!(read.is_ok(), "while another holds the lease, reading gave {read:?}");
    let nothing: Result<Vec<_>> = bench.other.read("nobody/staging", Seq::START).try_collect().await;
    holds!(matches!(&nothing, Ok(none) if none.is_empty()), "of a deployment that never was: {nothing:?}");
    Ok(())
}

async fn apart<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let ours = bench.lease().await?;
    let theirs = bench.store.lease(&bench.ctx, "shop/production", "bob", TTL).await?;
    bench.append(&ours, 0, &events(1..=2)).await?;
    bench.append(&theirs, 0, &events(7..=7)).await?;
    let read: Vec<_> = bench.store.read("shop/production", Seq::START).try_collect().await?;
    holds!(read == [(Seq(1), event(7))], "of one event of its own, it reads {read:?}");
    Ok(())
}

async fn listed<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    bench.written().await?;
    let names: Vec<String> = bench.other.deployments().try_collect().await?;
    holds!(names == [SHOP], "one deployment has events, and {names:?} are listed");
    Ok(())
}

async fn left<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    for view in [&bench.store, &bench.other] {
        let lease = view.lease(&bench.ctx, SHOP, "ann", TTL).await?;
        // What keeps the time of a lease writes nothing.
        view.append(&bench.ctx, &lease, Seq::START, &[]).await?;
        let held: Vec<String> = bench.other.deployments().try_collect().await?;
        view.release(&bench.ctx, lease).await?;
        let names: Vec<String> = bench.other.deployments().try_collect().await?;
        let listed = [held, names].concat();
        holds!(listed.is_empty(), "nothing was written, and {listed:?} are listed");
    }
    let lease = bench.lease().await?;
    let first = bench.append(&lease, 0, &events(1..=1)).await;
    holds!(matches!(first, Ok(Seq(1))), "after leases that wrote nothing, the first event gave {first:?}");
    Ok(())
}

async fn names<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    for name in ["", "shop", "../x", "shop/../x", "/etc/passwd", "a/b/c", "shop/stag\u{0}ing"] {
        let lease = bench.store.lease(&bench.ctx, name, "ann", TTL).await;
        holds!(lease.is_err(), "`{}` got a lease", name.escape_debug());
    }
    Ok(())
}

async fn many<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.lease().await?;
    let mut last = 0;
    while last < bench.many {
        let batch = events(last + 1..=last + 1000);
        last = bench.append(&lease, last, &batch).await?.0;
    }
    let mut expect = 0;
    let mut stream = bench.store.read(SHOP, Seq::START);
    while let Some(next) = stream.next().await {
        let (place, read) = next?;
        expect += 1;
        holds!(place == Seq(expect) && read == event(expect), "at place {expect} it reads {place}: {read:?}");
    }
    holds!(expect == last, "of {last} events it reads {expect}");
    Ok(())
}

async fn help<S: StateStore>(bench: Arc<Bench<S>>) -> Judged {
    let lease = bench.written().await?;
    let locked = bench.other.lease(&bench.ctx, SHOP, "bob", TTL).await.err();
    let conflict = bench.append(&lease, 1, &events(4..=4)).await.err();
    bench.store.release(&bench.ctx, lease.clone()).await?;
    let fenced = bench.append(&lease, 3, &events(4..=4)).await.err();
    for error in [locked, conflict, fenced].into_iter().flatten() {
        let badly = speaks_badly(&error);
        holds!(badly.is_none(), "{}", badly.unwrap_or_default());
    }
    Ok(())
}
