//! Secrets: values that are named, lent to one step, and never shown.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Result;

/// The name of a secret: what plans, journals and outputs hold instead of its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretRef(pub String);

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret's value. It has no `Debug`, no `Display` and no `Serialize`, and is wiped when dropped.
///
/// ```compile_fail
/// let secret = code_core::Secret::new("hunter2");
/// println!("{secret:?}");
/// ```
/// ```compile_fail
/// let secret = code_core::Secret::new("hunter2");
/// serde_json::to_string(&secret).unwrap();
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret of this value.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(value.into()))
    }

    /// The value, for the one place that hands it to a tool.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Where secrets are kept.
///
/// # Behavior
/// - `get` gives what `put` stored last, also in another process.
/// - `put` is durable when it returns, and the value never rests unencrypted.
/// - `delete` of a name that is not there succeeds.
/// - No error, log or `Debug` text holds a value.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync + 'static {
    /// The value of a secret, or `None` where no such name is stored.
    async fn get(&self, name: &SecretRef) -> Result<Option<Secret>>;
    /// Stores a value under a name, in place of an earlier one.
    async fn put(&self, name: &SecretRef, value: Secret) -> Result<()>;
    /// Forgets a name.
    async fn delete(&self, name: &SecretRef) -> Result<()>;
}
