//! Where one rule is judged: a fresh provider, a directory, a context, and secrets that would be recognised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::sample::{Sample, Scene};
use crate::conformance::Objection;
use crate::memory::MemorySecrets;
use crate::provider::{Change, Failed, Live, Observed, Resource};
use crate::{
    Address, Ctx, Deployment, Digest, Error, ErrorKind, Host, Key, Progress, Provider, Result, Secret,
    SecretRef, Secrets, StepId, Want,
};

pub(super) struct Bench<P> {
    pub(super) provider: Arc<P>,
    pub(super) sample: Sample<P>,
    dir: TempDir,
    deployment: Deployment,
    secrets: Arc<MemorySecrets>,
    keys: AtomicU32,
    heard: Arc<Mutex<Vec<String>>>,
    /// What the rule asked about: it may exist.
    asked: Mutex<BTreeMap<Address, Resource>>,
}

impl<P: Provider> Bench<P> {
    pub(super) fn new(provider: Arc<P>, sample: Sample<P>) -> Result<Bench<P>, Objection> {
        let dir = tempfile::Builder::new().prefix("conformance-").tempdir();
        let dir = dir.map_err(|error| Objection::NotJudged(format!("no directory: {error}")))?;
        // What runs as another user has to be able to enter.
        let opened = fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755));
        opened.map_err(|error| Objection::NotJudged(format!("no directory: {error}")))?;
        let stored = |all: MemorySecrets, (name, value): (&String, &String)| all.with(name, value);
        Ok(Bench {
            secrets: Arc::new(sample.secrets.iter().fold(MemorySecrets::new(), stored)),
            provider,
            sample,
            dir,
            deployment: Deployment::new("conformance", "test")?,
            keys: AtomicU32::new(1),
            heard: Arc::default(),
            asked: Mutex::default(),
        })
    }

    /// Deletes what the rule made, as far as that can be done.
    pub(super) async fn clear(&self) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for resource in asked.into_values() {
            let Ok(Observed::Present(live)) = self.look(&resource, None).await else { continue };
            if let Ok(change) = self.plan(&resource.gone(), Some(&live)).await {
                // What stays lies in the directory that goes now.
                let _ = self.apply(&change).await;
            }
        }
    }

    pub(super) fn scene(&self, nth: usize) -> Result<Scene> {
        Scene::new(self.dir.path(), nth)
    }

    /// The sample's resource in its first place.
    pub(super) fn resource(&self) -> Result<Resource> {
        self.nth(0)
    }

    pub(super) fn nth(&self, nth: usize) -> Result<Resource> {
        Ok((self.sample.resource)(&self.scene(nth)?))
    }

    /// The resource with another value that can be changed in place.
    pub(super) fn changed(&self) -> Result<Resource, Objection> {
        let not = |what: &str| Objection::NotClaimed(what.to_owned());
        if !self.provider.capabilities().update {
            return Err(not("`update`: it does not change resources in place"));
        }
        let make = self.sample.changed.as_ref().ok_or_else(|| not("the sample has no `changed` resource"))?;
        Ok(make(&self.scene(0)?))
    }

    /// The resource with another value that makes another one of it.
    pub(super) fn replaced(&self) -> Result<Resource, Objection> {
        let not = |what: &str| Objection::NotClaimed(what.to_owned());
        if !self.provider.capabilities().replace {
            return Err(not("`replace`: it does not put a new one in the place of an old one"));
        }
        let make =
            self.sample.replaced.as_ref().ok_or_else(|| not("the sample has no `replaced` resource"))?;
        Ok(make(&self.scene(0)?))
    }

    /// Surroundings of a call that is no step: they lend what the resource names, as those of a step do.
    pub(super) fn ctx(&self, resource: &Resource, last: Option<&Live>) -> Ctx {
        self.step(resource, last)
    }

    /// Surroundings of a step of its own.
    pub(super) fn step(&self, resource: &Resource, prior: Option<&Live>) -> Ctx {
        self.step_on(Arc::clone(&self.sample.host), resource, prior)
    }

    pub(super) fn step_on(&self, host: Arc<dyn Host>, resource: &Resource, prior: Option<&Live>) -> Ctx {
        if resource.want.is_some() {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert(resource.address.clone(), resource.clone());
        }
        let mut lent = resource.wanted().secrets();
        if let Some(prior) = prior {
            lent.extend(prior.was.secrets());
            lent.extend(Want(prior.outputs.clone()).secrets());
        }
        let step = StepId(self.keys.fetch_add(1, Ordering::Relaxed));
        let key = Key::of(Digest::of(self.dir.path().as_os_str().as_encoded_bytes()), step, false);
        let heard = Arc::clone(&self.heard);
        let secrets: Arc<dyn Secrets> = Arc::clone(&self.secrets) as _;
        Ctx::new(host, secrets, self.dir.path().join("state"))
            .for_deployment(&self.deployment)
            .for_step(key, lent)
            .with_progress(Arc::new(move |progress| hear(&heard, progress)))
    }

    /// What it said of its progress.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives each secret that a resource names a value that would be recognised anywhere.
    pub(super) async fn canaries(&self, resource: &Resource) -> Result<BTreeMap<SecretRef, Secret>> {
        let mut all = BTreeMap::new();
        let names: BTreeSet<SecretRef> = resource.wanted().secrets();
        for (i, name) in names.into_iter().enumerate() {
            if let Some(known) = self.secrets.get(&name).await? {
                all.insert(name, known);
                continue;
            }
            // Letters and digits only: a password that can stand in an address.
            let value = format!("canary{i}{}", &Digest::of(name.0.as_bytes()).to_string()[..24]);
            self.secrets.put(&name, Secret::new(value.clone())).await?;
            all.insert(name, Secret::new(value));
        }
        Ok(all)
    }

    pub(super) async fn look(&self, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.provider.observe(&self.ctx(resource, last), resource, last).await
    }

    /// Looks, and plans from what it sees.
    pub(super) async fn plan(&self, resource: &Resource, last: Option<&Live>) -> Result<Change> {
        let observed = self.look(resource, last).await?;
        self.provider.plan(&self.ctx(resource, last), resource, &observed).await
    }

    /// Applies under a key of its own.
    pub(super) async fn apply(&self, change: &Change) -> Result<Option<Live>, Failed> {
        let ctx = self.step(&change.resource, change.prior.as_ref());
        self.provider.apply(&ctx, change).await
    }

    /// Looks, plans and applies, and looks again: what was planned, and what is there.
    pub(super) async fn converge(
        &self,
        resource: &Resource,
        last: Option<&Live>,
    ) -> Result<(Change, Observed), Objection> {
        let change = self.plan(resource, last).await?;
        let live = self.apply(&change).await.map_err(|failed| failed.error)?;
        let observed = self.look(resource, live.as_ref().or(last)).await?;
        Ok((change, observed))
    }

    /// A resource that exists: how it was planned, and what is there. Whether it is right is not asked here.
    pub(super) async fn made(&self, resource: &Resource) -> Result<(Change, Live), Objection> {
        match self.converge(resource, None).await? {
            (change, Observed::Present(live)) => Ok((change, live)),
            (_, other) => Err(Objection::NotJudged(format!("after applying, it is seen as {other:?}"))),
        }
    }

    /// Calls back into the sample where it may block.
    pub(super) async fn meddle(
        &self,
        with: impl FnOnce(&P, &Scene) + Send + 'static,
    ) -> Result<(), Objection> {
        let (provider, scene) = (Arc::clone(&self.provider), self.scene(0)?);
        let done = tokio::task::spawn_blocking(move || with(&provider, &scene)).await;
        done.map_err(|error| Objection::NotJudged(format!("the sample panicked: {error}")))
    }

    /// What is really there, told so that every touch is seen.
    pub(super) async fn outside(&self) -> Result<String, Objection> {
        match &self.sample.outside {
            None => Ok(listing(self.dir.path())),
            Some(tell) => {
                let (tell, provider) = (Arc::clone(tell), Arc::clone(&self.provider));
                let scene = self.scene(0)?;
                let told = tokio::task::spawn_blocking(move || tell(&provider, &scene)).await;
                told.map_err(|error| Objection::NotJudged(format!("the sample panicked: {error}")))
            }
        }
    }
}

fn hear(heard: &Mutex<Vec<String>>, progress: Progress) {
    if let Progress::Said(text) | Progress::Line(text) = progress {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// Every file below a directory: its name, its inode, its mode, its time, and the digest of its content.
fn listing(dir: &Path) -> String {
    let mut told = String::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let content = match meta.is_file() {
            true => fs::read(&path).map(|bytes| Digest::of(&bytes).short()).unwrap_or_default(),
            false => String::new(),
        };
        // Writing to a `String` does not fail. A directory's time says what its entries say.
        let time = if meta.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        let _ = writeln!(told, "{} {} {:o} {time:?} {content}", path.display(), meta.ino(), meta.mode());
        let mut entries: Vec<_> =
            fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        left.extend(entries);
    }
    told
}

/// A machine without a single program.
#[derive(Debug)]
pub(super) struct Bare(pub(super) Arc<dyn Host>);

#[async_trait::async_trait]
impl Host for Bare {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
    fn uptime(&self) -> std::time::Duration {
        self.0.uptime()
    }
    fn grace(&self) -> std::time::Duration {
        self.0.grace()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name).filter(|_| name != "PATH")
    }
    fn user(&self) -> String {
        self.0.user()
    }
    fn which(&self, _: &str) -> Option<std::path::PathBuf> {
        None
    }
    async fn sleep(&self, duration: std::time::Duration) {
        self.0.sleep(duration).await;
    }
    async fn run(
        &self,
        _: &tokio_util::sync::CancellationToken,
        command: crate::host::Command,
        _: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<crate::host::Output> {
        Err(crate::host::no_program(&command.program))
    }
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.0.read(path).await
    }
    async fn write(&self, path: &Path, _: &[u8], _: u32) -> Result<()> {
        Err(Error::new(ErrorKind::Denied, "host::write", format!("write {}", path.display()))
            .help("give your user the right to it, or choose another directory"))
    }
}
