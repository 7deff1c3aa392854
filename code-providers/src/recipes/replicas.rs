//! The processes or containers of a component: one for each replica, and of which revision they are.
//!
//! A process's address carries the revision in which what makes it last changed. So an unchanged component
//! keeps its processes through a new revision of the spec, more replicas stand beside those that run, and a
//! changed one gets new processes beside the old ones, which go when the address leads to the new ones.

use code_core::provider::{Live, Resource};
use code_core::recipe::At;
use code_core::spec::Component;
use code_core::{Address, Digest, Expr, Result, Want};

use super::local;

/// The name under which a process's fingerprint is wanted.
pub(super) const FINGERPRINT: &str = "fingerprint";

/// The digest of everything that makes a process what it is: what is wanted of it, what runs, and how often
/// it was asked to start anew.
pub(super) fn fingerprint(want: &Want, component: &Component) -> String {
    Digest::of_json(&(want, component.release, component.restarts)).to_string()
}

/// One resource of this kind for each replica. What makes it is the same for all of them, but for the variables that
/// tell them apart; so another replica leaves those that run alone.
pub(super) fn replicas(at: &At<'_>, kind: &str, want: Want, needs: &[Address]) -> Result<Vec<Resource>> {
    let fingerprint = fingerprint(&want, at.component);
    let revision = revision(at, kind, &fingerprint);
    let want = want
        .with("env.CODE_APPLICATION", at.spec.application.clone())
        .with("env.CODE_ENVIRONMENT", at.spec.environment.clone())
        .with("env.CODE_COMPONENT", at.component.name.clone())
        .with("env.CODE_REVISION", revision.to_string())
        .with(FINGERPRINT, fingerprint);
    (0..at.component.replicas.max)
        .map(|index| {
            let address = at.address(&format!("{kind}.r{revision}.{index}"))?;
            let want = want.clone().with("env.CODE_REPLICA", index.to_string());
            Ok(Resource { depends_on: needs.to_vec(), ..Resource::new(address, kind, want) })
        })
        .collect()
}

/// The stable address, and the replicas to which it leads.
pub(super) fn route(at: &At<'_>, replicas: &[Resource]) -> Result<Resource> {
    let mut want = Want::new()
        .with("port", local::port(at))
        .with("protocol", "http")
        .with_some("host", at.component.host.clone());
    for (index, replica) in replicas.iter().enumerate() {
        want = want.with(&format!("target.{index}"), Expr::output(&replica.address, "address"));
    }
    Ok(Resource::new(At::endpoint(&at.component.name)?, "route", want))
}

/// The revision of the recorded resources of this kind with this fingerprint, else the one that is being planned.
fn revision(at: &At<'_>, kind: &str, fingerprint: &str) -> u64 {
    let same =
        |live: &Live| live.was.read::<String>(FINGERPRINT).ok().flatten().as_deref() == Some(fingerprint);
    at.inventory
        .iter()
        .filter(|(address, recorded)| {
            address.component() == at.component.name && recorded.kind == kind && same(&recorded.live)
        })
        .filter_map(|(address, _)| revision_of(address, kind))
        .max()
        .unwrap_or(at.revision)
}

/// The revision that a process's address names: 2 for `web/process.r2.0`.
fn revision_of(address: &Address, kind: &str) -> Option<u64> {
    let (revision, _index) = address.resource().strip_prefix(kind)?.strip_prefix(".r")?.split_once('.')?;
    revision.parse().ok()
}
