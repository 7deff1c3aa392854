//! What somebody asks for, ready to be judged: a spec, nothing any more, or an earlier revision again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::event::{OnFailure, Outcome};
use crate::export::Commit;
use crate::parser::Parsed;
use crate::plan::Rollback;
use crate::request::Request;
use crate::spec::{Origins, Spec};
use crate::status::Run;
use crate::{Deployment, Error, ErrorKind, Result, RunId};

/// What somebody asks for, ready to be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What it is about.
    pub deployment: Deployment,
    /// The words, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Who read the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    /// What was read in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed: Option<Parsed>,
    /// The commit that the spec was read from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Between which revisions it goes back, where it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// The paused run whose place it takes, where a person edited its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<RunId>,
    /// What should exist; `None`: nothing.
    pub spec: Option<Spec>,
    /// Where each value of the spec comes from.
    #[serde(default)]
    pub origins: Origins,
    /// Whether data goes too, with what is taken down.
    #[serde(default)]
    pub delete_data: bool,
    /// Whether the environment needs the approval of another person.
    #[serde(default)]
    pub protected: bool,
    /// What happens when a step fails for good; `None`: what the engine does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

impl Proposal {
    /// That this spec should exist.
    ///
    /// # Errors
    /// `id::name` where application or environment is no name.
    pub fn of(spec: Spec, origins: Origins) -> Result<Proposal> {
        Ok(Proposal {
            deployment: spec.deployment()?,
            request: None,
            parser: None,
            parsed: None,
            commit: None,
            rollback: None,
            follows: None,
            protected: spec.protected,
            spec: Some(spec),
            origins,
            delete_data: false,
            on_failure: None,
        })
    }

    /// In the place of a paused run: with its words, said by whoever edits now, and its policy where there is
    /// no other. What that run did is kept where it fits, and taken back together with what the new one does.
    #[must_use]
    pub fn following(mut self, run: &Run, by: &str, at: Timestamp) -> Proposal {
        self.follows = Some(run.id);
        self.request = run.request.as_ref().map(|words| Request { who: by.to_owned(), at, ..words.clone() });
        self.on_failure = self.on_failure.or(Some(run.on_failure));
        self.protected |= run.plan.protected;
        self
    }
}

impl Engine {
    /// That nothing of a deployment should exist any more; its data stays unless `delete_data` says so.
    ///
    /// # Errors
    /// `engine::no-deployment` where nothing is recorded of it, and those of the store.
    pub async fn destroy(&self, deployment: &Deployment, delete_data: bool) -> Result<Proposal> {
        let state = self.state(deployment).await?;
        if state.revisions.is_empty() {
            return Err(no_deployment(deployment));
        }
        let last = state.revisions.iter().rev().find_map(|revision| revision.spec.as_ref());
        Ok(Proposal {
            deployment: deployment.clone(),
            request: None,
            parser: None,
            parsed: None,
            commit: None,
            rollback: None,
            follows: None,
            spec: None,
            origins: Origins::new(),
            delete_data,
            on_failure: None,
            protected: last.is_some_and(|spec| spec.protected),
        })
    }

    /// That a deployment should be again as in an earlier revision: `to`, else the one before the current.
    /// Secrets and data stay as they are.
    ///
    /// # Errors
    /// `engine::no-deployment`, `rollback::no-revision` where there is no such good revision, and those of
    /// the store.
    pub async fn rollback(&self, deployment: &Deployment, to: Option<u64>) -> Result<Proposal> {
        let state = self.state(deployment).await?;
        // Not the revision of a run that is open: the same command after a crash means the same revision.
        let mut settled = state.revisions.iter().rev();
        let settled = settled.find(|revision| revision.outcome == Some(Outcome::Succeeded));
        let Some(current) = settled else { return Err(no_deployment(deployment)) };
        let standing = state.standing().unwrap_or(current);
        let good = |revision: &&crate::status::Revision| {
            revision.outcome == Some(Outcome::Succeeded) && revision.number != current.number
        };
        let mut candidates = state.revisions.iter().rev().filter(good).filter(|r| r.spec.is_some());
        let found = match to {
            Some(number) => candidates.find(|revision| revision.number == number),
            None => candidates.find(|r| r.number < current.number && r.spec != current.spec && !r.bad),
        };
        let Some(revision) = found else {
            let all: Vec<_> = state.revisions.iter().filter(good).map(|r| r.number.to_string()).collect();
            let message = match to {
                Some(number) => format!("roll back to revision {number}: there is no such good revision"),
                None => "roll back: there is no good revision before the current one".to_owned(),
            };
            return Err(Error::new(ErrorKind::NotFound, "rollback::no-revision", message)
                .help("`history` lists the revisions")
                .with("revisions", if all.is_empty() { "none".to_owned() } else { all.join(", ") }));
        };
        let spec = revision.spec.clone();
        Ok(Proposal {
            deployment: deployment.clone(),
            request: None,
            parser: None,
            parsed: None,
            commit: None,
            rollback: Some(Rollback { from: standing.number, to: revision.number }),
            follows: None,
            protected: spec.as_ref().is_some_and(|spec| spec.protected),
            spec,
            origins: revision.origins.clone(),
            delete_data: false,
            on_failure: None,
        })
    }
}

pub(super) fn no_deployment(deployment: &Deployment) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "engine::no-deployment",
        format!("find a deployment named `{deployment}`"),
    )
    .help("`status` lists those that there are")
}
