//! The nouns, the boundary traits and the engine of CODE, the Claude-Optimized Deployment Engine: from a
//! request to a running, observed, reversible deployment.
//!
//! ```text
//! Request ──IntentParser──▶ Intent ──resolve──▶ Spec ──Scanners──▶ Reports
//!  words      (+ Notes)      what was   (code-    all      judge       │ gate: pure, fails closed
//!                            said        nlp)     fields               ▼
//!                                                              Checked<Spec>
//!                 recipes + Provider::observe + ::plan (read only)     │
//!                                                                      ▼
//!  Status ◀─fold── Events ◀─StateStore── Run ◀─execute── Checked<Plan> ◀─gate── Plan (+ its way back)
//! ```
//!
//! | where | what |
//! |---|---|
//! | [`request`] [`intent`] [`spec`] [`plan`] [`checks`] [`event`] [`status`] [`runs`] [`verify`] | the nouns, in the order of the flow |
//! | [`provider`] [`scanner`] [`parser`] [`store`] [`host`] | the boundary traits; their docs are their contract |
//! | [`recipe`] [`secret`] [`approver`] [`export`] [`event::Sink`] | the small traits beside them |
//! | [`engine`] | planner, scheduler, driver, and [`Engine`], the facade over all of it |
//! | [`guard`] | what stands between the engine and every provider |
//! | [`memory`] [`local`] | implementations of every trait in memory, and those of this machine |
//! | `conformance` | the rules of each boundary trait, as tests for any implementation (feature `conformance`) |
//! | [`graph`] [`expr`] [`id`] [`error`] [`redact`] [`layout`] [`diagnostic`] [`ctx`] | what everything uses |
//!
//! # Example
//!
//! An engine on the memory implementations plans and carries out a spec:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> code_core::Result<()> {
//! use std::{collections::BTreeSet, sync::Arc};
//! use code_core::{checks::{Approval, How}, engine::Proposal, event::Outcome, memory::*, spec::Spec, Engine};
//!
//! let world = World::new();
//! let engine = Engine::builder()
//!     .state_dir("/tmp/example")
//!     .host(Arc::new(MemoryHost::new()))
//!     .secrets(Arc::new(MemorySecrets::new()))
//!     .store(Arc::new(MemoryStore::new()))
//!     .provider(Arc::new(MemoryProvider::new(world.clone())))
//!     .recipe(Arc::new(MemoryRecipe))
//!     .build()?;
//!
//! let spec: Spec = serde_json::from_value(serde_json::json!({
//!     "version": 1, "application": "shop", "environment": "staging",
//!     "components": [{"name": "web", "kind": "web"}],
//! })).unwrap();
//! let planned = engine.plan(&Proposal::of(spec, Default::default())?, &BTreeSet::new()).await?;
//! assert_eq!(planned.plan.steps.len(), 2);
//! assert_eq!(planned.plan.way_back().len(), 2);
//!
//! let ctx = engine.ctx();
//! let (by, at) = (ctx.host().user(), ctx.host().now());
//! let approval = Approval { plan: planned.plan.id, by, at, how: How::Program };
//! let finished = engine.apply(&planned, approval, ctx.cancel()).await?;
//! assert_eq!(finished.outcome, Outcome::Succeeded);
//! assert_eq!(world.all().len(), 2);
//! # Ok(()) }
//! ```

pub mod approver;
pub mod checks;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod ctx;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod event;
pub mod export;
pub mod expr;
pub mod graph;
pub mod guard;
mod harmless;
pub mod host;
pub mod id;
pub mod intent;
pub mod kill;
pub mod layout;
pub mod local;
pub mod memory;
pub mod mutant;
pub mod parser;
pub mod plan;
pub mod provider;
pub mod recipe;
pub mod redact;
pub mod request;
pub mod runs;
pub mod scanner;
pub mod secret;
#[cfg(feature = "sim")]
pub mod sim;
pub mod spec;
pub mod status;
pub mod store;
pub mod verify;

pub use approver::Approver;
pub use ctx::{Ctx, Progress};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result, Retry};
pub use export::Exporter;
pub use expr::{Expr, Want};
pub use host::Host;
pub use id::{Address, Deployment, Digest, Key, RunId, StepId};
pub use layout::Layout;
pub use parser::IntentParser;
pub use provider::Provider;
pub use recipe::Recipe;
pub use redact::Redactor;
pub use scanner::Scanner;
pub use secret::{Secret, SecretRef, Secrets};
pub use store::StateStore;
