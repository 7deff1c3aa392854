//! Where things lie in a state directory: one place that says so.
//!
//! ```text
//! STATE/journal/shop@staging.log       what happened, one log a deployment
//!      /approvals/PLAN                 approvals by other people
//!      /secrets/                       encrypted secrets and their key
//!      /releases/DIGEST/               content-addressed snapshots of what runs
//!      /releases/DIGEST-source/        of what images are built from
//!      /data/shop@staging/db/          what must never be lost
//!      /terraform/shop@staging/        what Terraform knows of its roots: their states
//!      /cache/                         what can be made again at any time
//!      /logs/shop@staging/web.r2.0.log what deployed processes write
//!      /logs/shop@staging/run-7/       what each step of a run wrote
//!      /git/shop@staging.git           what was rolled out, as commits
//!      /keeper/                        the keeper's lock, socket, table of processes and routes, and events
//! ```

use std::path::{Path, PathBuf};

use crate::{Address, Deployment, Digest, RunId, StepId};

/// What the name of a release ends with whose files are as they were.
const SOURCE: &str = "-source";

/// The places in a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// The places in this state directory.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout(root.into())
    }

    /// The state directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// A deployment's name as one part of a path: `shop@staging`.
    pub fn slug(deployment: &Deployment) -> String {
        format!("{}@{}", deployment.application(), deployment.environment())
    }

    /// Where the journals lie.
    pub fn journals(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// The approval of a plan.
    pub fn approval(&self, plan: Digest) -> PathBuf {
        self.0.join("approvals").join(plan.to_string())
    }

    /// Where secrets lie, encrypted.
    pub fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    /// A release.
    pub fn release(&self, digest: Digest) -> PathBuf {
        self.0.join("releases").join(digest.to_string())
    }

    /// That a release was removed on purpose, and is not lost.
    pub fn pruned(&self, digest: Digest) -> PathBuf {
        self.0.join("releases").join(format!("{digest}.pruned"))
    }

    /// The files of a release as they are, where it is built elsewhere: in an image.
    pub fn release_source(&self, digest: Digest) -> PathBuf {
        self.0.join("releases").join(format!("{digest}{SOURCE}"))
    }

    /// The release whose files lie in a directory of this name.
    pub fn release_in(name: &str) -> Option<Digest> {
        name.strip_suffix(SOURCE).unwrap_or(name).parse().ok()
    }

    /// The data of a component.
    pub fn data(&self, deployment: &Deployment, component: &str) -> PathBuf {
        self.0.join("data").join(Layout::slug(deployment)).join(component)
    }

    /// The state of a Terraform root.
    pub fn terraform(&self, deployment: &Deployment, root: &Address) -> PathBuf {
        self.0.join("terraform").join(Layout::slug(deployment)).join(root.as_str())
    }

    /// What can be made again at any time, by the name of whoever makes it.
    pub fn cache(&self, of: &str) -> PathBuf {
        self.0.join("cache").join(of)
    }

    /// Where a deployment's processes and runs write their logs.
    pub fn logs(&self, deployment: &Deployment) -> PathBuf {
        self.0.join("logs").join(Layout::slug(deployment))
    }

    /// Where the steps of a run write their logs.
    pub fn run_logs(&self, deployment: &Deployment, run: RunId) -> PathBuf {
        self.logs(deployment).join(format!("run-{run}"))
    }

    /// The log of one attempt at one step.
    pub fn step_log(
        &self,
        deployment: &Deployment,
        run: RunId,
        step: StepId,
        undo: bool,
        attempt: u32,
    ) -> PathBuf {
        let undo = if undo { "-undo" } else { "" };
        self.run_logs(deployment, run).join(format!("step-{step}{undo}.{attempt}.log"))
    }

    /// Where the repositories lie to which deployments are exported.
    pub fn repositories(&self) -> PathBuf {
        self.0.join("git")
    }

    /// The keeper's own directory.
    pub fn keeper(&self) -> PathBuf {
        self.0.join("keeper")
    }
}
