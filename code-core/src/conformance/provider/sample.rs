//! How the suite makes the resources of a provider that it knows nothing of.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::local::LocalHost;
use crate::provider::{Live, Provider, Resource};
use crate::{Address, Host, Result};

/// One resource's place in a case: every path and address in it is nobody else's.
#[derive(Clone, Debug)]
pub struct Scene {
    dir: PathBuf,
    nth: usize,
    address: Address,
}

impl Scene {
    pub(super) fn new(case: &Path, nth: usize) -> Result<Scene> {
        let address = Address::new("sample", &format!("part.{nth}"))?;
        Ok(Scene { dir: case.join(format!("part {nth}")), nth, address })
    }

    /// A directory of its own, absolute, with a space in its name; it is not made yet.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in that directory.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Which of a case's resources it is, counted from 0.
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// The resource's address.
    pub fn address(&self) -> Address {
        self.address.clone()
    }
}

type Makes = Arc<dyn Fn(&Scene) -> Resource + Send + Sync>;
type MakesMany = Arc<dyn Fn(&Scene) -> Vec<Resource> + Send + Sync>;
type Meddles<P> = Arc<dyn Fn(&P, &Scene, &Live) + Send + Sync>;
type Hides<P> = Arc<dyn Fn(&P, &Scene) + Send + Sync>;
type Outside<P> = Arc<dyn Fn(&P, &Scene) -> String + Send + Sync>;

/// Examples of what a provider can be asked for. A rule that needs one that is not here is listed as not
/// claimed; only the first is a must.
pub struct Sample<P> {
    pub(super) resource: Makes,
    pub(super) changed: Option<Makes>,
    pub(super) replaced: Option<Makes>,
    pub(super) mistakes: Option<MakesMany>,
    pub(super) disturb: Option<Meddles<P>>,
    pub(super) hide: Option<Hides<P>>,
    pub(super) outside: Option<Outside<P>>,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) host: Arc<dyn Host>,
    pub(super) patience: Duration,
    pub(super) stops: usize,
}

impl<P: Provider> Sample<P> {
    /// A sample of this resource: a good one, that does not exist yet. For one scene it is always the same.
    pub fn new(resource: impl Fn(&Scene) -> Resource + Send + Sync + 'static) -> Sample<P> {
        Sample {
            resource: Arc::new(resource),
            changed: None,
            replaced: None,
            mistakes: None,
            disturb: None,
            hide: None,
            outside: None,
            secrets: BTreeMap::new(),
            host: Arc::new(LocalHost::new()),
            patience: Duration::from_secs(120),
            stops: 6,
        }
    }

    /// The same resource with another value, which can be changed in place.
    #[must_use]
    pub fn changed(mut self, resource: impl Fn(&Scene) -> Resource + Send + Sync + 'static) -> Sample<P> {
        self.changed = Some(Arc::new(resource));
        self
    }

    /// The same resource with another value, which cannot be changed in place.
    #[must_use]
    pub fn replaced(mut self, resource: impl Fn(&Scene) -> Resource + Send + Sync + 'static) -> Sample<P> {
        self.replaced = Some(Arc::new(resource));
        self
    }

    /// Resources as people get them wrong. The suite has mistakes of its own: values that are missing, and
    /// values of another type.
    #[must_use]
    pub fn mistakes(mut self, make: impl Fn(&Scene) -> Vec<Resource> + Send + Sync + 'static) -> Sample<P> {
        self.mistakes = Some(Arc::new(make));
        self
    }

    /// How somebody else changes what exists, behind the provider's back. It may block.
    #[must_use]
    pub fn disturb(mut self, meddle: impl Fn(&P, &Scene, &Live) + Send + Sync + 'static) -> Sample<P> {
        self.disturb = Some(Arc::new(meddle));
        self
    }

    /// How it becomes impossible to look at a resource that exists. It may block.
    #[must_use]
    pub fn hide(mut self, hide: impl Fn(&P, &Scene) + Send + Sync + 'static) -> Sample<P> {
        self.hide = Some(Arc::new(hide));
        self
    }

    /// What is really there, as a text that differs when something was changed, also when it was changed to
    /// what it was before. By default: every file below the case's directory, with its content and its time.
    #[must_use]
    pub fn outside(mut self, tell: impl Fn(&P, &Scene) -> String + Send + Sync + 'static) -> Sample<P> {
        self.outside = Some(Arc::new(tell));
        self
    }

    /// A secret that exists beforehand. One that a resource names and that does not is the provider's to make.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Sample<P> {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The machine on which it works; this one by default.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> Sample<P> {
        self.host = host;
        self
    }

    /// How long a rule may take before it counts as broken; two minutes by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Sample<P> {
        self.patience = patience;
        self
    }

    /// At how many of its waits a call is cancelled and dropped, each with a resource of its own; 6 by default.
    #[must_use]
    pub fn stops(mut self, stops: usize) -> Sample<P> {
        self.stops = stops.max(1);
        self
    }
}

/// Clones share what they know.
impl<P> Clone for Sample<P> {
    fn clone(&self) -> Sample<P> {
        Sample {
            resource: Arc::clone(&self.resource),
            changed: self.changed.clone(),
            replaced: self.replaced.clone(),
            mistakes: self.mistakes.clone(),
            disturb: self.disturb.clone(),
            hide: self.hide.clone(),
            outside: self.outside.clone(),
            secrets: self.secrets.clone(),
            host: Arc::clone(&self.host),
            patience: self.patience,
            stops: self.stops,
        }
    }
}

impl<P> fmt::Debug for Sample<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("host", &self.host).finish_non_exhaustive()
    }
}
