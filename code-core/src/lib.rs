//! CODE's nouns, boundary traits and engine. (The map comes with the engine.)

pub mod ctx;
pub mod diagnostic;
pub mod error;
pub mod host;
pub mod id;
pub mod intent;
pub mod parser;
pub mod redact;
pub mod request;
pub mod secret;

pub use ctx::{Ctx, Progress};
pub use error::{Error, ErrorKind, Result, Retry};
pub use host::Host;
pub use id::{Address, Deployment, Digest, Key, RunId, StepId};
pub use redact::Redactor;
pub use secret::{Secret, SecretRef, Secrets};
