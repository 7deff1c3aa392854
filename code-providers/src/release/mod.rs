//! Releases: content-addressed snapshots of what runs, so that editing or deleting a project cannot break a
//! rollback.
//!
//! ```text
//! project ── files that count ──▶ digest ── said in the spec, judged, approved
//!                                   │
//!          apply: copy and hash ────┤ the same?  no: `release::changed`, nothing is made
//!                                   ▼ yes
//!          STATE/releases/DIGEST/      built there, then read-only
//!          STATE/releases/DIGEST.json  written last: a release without it is not one
//! ```
//!
//! A release is built at its final place, because what tools build may name the place it was built at (the
//! scripts of a Python environment do); the file beside it, not a rename, says that it is complete.

mod build;
pub mod prune;
mod snapshot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use code_core::host::Tie;
use code_core::provider::{
    Action, Capabilities, Change, Class, Effects, Failed, Health, Live, Observed, Promise, ProviderInfo,
    Resource, Reversal,
};
use code_core::{Ctx, Digest, Error, ErrorKind, Expr, Layout, Progress, Provider, Result, Want, kill};

#[cfg(feature = "terraform")]
pub(crate) use snapshot::copy as copy_files;
pub use snapshot::{MOST_BYTES, MOST_FILES, SKIPPED, source_digest};

use crate::recipes::local::{SAMPLE, SAMPLE_PROGRAM};

/// The kind of a release.
pub const RELEASE: &str = "release";
/// How often it is looked whether another run has finished the same release.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes releases.
///
/// A `release` takes `source` (a directory, or `sample`), `digest` (of [`source_digest`]), `build` and `start`
/// (argument lists) and `built` (`false`: its files as they are, for whoever builds them), and gives `dir` and `digest`.
/// Deleting one leaves its files: a rollback needs them.
#[derive(Debug)]
pub struct ReleaseProvider {
    info: ProviderInfo,
    sample: Option<(PathBuf, Digest)>,
}

impl Default for ReleaseProvider {
    fn default() -> ReleaseProvider {
        ReleaseProvider::new()
    }
}

impl ReleaseProvider {
    /// A provider whose sample app is this program itself.
    pub fn new() -> ReleaseProvider {
        ReleaseProvider {
            info: ProviderInfo {
                name: "release".into(),
                summary: "snapshots of what runs".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            sample: None,
        }
    }

    /// With another program as the sample app, and its digest.
    #[must_use]
    pub fn with_sample(mut self, program: PathBuf, digest: Digest) -> ReleaseProvider {
        self.sample = Some((program, digest));
        self
    }

    /// The program of the sample app, and its digest.
    fn sample(&self) -> Result<(PathBuf, Digest)> {
        match &self.sample {
            Some(sample) => Ok(sample.clone()),
            None => own_sample(),
        }
    }

    async fn make(&self, ctx: &Ctx, resource: &Resource) -> Result<Live> {
        let wanted = Wanted::read(resource)?;
        let place = Place::of_wanted(ctx.state_dir(), &wanted);
        let lock = Arc::new(place.lock(ctx).await?);
        if let Some(live) = place.live() {
            return Ok(live);
        }
        let made = self.make_at(ctx, resource, &wanted, &place, Tie::to(&lock)).await;
        if made.is_err() {
            // What is left is not a release, and the next try begins anew.
            let _ = fs::remove_dir_all(&place.dir);
        }
        made
    }

    async fn make_at(
        &self,
        ctx: &Ctx,
        resource: &Resource,
        wanted: &Wanted,
        place: &Place,
        lock: Tie,
    ) -> Result<Live> {
        let failed = |error| snapshot::write_failed(&place.dir, error);
        // Left by a run that was killed: there is no file beside it.
        if place.dir.exists() {
            fs::remove_dir_all(&place.dir).map_err(failed)?;
        }
        if wanted.source == SAMPLE {
            let (program, digest) = self.sample()?;
            check(wanted, digest)?;
            ctx.say("copying the sample app");
            fs::create_dir_all(&place.dir).map_err(failed)?;
            fs::copy(program, place.dir.join(SAMPLE_PROGRAM)).map_err(failed)?;
        } else {
            set_apart(ctx).await?;
            ctx.say(format!("copying {}", wanted.source));
            copy(ctx, wanted, place).await?;
            if let Some(argv) = wanted.build.as_ref().filter(|_| wanted.built) {
                let cache = place.cache(ctx, resource);
                build::build(ctx, argv, Path::new(&wanted.source), &place.dir, &cache, lock).await?;
            }
        }
        kill::point("release.freeze.before");
        snapshot::freeze(&place.dir).map_err(failed)?;
        let note = serde_json::to_vec_pretty(&resource.wanted()).map_err(|error| failed(error.into()))?;
        kill::point("release.commit.before");
        ctx.host().write(&place.note, &note, 0o644).await?;
        kill::point("release.commit.after");
        Ok(place.describe(resource.wanted()))
    }
}

#[async_trait]
impl Provider for ReleaseProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let kinds = vec![RELEASE];
        Capabilities { kinds, update: true, replace: false, concurrency: 2, class: Class::Mixed }
    }

    async fn health(&self, _ctx: &Ctx) -> Result<Health> {
        Ok(Health::Ready { version: env!("CARGO_PKG_VERSION").into() })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        if resource.want.is_none() {
            // Its files stay, for a rollback and for others who have the same; the deployment lets go of it.
            return Ok(Observed::Absent);
        }
        let place = |want: &Want| {
            let digest = want.read::<Digest>("digest").ok().flatten()?;
            let built = want.read("built").ok()?.unwrap_or(true);
            Some(Place::of(ctx.state_dir(), digest, built))
        };
        let wanted = resource.want.as_ref().and_then(place);
        let last = last.and_then(|live| place(&live.was));
        // The one that the deployment has, though others are complete: going back to one of them is a change.
        let candidates = [last, wanted].into_iter().flatten();
        let mut found = candidates.filter_map(|place| place.live());
        Ok(found.next().map_or(Observed::Absent, Observed::Present))
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        plan(ctx.state_dir(), resource, live)
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        if change.resource.want.is_none() {
            return Ok(None);
        }
        let before = || change.prior.clone().map_or(Observed::Absent, Observed::Present);
        let made = self.make(ctx, &change.resource).await;
        made.map(Some).map_err(|error| Failed { error, left: before() })
    }
}

/// The change of a release: pure.
fn plan(state_dir: &Path, resource: &Resource, observed: &Observed) -> Result<Change> {
    if resource.want.is_none() {
        let why = "no longer wanted; its files stay for a rollback, until they are pruned";
        let change = Change { action: Action::Keep, ..Change::create(resource, Effects::none()) };
        return Ok(match observed.live() {
            Some(live) => Change::from_live(Action::Delete, resource, live, Effects::none()).why(why),
            None => change.reversal(Reversal::Reversible(Box::new(resource.clone()))).why(why),
        });
    }
    let wanted = Wanted::read(resource)?;
    let dir = Place::of_wanted(state_dir, &wanted).dir;
    let effect = Effects::one(Action::Create, format!("release {}", wanted.digest.short()));
    let change = match observed.live() {
        Some(live) if live.id == wanted.digest.to_string() && built(&live.was) == wanted.built => {
            return Ok(Change::keep(resource, live));
        }
        Some(live) => {
            Change::from_live(Action::Update, resource, live, effect).why("its files or its build changed")
        }
        None => Change::create(resource, effect).why("not made yet"),
    };
    Ok(change
        .output("dir", Promise::Stays(Expr::from(dir.display().to_string())))
        .output("digest", Promise::Stays(Expr::from(wanted.digest.to_string()))))
}

fn built(want: &Want) -> bool {
    want.read("built").ok().flatten().unwrap_or(true)
}

/// What is wanted of a release.
struct Wanted {
    source: String,
    digest: Digest,
    build: Option<Vec<String>>,
    start: Option<Vec<String>>,
    built: bool,
}

impl Wanted {
    fn read(resource: &Resource) -> Result<Wanted> {
        let want = resource.wanted();
        Ok(Wanted {
            source: want.need("source")?,
            digest: want.need("digest")?,
            build: want.read("build")?,
            start: want.read("start")?,
            built: want.read("built")?.unwrap_or(true),
        })
    }
}

/// Where a release lies.
struct Place {
    dir: PathBuf,
    /// Written last, with what was wanted.
    note: PathBuf,
    lock: PathBuf,
    /// There where it was removed on purpose: then it is not missed.
    pruned: PathBuf,
    digest: Digest,
}

impl Place {
    fn of_wanted(state_dir: &Path, wanted: &Wanted) -> Place {
        Place::of(state_dir, wanted.digest, wanted.built)
    }

    /// What is not built lies beside what is.
    fn of(state_dir: &Path, digest: Digest, built: bool) -> Place {
        let layout = Layout::new(state_dir);
        let dir = if built { layout.release(digest) } else { layout.release_source(digest) };
        let beside = |end: &str| PathBuf::from(format!("{}.{end}", dir.display()));
        Place { note: beside("json"), lock: beside("lock"), pruned: layout.pruned(digest), dir, digest }
    }

    /// The release, where it is complete.
    fn live(&self) -> Option<Live> {
        let note = fs::read(&self.note).ok()?;
        let want = serde_json::from_slice(&note).ok()?;
        self.dir.is_dir().then(|| self.describe(want))
    }

    fn describe(&self, was: Want) -> Live {
        let outputs = BTreeMap::from([
            ("dir".to_owned(), Expr::from(self.dir.display().to_string())),
            ("digest".to_owned(), Expr::from(self.digest.to_string())),
        ]);
        Live { id: self.digest.to_string(), was, outputs, drift: Vec::new() }
    }

    /// Where cargo keeps what it compiled for a component.
    fn cache(&self, ctx: &Ctx, resource: &Resource) -> PathBuf {
        let deployment = ctx.deployment().map_or_else(|| "any".to_owned(), Layout::slug);
        ctx.state_dir().join("cache").join(deployment).join(resource.address.component()).join("cargo")
    }

    /// The right to make it; two deployments may want the same one at the same time.
    async fn lock(&self, ctx: &Ctx) -> Result<fs::File> {
        let failed = |error| snapshot::write_failed(&self.lock, error);
        if let Some(parent) = self.lock.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock);
        let file = file.map_err(failed)?;
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
            if !std::mem::replace(&mut said, true) {
                ctx.say("waiting for another run that makes the same release");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = ctx.cancel().cancelled() => return Err(cancelled()),
            }
        }
    }
}

/// Keeps a state directory that lies in the project out of its releases, and out of its git.
async fn set_apart(ctx: &Ctx) -> Result<()> {
    let path = ctx.state_dir().join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    ctx.host().write(&path, b"# What CODE keeps here is no part of the project.\n*\n", 0o644).await
}

async fn copy(ctx: &Ctx, wanted: &Wanted, place: &Place) -> Result<()> {
    let source = PathBuf::from(&wanted.source);
    let (dir, build, start) = (place.dir.clone(), wanted.build.clone(), wanted.start.clone());
    let on_file = {
        let ctx = ctx.clone();
        move |done: usize, total: usize| {
            if ctx.cancel().is_cancelled() {
                return Err(cancelled());
            }
            if done.is_multiple_of(500) {
                ctx.progress(Progress::Part { done: done as u64, total: total as u64, unit: "files".into() });
            }
            Ok(())
        }
    };
    let copying = tokio::task::spawn_blocking(move || {
        snapshot::copy(&source, &dir, build.as_deref(), start.as_deref(), on_file)
    });
    let copied = copying
        .await
        .unwrap_or_else(|error| Err(snapshot::write_failed(&place.dir, std::io::Error::other(error))))?;
    check(wanted, copied)
}

/// A release is what was judged and approved, or it is not made.
fn check(wanted: &Wanted, found: Digest) -> Result<()> {
    if found == wanted.digest {
        return Ok(());
    }
    let what = format!("make the release {}: what it is made of has changed since", wanted.digest.short());
    Err(Error::new(ErrorKind::Stale, "release::changed", what)
        .help("deploy again: the new files are planned and judged then")
        .with("source", wanted.source.clone())
        .with("now", found.short()))
}

#[cfg(feature = "sample")]
fn own_sample() -> Result<(PathBuf, Digest)> {
    // Also where the program's file was replaced since it was started.
    Ok((PathBuf::from("/proc/self/exe"), crate::sample::sample_digest()))
}

#[cfg(not(feature = "sample"))]
fn own_sample() -> Result<(PathBuf, Digest)> {
    Err(Error::new(ErrorKind::Unsupported, "release::no-sample", "deploy the sample app")
        .help("name a project, or build CODE with the feature `sample`"))
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "release::cancelled", "make the release: it was cancelled")
        .help("deploy again to make it")
}
