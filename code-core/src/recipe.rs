//! Recipes: what a component is made of on a platform.

use std::fmt;
use std::path::Path;

use crate::provider::Resource;
use crate::spec::{Component, Spec};
use crate::status::Inventory;
use crate::{Address, Result};

/// Turns a component into resources.
///
/// # Behavior
/// - Pure: the same surroundings give the same resources.
/// - A component that others depend on makes a resource at [`At::endpoint`] whose outputs they reference: `url`,
///   and where it applies `host` and `port`.
/// - Data and its server are separate resources, and data is [retained](Resource::retained).
pub trait Recipe: fmt::Debug + Send + Sync + 'static {
    /// What to call it: `local.web`.
    fn name(&self) -> &str;
    /// Whether it makes this component on the spec's platform.
    fn makes(&self, spec: &Spec, component: &Component) -> bool;
    /// The resources.
    ///
    /// # Errors
    /// What the component asks for and the platform cannot give.
    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>>;
}

/// The surroundings of a component.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The whole spec.
    pub spec: &'a Spec,
    /// The component.
    pub component: &'a Component,
    /// The revision that is being planned.
    pub revision: u64,
    /// What exists, as last recorded.
    pub inventory: &'a Inventory,
    /// The state directory.
    pub state_dir: &'a Path,
}

impl At<'_> {
    /// The address of a resource of this component.
    ///
    /// # Errors
    /// `id::address` where `resource` is none.
    pub fn address(&self, resource: &str) -> Result<Address> {
        Address::new(&self.component.name, resource)
    }

    /// The address whose outputs others reference to use a component.
    ///
    /// # Errors
    /// `id::address` where `component` is no name.
    pub fn endpoint(component: &str) -> Result<Address> {
        Address::new(component, "endpoint")
    }

    /// A name for a secret of this component: unique among all deployments of a state directory.
    pub fn secret(&self, name: &str) -> String {
        format!("{}/{}/{}/{name}", self.spec.application, self.spec.environment, self.component.name)
    }
}
