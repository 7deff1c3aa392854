//! The chain from request to effects, looked at as a whole before anything is built on it.

use futures::StreamExt;

use crate::engine::Engine;
use crate::status::State;
use crate::store::Seq;
use crate::verify::{Break, Link, Verified, Verifier, broken};
use crate::{Deployment, Error, ErrorKind, Layout, Result};

impl Engine {
    /// Whether everything that is recorded of a deployment follows from what was asked, and the first place
    /// where it does not. Changes nothing, and needs no lease.
    ///
    /// # Errors
    /// `engine::no-deployment` where nothing is recorded of it, and those of the store but for damage, which
    /// is a break.
    pub async fn verify(&self, deployment: &Deployment) -> Result<Verified> {
        let mut verifier = Verifier::default();
        let mut first = None;
        let name = deployment.to_string();
        let mut events = self.parts.store.read(&name, Seq::START);
        while let (None, Some(next)) = (&first, events.next().await) {
            match next {
                Ok((seq, event)) => first = verifier.take(seq, &event).err().map(|found| *found),
                Err(error) if is_damage(&error) => first = Some(verifier.unreadable(&error)),
                Err(error) => return Err(error),
            }
        }
        if first.is_none() {
            first = self.missing_release(&mut verifier);
        }
        let verified = verifier.verified(deployment.clone(), first);
        match (verified.records, &verified.broken) {
            (0, None) => Err(super::propose::no_deployment(deployment)),
            _ => Ok(verified),
        }
    }

    /// Everything that is recorded, folded, where all of it follows from what was asked: what a run is built
    /// on.
    pub(super) async fn trusted_state(&self, deployment: &Deployment) -> Result<State> {
        let (mut state, mut verifier) = (State::default(), Verifier::default());
        let name = deployment.to_string();
        let mut events = self.parts.store.read(&name, Seq::START);
        while let Some(next) = events.next().await {
            let (seq, event) = next?;
            verifier.take(seq, &event).map_err(|found| broken(deployment, &found))?;
            state.apply(seq, &event);
        }
        Ok(state)
    }

    /// A release that a revision names and that is not there, though nobody removed it on purpose: nobody can go back
    /// to that revision.
    fn missing_release(&self, verifier: &mut Verifier) -> Option<Break> {
        let layout = Layout::new(&*self.parts.state_dir);
        let named: Vec<_> = verifier.releases().collect();
        for (digest, record) in named {
            let dir = layout.release(digest);
            let there = dir.is_dir() || layout.release_source(digest).is_dir();
            if !there && layout.pruned(digest).is_file() {
                continue;
            }
            if !there {
                return Some(Break {
                    record,
                    link: Link::Releases,
                    what: "a release that a revision names is not there".to_owned(),
                    expected: dir.display().to_string(),
                    found: "nothing".to_owned(),
                });
            }
            verifier.hold(Link::Releases);
        }
        None
    }
}

/// Whether the bytes are not those that were written, as opposed to bytes of a newer build.
pub(super) fn is_damage(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt && error.code() != "journal::version"
}
