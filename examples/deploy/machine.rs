//! What resolving has to know of this machine: PostgreSQL, free ports, programs, and the files of a project.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use code_core::spec::Component;
use code_core::{Digest, Host, Result};
use code_nlp::context::{Machine, Postgresql};
use code_nlp::resolve::SAMPLE;
use code_providers::postgres::find_programs;
use code_providers::sample::sample_digest;
use code_providers::source_digest;

/// The ports that a stable address takes where nothing says another, best first.
const PORTS: std::ops::Range<u16> = 8080..8180;
/// How many free ones are looked up.
const ENOUGH: usize = 20;

/// This machine, as far as it matters to a spec.
pub async fn machine(host: &dyn Host, programs: &BTreeSet<String>) -> Machine {
    Machine {
        postgresql: find_programs(host)
            .await
            .map(|found| Postgresql { bin_dir: found.bin_dir.display().to_string(), major: found.major }),
        free_ports: PORTS.filter(|port| is_free(*port)).take(ENOUGH).collect(),
        programs: programs.iter().filter(|program| host.which(program).is_some()).cloned().collect(),
        user: host.user(),
    }
}

/// The digest of what a component runs: its files as they are now, or the app that comes with CODE.
///
/// # Errors
/// Where its files cannot be read.
pub fn release(project: &Path, component: &Component) -> Result<Digest> {
    match component.source.as_deref() {
        None | Some(SAMPLE) => Ok(sample_digest()),
        Some(source) => {
            source_digest(&project.join(source), component.build.as_deref(), component.start.as_deref())
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
