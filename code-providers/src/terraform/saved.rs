//! Plans that were saved: made in a working copy, found again, and used again where that is proven to be the same.
//!
//! ```text
//! files, variables, providers, settings ──┐
//! state: its lineage and serial ──────────┴─ KEY ──▶ KEY.tfplan   what the tool saved
//!                                                    KEY.json     what it does, and what it was made from
//! again?   the same KEY  ∧  the same bytes, of the plan and of the state  ∧  steady (see `steady`)
//!          └─ else it is made anew: the tool reads what is real
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use code_core::provider::Action;
use code_core::{Digest, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::Variable;
use super::error;
use super::parse::{Planned, State};
use super::place::{private_dir, private_file};
use super::work::{KEPT, Work, is_root_file, prune};
use super::{render, steady};

/// A saved plan.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) planned: Planned,
    pub(super) name: PlanName,
}

/// What a change remembers of its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlanName {
    /// Of all that it was made from.
    pub(super) key: Digest,
    /// Of all that it does.
    pub(super) does: Digest,
}

/// What lies beside a saved plan, so that the tool need not be asked once more what it does.
#[derive(Debug, Serialize, Deserialize)]
struct Beside {
    /// Of the plan's own bytes.
    bytes: Digest,
    /// Of the state that it was made from. It is in no name: with a name alone, nobody can try values against it.
    state: Option<Digest>,
    /// Whether it holds as long as what it was made from.
    is_steady: bool,
    planned: Planned,
}

/// A plan to apply.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) file: PathBuf,
    /// What it does with each resource.
    pub(super) changes: Vec<(String, Action)>,
    /// Those that it makes and that have provisioners.
    pub(super) provisioned: BTreeSet<String>,
}

impl Work<'_> {
    /// A plan, used again where it still holds, or made and saved; `replace` names what is to be made anew although
    /// nothing of it changed.
    pub(super) async fn plan(&self, destroy: bool, replace: &[String]) -> Result<Saved> {
        let state = self.state().await?;
        let key = self.plan_key(state.as_ref(), destroy, replace);
        if let Some(saved) = self.again(key, state.as_ref()) {
            return Ok(saved);
        }
        private_dir(&self.plans)?;
        // Each is two files.
        prune(&self.plans, 2 * KEPT);
        let mut more: Vec<String> = replace.iter().map(|address| format!("-replace={address}")).collect();
        if destroy {
            more.push("-destroy".to_owned());
        }
        let variables = self.plans.join(format!("{key}.tfvars.json"));
        let plain = self.runner.root.variables.iter().filter_map(|(name, value)| match value {
            Variable::Plain(value) => Some((name.as_str(), value)),
            Variable::Secret(_) => None,
        });
        private_file(&variables, &render::variables(&plain.collect()))?;
        let file = self.plan_file(key);
        let planned = async {
            self.runner.plan(&file, &variables, &more).await?;
            self.runner.show(&file).await
        };
        let planned = planned.await;
        let _ = fs::remove_file(&variables);
        let planned = planned?;
        let undeclared = self.runner.root.variables.keys().find(|name| !planned.declared.contains(*name));
        if let Some(name) = undeclared {
            let declared: Vec<&str> = planned.declared.iter().map(String::as_str).collect();
            return Err(error::undeclared(name, &declared.join(", ")));
        }
        let bytes = fs::read(&file).map_err(|error| error::files(&file, error))?;
        let beside = Beside {
            bytes: Digest::of(&bytes),
            state: state.and_then(|state| state.digest),
            is_steady: planned.reads_state_only && self.is_steady(),
            planned,
        };
        private_file(&file.with_extension("json"), &serde_json::json!(beside).to_string())?;
        Ok(Saved { name: PlanName { key, does: beside.planned.digest }, planned: beside.planned })
    }

    /// The plan of this key, where it is here and certainly still what would be planned.
    fn again(&self, key: Digest, state: Option<&State>) -> Option<Saved> {
        let beside = self.beside(key)?;
        let holds =
            beside.is_steady && beside.state == state.and_then(|state| state.digest) && !self.has_secret();
        let name = PlanName { key, does: beside.planned.digest };
        (holds && !self.is_told_by_environment()).then_some(Saved { name, planned: beside.planned })
    }

    /// The saved plan of this name, where it is here and nothing that it was made from has changed since.
    pub(super) async fn saved(
        &self,
        name: PlanName,
        destroy: bool,
        replace: &[String],
    ) -> Result<Option<Ready>> {
        let state = self.state().await?;
        let same = self.plan_key(state.as_ref(), destroy, replace) == name.key;
        Ok(if same && !self.has_secret() { self.saved_as(name) } else { None })
    }

    /// The plan that was saved under this name, byte by byte.
    pub(super) fn saved_as(&self, name: PlanName) -> Option<Ready> {
        let planned = self.beside(name.key)?.planned;
        let changes = planned.changes.iter().map(|one| (one.address.clone(), one.action)).collect();
        let provisioned = planned.made_with_provisioners();
        (planned.digest == name.does).then_some(Ready {
            file: self.plan_file(name.key),
            changes,
            provisioned,
        })
    }

    /// Removes a plan that was applied: it fits no state any more.
    pub(super) fn forget_plan(&self, file: &Path) {
        let _ = fs::remove_file(file);
        let _ = fs::remove_file(file.with_extension("json"));
    }

    /// What lies beside the plan of a key, where both are whole.
    fn beside(&self, key: Digest) -> Option<Beside> {
        let file = self.plan_file(key);
        let beside: Beside = serde_json::from_slice(&fs::read(file.with_extension("json")).ok()?).ok()?;
        let bytes = Digest::of(&fs::read(&file).ok()?);
        (beside.bytes == bytes).then_some(beside)
    }

    fn plan_file(&self, key: Digest) -> PathBuf {
        self.plans.join(format!("{key}.tfplan"))
    }

    fn plan_key(&self, state: Option<&State>, destroy: bool, replace: &[String]) -> Digest {
        let state = state.map(|state| (&state.lineage, state.serial));
        let plain: Vec<(&String, Option<&Value>)> = self
            .runner
            .root
            .variables
            .iter()
            .map(|(name, value)| match value {
                Variable::Plain(value) => (name, Some(value)),
                Variable::Secret(_) => (name, None),
            })
            .collect();
        Digest::of_json(&(self.key, plain, destroy, replace, state))
    }

    /// A secret's value is no part of a key, so that nobody can try values against it: whether it changed is not known.
    fn has_secret(&self) -> bool {
        self.runner.root.variables.values().any(|value| matches!(value, Variable::Secret(_)))
    }

    /// Whether variables of this program's environment, that are in no key, may say what is planned.
    fn is_told_by_environment(&self) -> bool {
        self.runner.settings.hand_on.iter().any(|name| name.starts_with("TF_"))
    }

    /// Whether all files of the root and of its modules are about nothing but themselves.
    fn is_steady(&self) -> bool {
        let mut left = vec![self.runner.dir.clone()];
        let mut levels = self.runner.root.path.components().count();
        let mut top = self.runner.dir.as_path();
        // Modules beside the root may be used by it.
        while levels > 0 {
            top = top.parent().unwrap_or(top);
            levels -= 1;
        }
        if top != self.runner.dir {
            left.push(top.to_owned());
        }
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    // Providers are programs; what they do, `steady` knows by their names.
                    left.extend((name != "providers").then_some(path));
                } else if is_root_file(&name) {
                    let text = fs::read(&path).unwrap_or_default();
                    if !steady::is_steady(&String::from_utf8_lossy(&text)) {
                        return false;
                    }
                }
            }
        }
        true
    }
}
