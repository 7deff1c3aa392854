//! CODE's nouns, boundary traits and engine. (The map comes with the engine.)

pub mod checks;
pub mod ctx;
pub mod diagnostic;
pub mod error;
pub mod event;
pub mod expr;
pub mod graph;
pub mod host;
pub mod id;
pub mod intent;
pub mod layout;
pub mod memory;
pub mod parser;
pub mod plan;
pub mod provider;
pub mod recipe;
pub mod redact;
pub mod request;
pub mod scanner;
pub mod secret;
pub mod spec;
pub mod status;
pub mod store;

pub use ctx::{Ctx, Progress};
pub use error::{Error, ErrorKind, Result, Retry};
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
