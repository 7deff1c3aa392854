//! What a component is made of: from a spec to resources.
//!
//! ```text
//! Component ──Recipe──▶ Resources ──references──▶ edges of the plan
//!  web, api, worker      release, process… or container…, route
//!  database              data, server, endpoint
//!  any, by a root         release, endpoint (a `terraform.root`)
//! ```
//!
//! A recipe is pure. The engine takes the first one that [makes](code_core::Recipe::makes) a component, so a
//! project's own recipes stand before those of [`local()`]. The recipes here are typed functions; with the
//! feature `tera`, a project's own can be templates (`TeraRecipe`).

#[cfg(feature = "container")]
pub mod docker;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod limits;
pub mod local;
mod refer;
mod replicas;
#[cfg(test)]
mod samples;
#[cfg(feature = "tera")]
mod tera;
#[cfg(feature = "terraform")]
mod terraform;
mod uses;

#[cfg(feature = "container")]
pub use docker::docker;
#[cfg(feature = "kubernetes")]
pub use kubernetes::kubernetes;
pub use local::local;
#[cfg(feature = "tera")]
pub use tera::TeraRecipe;
#[cfg(feature = "terraform")]
pub use terraform::terraform;
