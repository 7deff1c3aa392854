//! Secrets that live as long as the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::{Result, Secret, SecretRef, Secrets};

/// Keeps secrets in memory, where they are wiped when dropped. Nothing rests anywhere.
#[derive(Default)]
pub struct MemorySecrets(Mutex<BTreeMap<SecretRef, Secret>>);

impl MemorySecrets {
    /// No secrets yet.
    pub fn new() -> MemorySecrets {
        MemorySecrets::default()
    }

    /// With a secret.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> MemorySecrets {
        lock(&self.0).insert(SecretRef(name.to_owned()), Secret::new(value));
        self
    }

    /// The names that are stored.
    pub fn names(&self) -> Vec<SecretRef> {
        lock(&self.0).keys().cloned().collect()
    }
}

/// Names only.
impl fmt::Debug for MemorySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[async_trait]
impl Secrets for MemorySecrets {
    async fn get(&self, name: &SecretRef) -> Result<Option<Secret>> {
        Ok(lock(&self.0).get(name).cloned())
    }

    async fn put(&self, name: &SecretRef, value: Secret) -> Result<()> {
        lock(&self.0).insert(name.clone(), value);
        Ok(())
    }

    async fn delete(&self, name: &SecretRef) -> Result<()> {
        lock(&self.0).remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_kept_and_never_shown() {
        let secrets = MemorySecrets::new().with("db/password", "hunter2");
        let name = SecretRef("db/password".into());
        assert_eq!(secrets.get(&name).await.unwrap().unwrap().expose(), "hunter2");
        assert!(!format!("{secrets:?}").contains("hunter2"));
        secrets.delete(&name).await.unwrap();
        secrets.delete(&name).await.unwrap();
        assert!(secrets.get(&name).await.unwrap().is_none());
    }
}
