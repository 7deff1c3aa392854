//! What can go wrong, and what a person can do about it.

use code_core::{Error, ErrorKind};
use kube::core::Status;

use super::config::Id;

/// What to do where no cluster is found.
pub(super) const CONNECT: &str = "set KUBECONFIG, or put the cluster's settings where `kubectl` finds them (`~/.kube/config`); `kubectl cluster-info` says whether they are good";

pub(super) fn manifest(why: String) -> Error {
    Error::new(ErrorKind::Invalid, "kubernetes::manifest", format!("read a manifest: {why}"))
        .help("give one object with `apiVersion`, `kind` and `metadata.name`, as `kubectl apply` takes it")
}

pub(super) fn no_cluster(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Missing, "kubernetes::no-cluster", format!("find a Kubernetes cluster: {why}"))
        .help(CONNECT)
}

pub(super) fn other_cluster(id: &Id, recorded: &str, now: &str) -> Error {
    let message = format!("use another cluster for {id} than the one in which it was made");
    Error::new(ErrorKind::Refused, "kubernetes::other-cluster", message)
        .help(
            "switch back to the context in which this was deployed, or name it in the settings \
             (`cluster = \"…\"` of the environment); nothing was looked at or changed in this one",
        )
        .with("made-in", recorded)
        .with("connected-to", now)
}

pub(super) fn unknown_kind(id: &Id) -> Error {
    let message = format!("find the kind {} of {} in the cluster", id.kind, id.api_version);
    Error::new(ErrorKind::NotFound, "kubernetes::unknown-kind", message).help(
        "install what defines it (its CustomResourceDefinition) first, or correct `apiVersion` and `kind`",
    )
}

pub(super) fn not_ours(id: &Id, whose: Option<&str>) -> Error {
    let whose = whose.unwrap_or("nobody that CODE knows of");
    Error::new(ErrorKind::Refused, "kubernetes::not-ours", format!("take over {id}: it belongs to {whose}"))
        .help(
            "give yours another name or namespace, or delete the one that is there; to take it over as it is, \
             label it `code-engine.dev/deployment: APPLICATION.ENVIRONMENT`",
        )
        .with("belongs-to", whose)
}

pub(super) fn conflict(id: &Id, held: &[String]) -> Error {
    let message = format!("change {id}: others hold fields of it: {}", held.join("; "));
    Error::new(ErrorKind::Refused, "kubernetes::conflict", message)
        .help(
            "leave these fields out of what is wanted, let the other manager give them up, or take them over with \
             the annotation `code-engine.dev/conflicts: take`",
        )
        .with("held", held.join("; "))
}

pub(super) fn immutable(id: &Id, why: &str) -> Error {
    Error::new(ErrorKind::Refused, "kubernetes::immutable", format!("change {id} in place: {why}"))
        .help("it holds data, so it is never deleted to be made anew: move the data, and give the new one another name")
}

pub(super) fn in_use(id: &Id, pods: usize) -> Error {
    Error::new(ErrorKind::Refused, "kubernetes::in-use", format!("delete {id}: {pods} pods still run in it"))
        .help("deleting a namespace deletes everything in it: delete or move what else lives there first")
}

pub(super) fn not_ready(id: &Id, seconds: u64, why: &str) -> Error {
    let message = format!("see {id} ready within {seconds} s: {why}");
    Error::new(ErrorKind::Timeout, "kubernetes::not-ready", message)
        .help("mend what it says and deploy again; `kubectl describe` has the whole story")
        .with("why", why)
}

pub(super) fn stuck(id: &Id, why: &str) -> Error {
    let message = format!("see {id} ready: {why}");
    Error::new(ErrorKind::Failed, "kubernetes::not-ready", message)
        .help("mend what it says and deploy again; `kubectl describe` has the whole story")
        .with("why", why)
}

pub(super) fn not_gone(id: &Id, seconds: u64, why: &str) -> Error {
    Error::new(ErrorKind::Timeout, "kubernetes::not-gone", format!("see {id} gone within {seconds} s: {why}"))
        .help("what its finalizers name has to end first; `kubectl get -o yaml` shows them")
}

pub(super) fn cancelled(id: &Id) -> Error {
    Error::new(ErrorKind::Cancelled, "step::stopped", format!("wait for {id}: the run was stopped"))
        .help("run the same command again: what is there is looked at first")
}

/// Why a call to the cluster gave no answer that can be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server answered, and said no.
    Said(Box<Status>),
    /// There was no answer, or none that could be read.
    Silent(kube::Error),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Trouble {
        match error {
            kube::Error::Api(status) => Trouble::Said(status),
            other => Trouble::Silent(other),
        }
    }
}

impl Trouble {
    /// The status code of the answer; 0 where there was none.
    pub(super) fn code(&self) -> u16 {
        match self {
            Trouble::Said(status) => status.code,
            Trouble::Silent(_) => 0,
        }
    }

    /// What the server said.
    pub(super) fn said(&self) -> &str {
        match self {
            Trouble::Said(status) => &status.message,
            Trouble::Silent(_) => "",
        }
    }

    /// The fields that other managers hold, where that is the trouble.
    pub(super) fn held(&self) -> Option<Vec<String>> {
        let Trouble::Said(status) = self else { return None };
        let causes = status.details.as_ref().map(|details| &details.causes)?;
        let held: Vec<_> = causes
            .iter()
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| format!("{} ({})", cause.field.trim_start_matches('.'), manager_of(&cause.message)))
            .collect();
        (status.code == 409 && !held.is_empty()).then_some(held)
    }

    /// Whether a change in place was refused for a field that never changes.
    pub(super) fn is_immutable(&self) -> bool {
        const SAID: [&str; 4] =
            ["immutable", "updates to statefulset spec", "may not change once set", "cannot be changed"];
        self.code() == 422 && SAID.iter().any(|part| self.said().contains(part))
    }

    /// As the error of trying to do `what`.
    pub(super) fn into_error(self, what: &str) -> Error {
        let status = match self {
            Trouble::Said(status) => status,
            Trouble::Silent(kube::Error::Auth(error)) => {
                return denied("kubernetes::unauthorized", what, &error.to_string()).transient();
            }
            Trouble::Silent(error) => {
                let message = format!("{what}: the cluster gave no answer");
                return Error::new(ErrorKind::Failed, "kubernetes::unreachable", message)
                    .help(CONNECT)
                    .transient()
                    .because(error);
            }
        };
        let said = status.message.trim().to_owned();
        let failed = |kind, code, help: &str| Error::new(kind, code, format!("{what}: {said}")).help(help);
        match status.code {
            // Credentials may be renewed while a run waits.
            401 => denied("kubernetes::unauthorized", what, "the credentials are not accepted").transient(),
            403 if said.contains("exceeded quota") => failed(
                ErrorKind::Refused,
                "kubernetes::quota",
                "ask for less, free something in the namespace, or have its ResourceQuota raised",
            ),
            403 if said.contains("being terminated") => failed(
                ErrorKind::Failed,
                "kubernetes::busy",
                "the namespace is on its way out: wait until it is gone, and deploy again",
            )
            .transient(),
            403 => denied("kubernetes::forbidden", what, &said),
            404 => failed(
                ErrorKind::NotFound,
                "kubernetes::no-namespace",
                "make the namespace first, or leave `namespace` out of the settings: then the deployment has its own",
            ),
            408..=410 | 429 | 500.. => failed(
                ErrorKind::Failed,
                "kubernetes::busy",
                "the cluster is busy or in the middle of something: it is tried again",
            )
            .transient(),
            _ => failed(
                ErrorKind::Invalid,
                "kubernetes::refused",
                "correct what the cluster names; `kubectl explain` has the fields of each kind",
            ),
        }
    }
}

fn denied(code: &'static str, what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Denied, code, format!("{what}: {why}"))
        .help("renew your credentials or have your role given this right; `kubectl auth can-i` tells; nothing is taken for gone")
}

/// `kubectl` of `conflict with "kubectl" using apps/v1`.
fn manager_of(message: &str) -> &str {
    message.split('"').nth(1).unwrap_or(message)
}
