//! Hands what was rolled out to the exporter: after a run that succeeded, and again where that failed before.
//!
//! What is owed follows from the journal: each revision that was rolled out and has no `Exported`. So nothing
//! is forgotten when the engine dies between the end of a run and its export, or in the middle of one.

use tokio_util::sync::CancellationToken;

use crate::engine::redacted::without_secrets;
use crate::engine::{Engine, Proposal};
use crate::event::Body;
use crate::export::{Commit, Export, exports};
use crate::spec::Spec;
use crate::status::State;
use crate::store::Lease;
use crate::{Ctx, Deployment, Error, ErrorKind, Result, kill};

/// How the acceptance of a revision that was marked bad begins; its number follows.
const BAD_REVISION: &str = "bad-revision:";

impl Engine {
    /// Exports what is owed of a deployment, oldest first; gives what was exported. Nothing owed is no error.
    ///
    /// # Errors
    /// `store::locked` where somebody changes the deployment, and what keeps the first one from being exported.
    pub async fn push(
        &self,
        deployment: &Deployment,
        cancel: &CancellationToken,
    ) -> Result<Vec<(u64, Commit)>> {
        let before = self.state(deployment).await?;
        if self.parts.exporter.is_none() || before.owed().next().is_none() {
            return Ok(Vec::new());
        }
        let (ctx, lease) = self.lease(deployment, &self.parts.holder(), cancel).await?;
        let ctx = ctx.with_cancel(cancel.clone());
        let tried = match self.state(deployment).await {
            Ok(state) => self.export_owed(&ctx, &lease, state).await,
            Err(error) => Err(error),
        };
        self.parts.store.release(&ctx, lease).await?;
        let state = tried?;
        if let Some((_, Some(error))) = state.owed().next() {
            return Err(error.clone());
        }
        let is_new = |(revision, _): &(&u64, &Commit)| !before.exported.contains_key(revision);
        Ok(state.exported.iter().filter(is_new).map(|(number, commit)| (*number, commit.clone())).collect())
    }

    /// After a run: what goes wrong here is owed, and takes nothing from the run.
    pub(super) async fn export(
        &self,
        ctx: &Ctx,
        lease: &Lease,
        cancel: &CancellationToken,
        state: State,
    ) -> State {
        if self.parts.exporter.is_none() || state.owed().next().is_none() {
            return state;
        }
        let ctx = ctx.clone().with_cancel(cancel.clone());
        self.export_owed(&ctx, lease, state.clone()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not write down what was exported");
            state
        })
    }

    /// Each owed revision in its order, until one cannot be exported.
    async fn export_owed(&self, ctx: &Ctx, lease: &Lease, mut state: State) -> Result<State> {
        let Some(exporter) = &self.parts.exporter else { return Ok(state) };
        let Some(deployment) = ctx.deployment() else { return Ok(state) };
        let owed = state.owed().map(|(revision, _)| revision).collect();
        for export in exports(&self.events(deployment).await?, &owed) {
            let revision = export.revision;
            kill::point("export.before");
            let done = match redacted(ctx, export).await {
                Ok(export) => exporter.export(ctx, &export).await,
                Err(error) => Err(error),
            };
            kill::point("export.after");
            let failed = done.is_err();
            let body = match done {
                Ok(commit) => Body::Exported { revision, commit },
                Err(error) => {
                    let error = error.map_text(|text| ctx.redactor().redact(text));
                    Body::ExportOwed { revision, error }
                }
            };
            state = self.write(ctx, lease, deployment, state, vec![body]).await?;
            if failed {
                break;
            }
        }
        Ok(state)
    }
}

/// The export without the secrets that its resources name, in whatever form they got into it.
async fn redacted(ctx: &Ctx, export: Export) -> Result<Export> {
    for name in export.resources.values().flat_map(|made| made.want.secrets()) {
        // Lent only to be known; one that is gone cannot be in here either.
        let _ = ctx.secret(&name).await;
    }
    let unfit = |error: serde_json::Error| {
        Error::new(ErrorKind::Bug, "export::redact", "take the secrets out of what is exported")
            .help("report it; nothing was exported")
            .because(error)
    };
    let value = serde_json::to_value(&export).map_err(unfit)?;
    serde_json::from_value(without_secrets(ctx, value)).map_err(unfit)
}

/// Keeps what somebody went back from out, unless it is asked for by its number.
pub(super) fn refuse_bad(
    state: &State,
    proposal: &Proposal,
    accepted: &std::collections::BTreeSet<String>,
) -> Result<()> {
    // A rollback names the revision that it goes to.
    let asked: Option<&Spec> = proposal.spec.as_ref().filter(|_| proposal.rollback.is_none());
    let Some(bad) = asked.and_then(|spec| state.bad(spec)) else { return Ok(()) };
    let accept = format!("{BAD_REVISION}{}", bad.number);
    if accepted.contains(&accept) {
        return Ok(());
    }
    let message =
        format!("roll out revision {} of {} again: it was rolled back", bad.number, proposal.deployment);
    Err(Error::new(ErrorKind::Refused, "revision::bad", message)
        .help(format!("change what was wrong with it; if it is right as it is, say so: `--accept {accept}`"))
        .with("revision", bad.number.to_string()))
}
