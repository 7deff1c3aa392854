//! Every revision that was rolled out, as a commit: what GitOps looks at, and a way to deploy it again.
//!
//! ```text
//!               render (pure)                     commit: one `git fast-import`
//! Export ──▶ files + message ──┬─▶ STATE/git/shop@staging.git     by default: bare, this deployment's own
//!                              ├─▶ DIR, a work tree               commit, and the files beside it
//!                              └─▶ URL, or a bare DIR             fetch, commit on its head, push
//!
//! REV ──read──▶ the spec at a commit ──▶ a proposal like any other
//! ```
//!
//! All of it by the user's own `git`, without its hooks, pagers and prompts. A commit is made in one process
//! that either updates the branch at its end or leaves nothing of it, so a kill in the middle leaves no half
//! commit. Files of others are never touched: only those of [`FILES`] in the deployment's own folder.
//!
//! What is absent: nothing here is ever taken as a wish to delete. A commit without a spec, an empty
//! repository and a damaged one are errors of their own.

mod commit;
mod error;
mod place;
mod read;
mod remote;
mod render;
#[cfg(test)]
mod tests;
mod tool;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use code_core::export::{Commit, Export, Exporter};
use code_core::provider::{Health, ProviderInfo};
use code_core::{Ctx, Deployment, Host, Layout, Result};

pub use place::Place;
pub use read::SpecAt;
pub use render::FILES;

use place::Kind;
use tool::Git;

/// Keeps what was rolled out as commits.
#[derive(Clone, Debug)]
pub struct GitExporter {
    info: ProviderInfo,
    everywhere: Place,
    environments: BTreeMap<String, Place>,
    project: Option<PathBuf>,
}

impl Default for GitExporter {
    fn default() -> GitExporter {
        GitExporter::new()
    }
}

impl GitExporter {
    /// To a repository of each deployment's own, in the state directory.
    pub fn new() -> GitExporter {
        GitExporter {
            info: ProviderInfo {
                name: "git".into(),
                summary: "revisions as commits".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            everywhere: Place::Own,
            environments: BTreeMap::new(),
            project: None,
        }
    }

    /// To this place.
    #[must_use]
    pub fn to(mut self, place: Place) -> GitExporter {
        self.everywhere = place;
        self
    }

    /// To this place for one environment.
    #[must_use]
    pub fn to_for(mut self, environment: &str, place: Place) -> GitExporter {
        self.environments.insert(environment.to_owned(), place);
        self
    }

    /// Never into this project: an export there would change what the next deployment deploys.
    #[must_use]
    pub fn apart_from(mut self, project: impl Into<PathBuf>) -> GitExporter {
        self.project = Some(project.into());
        self
    }

    /// Where a deployment is exported to.
    pub fn place(&self, deployment: &Deployment) -> &Place {
        self.environments.get(deployment.environment()).unwrap_or(&self.everywhere)
    }

    /// The spec of a deployment at a commit, a branch, a tag or anything else that git takes for one.
    ///
    /// # Errors
    /// `git::missing`; `git::empty`, `git::revision`, `git::no-spec` where it is not there; `git::broken` where
    /// the repository is damaged or not whole; `git::unreachable`.
    pub async fn read(&self, ctx: &Ctx, deployment: &Deployment, revision: &str) -> Result<SpecAt> {
        read::read(ctx, self.place(deployment), deployment, revision).await
    }
}

#[async_trait]
impl Exporter for GitExporter {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        if ctx.host().which(tool::PROGRAM).is_none() {
            return Ok(Health::Missing { what: "git".into(), help: error::INSTALL.into() });
        }
        let version = Git::anywhere(ctx).text(&["--version"]).await?;
        Ok(Health::Ready { version: version.trim().trim_start_matches("git version ").to_owned() })
    }

    async fn export(&self, ctx: &Ctx, export: &Export) -> Result<Commit> {
        let place = self.place(&export.deployment);
        if let Some(project) = &self.project {
            place.check(project, Some(&export.deployment))?;
        }
        let draft = render::draft(export, &tool::machine(ctx).await)?;
        let id = match place.kind()? {
            Kind::Own => commit::own(ctx, &own(ctx, &export.deployment), &draft).await?,
            Kind::Tree(dir) => return tree::commit(ctx, &dir, &draft).await,
            Kind::Remote(address) => {
                remote::commit(ctx, &address, &cache(ctx, &export.deployment, &address), &draft).await?
            }
        };
        let shown = match place {
            Place::Own => own(ctx, &export.deployment).display().to_string(),
            other => other.to_string(),
        };
        Ok(Commit { id, place: shown, path: draft.folder })
    }
}

/// Whether git is on this machine.
///
/// # Errors
/// `git::missing`, with how to get it.
pub fn find(host: &dyn Host) -> Result<()> {
    host.which(tool::PROGRAM).map(drop).ok_or_else(error::missing)
}

/// The repository of a deployment's own.
fn own(ctx: &Ctx, deployment: &Deployment) -> PathBuf {
    let repositories = Layout::new(ctx.state_dir()).repositories();
    repositories.join(format!("{}.git", Layout::slug(deployment)))
}

/// Where a deployment keeps its copy of somebody else's repository; it may be thrown away at any time.
fn cache(ctx: &Ctx, deployment: &Deployment, address: &str) -> PathBuf {
    let repositories = Layout::new(ctx.state_dir()).repositories();
    let of = code_core::Digest::of(address.as_bytes()).short();
    repositories.join(format!("{}.{of}.git", Layout::slug(deployment)))
}
