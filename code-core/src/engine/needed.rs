//! What is still needed of what was made, for whoever cleans up.
//!
//! Something is needed where anything that is recorded names it: the last revisions, what exists, and a run that
//! has not ended. What is named is compared as text, so that a kind of resource that nobody thought of counts too.

use crate::engine::Engine;
use crate::engine::run::LEASE;
use crate::{Error, ErrorKind, Result};

/// Everything that is still needed, by the names in it.
#[derive(Clone, Debug, Default)]
pub struct Needed(Vec<String>);

impl Needed {
    /// Whether anything that is needed names this: a digest, a path.
    pub fn names(&self, word: &str) -> bool {
        self.0.iter().any(|text| text.contains(word))
    }
}

impl Engine {
    /// What is needed by the last `revisions` revisions of each deployment, by what exists, and by runs that
    /// have not ended.
    ///
    /// # Errors
    /// Those of the store: where one deployment cannot be read, nothing is known to be needless.
    pub async fn needed(&self, revisions: usize) -> Result<Needed> {
        let mut needed = Vec::new();
        for deployment in self.deployments().await? {
            let state = self.state(&deployment).await?;
            let specs = state.revisions.iter().rev().filter_map(|revision| revision.spec.as_ref());
            for spec in specs.take(revisions) {
                needed.push(text(spec)?);
            }
            // What runs may be older than all of them: a rollback that failed, a deployment taken down since.
            needed.push(text(&state.current())?);
            needed.push(text(&state.inventory)?);
            needed.push(text(&state.open_run().map(|run| &run.plan))?);
        }
        Ok(Needed(needed))
    }

    /// Does something while nobody can change any deployment that there is.
    ///
    /// # Errors
    /// `store::locked` where one is being changed, those of the store, and those of `work`.
    pub async fn holding<T>(&self, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let ctx = self.ctx();
        let holder = self.parts.holder();
        let mut leases = Vec::new();
        let mut held = Ok(());
        for deployment in self.deployments().await? {
            match self.parts.store.lease(&ctx, &deployment.to_string(), &holder, LEASE).await {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    held = Err(error);
                    break;
                }
            }
        }
        let done = match held {
            Ok(()) => work().await,
            Err(error) => Err(error),
        };
        for lease in leases {
            let released = self.parts.store.release(&ctx, lease).await;
            if done.is_ok() {
                released?;
            }
        }
        done
    }
}

/// As text; where there is none, nothing may be taken for needless.
fn text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Bug, "journal::encode", "read what is recorded as text")
            .help("please report it; nothing was removed")
            .because(error)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::Digest;
    use crate::checks::{Approval, How};
    use crate::engine::Proposal;
    use crate::intent::Kind;
    use crate::memory::{MemoryHost, MemoryProvider, MemoryRecipe, MemorySecrets, MemoryStore, World};
    use crate::spec::{Component, Origins, Spec};

    async fn deploy(engine: &Engine, release: Digest) {
        let web = Component { release: Some(release), ..Component::new("web", Kind::Web) };
        let spec = Spec { components: vec![web], ..Spec::new("shop", "staging") };
        let proposal = Proposal::of(spec, Origins::new()).unwrap();
        let planned = engine.plan(&proposal, &BTreeSet::new()).await.unwrap();
        let at = engine.ctx().host().now();
        let approval = Approval { plan: planned.plan.id, by: "me".into(), at, how: How::Option };
        engine.apply(&planned, approval, engine.ctx().cancel()).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_revisions_are_needed_and_nothing_moves_while_they_are_counted() {
        let engine = Engine::builder()
            .state_dir("/nonexistent/state")
            .host(Arc::new(MemoryHost::new()))
            .secrets(Arc::new(MemorySecrets::new()))
            .store(Arc::new(MemoryStore::new()))
            .provider(Arc::new(MemoryProvider::new(World::new())))
            .recipe(Arc::new(MemoryRecipe))
            .build()
            .unwrap();
        let releases: Vec<Digest> = ["one", "two", "three"].map(|text| Digest::of(text.as_bytes())).into();
        for release in &releases {
            deploy(&engine, *release).await;
        }
        let needed = |revisions| {
            let (engine, releases) = (&engine, &releases);
            async move {
                let needed = engine.needed(revisions).await.unwrap();
                releases.iter().map(|release| needed.names(&release.to_string())).collect::<Vec<_>>()
            }
        };
        assert_eq!(needed(10).await, [true, true, true]);
        assert_eq!(needed(2).await, [false, true, true]);
        assert_eq!(needed(0).await, [false, false, true], "what runs is needed whatever is said");

        // While it is held, nobody else can hold it; and it is let go of, also after an error.
        let inner = engine.holding(async || engine.holding(async || Ok(())).await).await;
        assert_eq!(inner.unwrap_err().code(), "store::locked");
        let failed = engine.holding(async || Err::<(), _>(Error::new(ErrorKind::Bug, "host::read", "look")));
        assert_eq!(failed.await.unwrap_err().code(), "host::read");
        engine.holding(async || Ok(())).await.unwrap();
    }
}
