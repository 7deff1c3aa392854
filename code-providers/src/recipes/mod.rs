//! What a component is made of: from a spec to resources.
//!
//! ```text
//! Component ──Recipe──▶ Resources ──references──▶ edges of the plan
//!  web, api, worker      release, process…, route
//!  database              data, server, endpoint
//! ```
//!
//! A recipe is pure. The engine takes the first one that [makes](code_core::Recipe::makes) a component, so a
//! project's own recipes stand before those of [`local()`]. The recipes here are typed functions; `tera` (a
//! feature) reads a project's own from a template.

pub mod local;

pub use local::local;
