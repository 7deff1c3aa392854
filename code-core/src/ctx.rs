//! What the engine lends to one call of a provider, scanner or parser.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{Deployment, Digest, Error, ErrorKind, Host, Key, Redactor, Result, Secret, SecretRef, Secrets};
use crate::{harmless, redact};

/// The longest line of a log, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// The surroundings of one call: its key, its machine, its secrets, and how to say how far it is.
///
/// Arguments are what the caller intends; a `Ctx` is what the engine lends. It is cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    key: Key,
    host: Arc<dyn Host>,
    secrets: Arc<dyn Secrets>,
    /// The secrets that this step names; `None` lends all of them (outside of a run).
    allowed: Option<Arc<BTreeSet<SecretRef>>>,
    redactor: Redactor,
    cancel: CancellationToken,
    deadline: Option<Timestamp>,
    state_dir: Arc<Path>,
    deployment: Option<Arc<Deployment>>,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// A short sentence on what is being done or waited for.
    Said(String),
    /// A line that a tool wrote: it goes to the step's log file.
    Line(String),
    /// So much of so much, in a unit (`bytes`, `crates`).
    Part {
        /// How much is done.
        done: u64,
        /// How much there is.
        total: u64,
        /// Of what.
        unit: String,
    },
}

impl Ctx {
    /// Surroundings for calls outside of a run: reads, health checks, tests.
    pub fn new(host: Arc<dyn Host>, secrets: Arc<dyn Secrets>, state_dir: impl Into<PathBuf>) -> Ctx {
        Ctx {
            key: Key(Digest::ZERO),
            host,
            secrets,
            allowed: None,
            redactor: Redactor::default(),
            cancel: CancellationToken::new(),
            deadline: None,
            state_dir: state_dir.into().into(),
            deployment: None,
            progress: Arc::new(|_| {}),
        }
    }

    /// For the step with this key, which names these secrets.
    #[must_use]
    pub fn for_step(mut self, key: Key, secrets: BTreeSet<SecretRef>) -> Ctx {
        self.key = key;
        self.allowed = Some(Arc::new(secrets));
        self
    }

    /// For a resource of this deployment: an address is unique only within one.
    #[must_use]
    pub fn for_deployment(mut self, deployment: &Deployment) -> Ctx {
        self.deployment = Some(Arc::new(deployment.clone()));
        self
    }

    /// On another machine, or on the same one seen in another way.
    #[must_use]
    pub(crate) fn with_host(mut self, host: Arc<dyn Host>) -> Ctx {
        self.host = host;
        self
    }

    /// With a token whose cancellation asks the call to end.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Ctx {
        self.cancel = cancel;
        self
    }

    /// With a time by which the call should be done.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Timestamp) -> Ctx {
        self.deadline = Some(deadline);
        self
    }

    /// With somewhere for progress to go.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Fn(Progress) + Send + Sync>) -> Ctx {
        self.progress = progress;
        self
    }

    /// With the redactor that learns each secret as it is lent.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Ctx {
        self.redactor = redactor;
        self
    }

    /// What makes this call the same call through retries and resumes.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The machine.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// The machine, to keep.
    pub fn host_arc(&self) -> Arc<dyn Host> {
        Arc::clone(&self.host)
    }

    /// Where providers may keep what belongs to this state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The deployment whose resource this call is about; the engine always names it.
    pub fn deployment(&self) -> Option<&Deployment> {
        self.deployment.as_deref()
    }

    /// Cancelled when the call should end.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// How long the call may still take; `None` where nobody said.
    pub fn left(&self) -> Option<Duration> {
        let left = self.deadline?.duration_since(self.host.now());
        Some(Duration::try_from(left).unwrap_or_default())
    }

    /// Knows the secrets that were lent, and takes them out of text.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Says how far the call is.
    pub fn progress(&self, progress: Progress) {
        (self.progress)(match progress {
            Progress::Said(text) => Progress::Said(self.harmless(&text)),
            // A log holds the tool's own bytes; only a line without an end is cut.
            Progress::Line(text) => Progress::Line(self.redactor.redact(harmless::cut(&text, LONGEST_LINE))),
            Progress::Part { done, total, unit } => {
                Progress::Part { done, total, unit: self.harmless(&unit) }
            }
        });
    }

    /// Says in a short sentence what is being done or waited for.
    pub fn say(&self, text: impl Into<String>) {
        self.progress(Progress::Said(text.into()));
    }

    /// The value of a secret that this step names.
    ///
    /// # Errors
    /// `secret::not-lent` where the step does not name it, `secret::unknown` where there is none,
    /// `secret::too-short` where it could not be taken out of texts.
    pub async fn secret(&self, name: &SecretRef) -> Result<Secret> {
        self.check_lent(name)?;
        match self.secrets.get(name).await? {
            Some(secret) => self.known(name, secret),
            None => {
                Err(Error::new(ErrorKind::NotFound, "secret::unknown", format!("find the secret `{name}`"))
                    .help("deploy again: a secret that the deployment generates is made when it is missing"))
            }
        }
    }

    /// The value of a secret that this step names, made by `make` where there is none yet.
    ///
    /// # Errors
    /// `secret::not-lent` where the step does not name it, `secret::too-short`.
    pub async fn secret_or_make(
        &self,
        name: &SecretRef,
        make: impl FnOnce() -> Result<Secret> + Send,
    ) -> Result<Secret> {
        self.check_lent(name)?;
        if let Some(secret) = self.secrets.get(name).await? {
            return self.known(name, secret);
        }
        let secret = self.known(name, make()?)?;
        self.secrets.put(name, secret.clone()).await?;
        Ok(secret)
    }

    /// Stores a secret output under a name of this step, and gives the reference to hand on.
    ///
    /// # Errors
    /// `secret::not-lent` where the step does not name it, `secret::too-short`.
    pub async fn store_secret(&self, name: &SecretRef, value: Secret) -> Result<SecretRef> {
        self.check_lent(name)?;
        let value = self.known(name, value)?;
        self.secrets.put(name, value).await?;
        Ok(name.clone())
    }

    /// Forgets a secret of this step.
    ///
    /// # Errors
    /// `secret::not-lent` where the step does not name it.
    pub async fn forget_secret(&self, name: &SecretRef) -> Result<()> {
        self.check_lent(name)?;
        self.secrets.delete(name).await
    }

    /// Knows these secrets before anybody can write one into an answer. One that cannot be had cannot leak;
    /// whoever asks for it is told why.
    pub(crate) async fn learn(&self, names: &BTreeSet<SecretRef>) {
        for name in names {
            if let Ok(Some(secret)) = self.secrets.get(name).await {
                self.redactor.learn(&secret);
            }
        }
    }

    /// A text of a tool, fit to be shown: without secrets, control sequences and hidden marks, and of a length
    /// that a person reads.
    pub(crate) fn harmless(&self, text: &str) -> String {
        self.redactor.redact(&harmless::harmless(text))
    }

    /// The secret, which the redactor knows from now on.
    fn known(&self, name: &SecretRef, secret: Secret) -> Result<Secret> {
        if secret.expose().len() < redact::SHORTEST {
            let message = format!("use the secret `{name}`: it is shorter than {} bytes", redact::SHORTEST);
            return Err(Error::new(ErrorKind::Invalid, "secret::too-short", message)
                .help("choose a longer one: what is so short cannot be told from other words in a log"));
        }
        self.redactor.learn(&secret);
        Ok(secret)
    }

    fn check_lent(&self, name: &SecretRef) -> Result<()> {
        match &self.allowed {
            Some(allowed) if !allowed.contains(name) => Err(Error::new(
                ErrorKind::Denied,
                "secret::not-lent",
                format!("lend the secret `{name}` to a step that does not name it"),
            )
            .help("a resource must reference a secret with `Expr::Secret` to be given its value")),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("key", &self.key).field("host", &self.host).finish_non_exhaustive()
    }
}
