#![doc = include_str!("../README.md")]
//!
//! # The map
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
