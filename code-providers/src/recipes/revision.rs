//! Which revision the processes or containers of a component are of.
//!
//! A process's address carries the revision in which what makes it last changed. So an unchanged component
//! keeps its processes through a new revision of the spec, more replicas stand beside those that run, and a
//! changed one gets new processes beside the old ones, which go when the address leads to the new ones.

use code_core::provider::Live;
use code_core::recipe::At;
use code_core::spec::Component;
use code_core::{Address, Digest, Want};

/// The name under which a process's fingerprint is wanted.
pub(super) const FINGERPRINT: &str = "fingerprint";

/// The digest of everything that makes a process what it is: what is wanted of it, what runs, and how often
/// it was asked to start anew.
pub(super) fn fingerprint(want: &Want, component: &Component) -> String {
    Digest::of_json(&(want, component.release, component.restarts)).to_string()
}

/// The revision of the recorded resources of this kind with this fingerprint, else the one that is being planned.
pub(super) fn revision(at: &At<'_>, kind: &str, fingerprint: &str) -> u64 {
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
