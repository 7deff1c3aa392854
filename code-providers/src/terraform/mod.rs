//! Terraform and OpenTofu: roots of the user's own, planned, applied and observed by the user's own program.
//!
//! ```text
//! release ──dir──▶ terraform.root ──outputs──▶ apps, other roots
//!  the root's        plan ▶ saved plan, shown as effects ▶ gate, approval ▶ apply, exactly that ▶ looked at again
//!  files, put aside
//! ```
//!
//! A `terraform.root` takes:
//!
//! | name | what |
//! |---|---|
//! | `tool` | `opentofu` or `terraform` |
//! | `source`, `digest` | the directory of its files, and what they are (see [`source_digest`](crate::source_digest)) |
//! | `release` | where the same files were put aside: they are read from there once they are |
//! | `path` | where in them the root is; the directory itself by default |
//! | `workspace` | `default` by default |
//! | `var.NAME` | a variable: a value, or a secret |
//! | `env.NAME` | a variable of the tool's environment |
//! | `secret_output.NAME` | the secret as which a sensitive output is kept; without one it is not handed on |
//!
//! Its outputs are the root's own.
//!
//! - The state lies in the state directory where the root has no `backend` of its own, and where that says else.
//! - Looking is planning: it reads what is real, takes no lock and writes no state. What it writes is in
//!   `STATE/cache/terraform`, and can be deleted at any time.
//! - What is applied is the saved plan that was approved, or one that does the very same.
//! - A state is believed only after the tool has ended by itself. What has provisioners and was cut off is made anew.
//! - Secrets go to the tool in its environment, other variables in a file of its user's own, none in arguments. The
//!   tools keep sensitive values in plain in states and plans: the directories are their user's only.
//! - `docs/terraform.md` says what of this was run for real.

mod apply;
mod config;
mod error;
mod hcl;
mod look;
mod modules;
mod parse;
mod place;
mod plan;
mod render;
mod saved;
mod steady;
mod tool;
mod unlock;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use code_core::provider::{
    Capabilities, Change, Class, Failed, Health, Live, Observed, Provider, ProviderInfo, Resource,
};
use code_core::{Address, Ctx, Result};

pub use config::{Flavour, Settings};
pub use work::has_root;

use saved::Saved;
use tool::Tool;

/// The kind of a root.
pub const ROOT: &str = "terraform.root";

/// Plans, applies, observes and destroys roots.
#[derive(Debug)]
pub struct Terraform {
    info: ProviderInfo,
    settings: Settings,
    /// The tools as they were found last, by their programs.
    tools: Mutex<BTreeMap<PathBuf, Tool>>,
    /// The plan of the last look at each root, for the `plan` that follows it.
    looked: Mutex<BTreeMap<Address, (Resource, Observed, Saved)>>,
}

impl Default for Terraform {
    fn default() -> Terraform {
        Terraform::new(Settings::default())
    }
}

impl Terraform {
    /// A provider with these settings.
    pub fn new(settings: Settings) -> Terraform {
        Terraform {
            info: ProviderInfo {
                name: "terraform".to_owned(),
                summary: "roots of OpenTofu and Terraform".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            settings,
            tools: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// The tool of this flavour; its version is asked for once, or read where it was kept.
    async fn tool(&self, ctx: &Ctx, flavour: Flavour) -> Result<Tool> {
        let program = ctx.host().which(flavour.program()).ok_or_else(|| error::missing(flavour))?;
        let known = self.tools.lock().unwrap_or_else(PoisonError::into_inner).get(&program).cloned();
        if let Some(tool) = known {
            return Ok(tool);
        }
        let tool = Tool::again(ctx, flavour, program.clone()).await?;
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).insert(program, tool.clone());
        Ok(tool)
    }

    /// Keeps what a look has planned: whoever looks plans next, and planning is what takes long.
    fn remember(&self, resource: &Resource, observed: &Observed, saved: Saved) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.insert(resource.address.clone(), (resource.clone(), observed.clone(), saved));
    }

    /// What the look that saw this planned; each look is good for one plan, so that nothing old is used.
    fn take(&self, resource: &Resource, observed: &Observed) -> Option<Saved> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, seen, saved) = looked.remove(&resource.address)?;
        (of == *resource && seen == *observed).then_some(saved)
    }
}

#[async_trait]
impl Provider for Terraform {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let kinds = vec![ROOT];
        Capabilities { kinds, update: true, replace: false, concurrency: 4, class: Class::Mixed }
    }

    async fn health(&self, ctx: &Ctx) -> Result<Health> {
        let (mut shown, mut broken) = (Vec::new(), None);
        for flavour in Flavour::ALL.into_iter().filter(|tool| ctx.host().which(tool.program()).is_some()) {
            match Tool::find(ctx, flavour).await {
                Ok(tool) => shown.push(tool.shown()),
                Err(error) => broken = Some(error),
            }
        }
        Ok(match broken {
            _ if !shown.is_empty() => Health::Ready { version: shown.join(", ") },
            Some(error) => Health::Broken {
                why: error.message().to_owned(),
                help: error.help_text().unwrap_or("install it anew").to_owned(),
            },
            None => Health::Missing {
                what: "neither `tofu` nor `terraform`".to_owned(),
                help: error::install(Flavour::OpenTofu),
            },
        })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, _last: Option<&Live>) -> Result<Observed> {
        look::observe(self, ctx, resource).await
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        plan::plan(self, ctx, resource, live).await
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        apply::apply(self, ctx, change).await
    }
}
