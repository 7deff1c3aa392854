//! Removing old releases: what would go is shown and asked first, and looked up again while nobody can deploy.

use code_core::{Error, ErrorKind, Result};
use code_providers::process::keeper::Table;
use code_providers::release::prune::{Stored, remove, unused};
use serde_json::json;

use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::json;
use crate::session::Session;
use crate::style::{Tone, cell, table};

/// Removes the releases that neither the last `keep` revisions of any deployment nor anything that runs needs.
///
/// # Errors
/// `front::no-terminal` where nobody can be asked, `store::locked` while something is deployed, and those of the
/// store and of `release::prune`.
pub async fn prune(session: &Session, keep: usize) -> Result<Exit> {
    let found = old(session, keep).await?;
    let style = &session.screen.style;
    let rows: Vec<_> = found
        .iter()
        .map(|stored| {
            vec![
                cell(Tone::Bad, "-"),
                cell(Tone::Plain, stored.digest.short()),
                cell(Tone::Dim, size(stored.bytes)),
            ]
        })
        .collect();
    session.screen.page(&table(style, 2, &rows));
    let room = size(found.iter().map(|stored| stored.bytes).sum());
    let what = format!("{} releases, {room}", found.len());
    if found.is_empty() || session.screen.dry_run {
        let text =
            if found.is_empty() { "nothing to remove".to_owned() } else { format!("{what}, would go") };
        answer(session, &text, &found, &[])?;
        return Ok(Exit::Done);
    }
    let question =
        format!("Remove {what}? The revisions that need them can then not be gone back to. [y/N] ");
    match consent::ordinary(session, &question).await {
        Consent::Given(_) => {}
        Consent::Declined => {
            session.screen.note("nothing was removed\n");
            return Ok(Exit::Declined);
        }
        Consent::NobodyToAsk => {
            return Err(Error::new(
                ErrorKind::NeedsAnswer,
                "front::no-terminal",
                "ask whether to remove the releases",
            )
            .help("`--yes` answers yes; `--dry-run` shows what would go"));
        }
    }
    let removed = session.engine.holding(async || {
        // Once more: somebody may have deployed one of them while this was being read.
        let still = old(session, keep).await?;
        let mut removed = Vec::new();
        for stored in found.iter().filter(|stored| still.iter().any(|one| one.digest == stored.digest)) {
            if remove(&session.place.state, stored.digest)? {
                removed.push(stored.clone());
            }
        }
        Ok(removed)
    });
    let removed = removed.await?;
    let room = size(removed.iter().map(|stored| stored.bytes).sum());
    answer(session, &format!("removed {} releases, {room}", removed.len()), &found, &removed)?;
    Ok(Exit::Done)
}

/// What nothing needs: no revision that is kept, nothing recorded, and nothing that the keeper would start.
async fn old(session: &Session, keep: usize) -> Result<Vec<Stored>> {
    let needed = session.engine.needed(keep).await?;
    let kept = json::to_value(&Table::read(&session.place.state)?)?.to_string();
    unused(&session.place.state, |digest| needed.names(digest) || kept.contains(digest))
}

fn answer(session: &Session, text: &str, found: &[Stored], removed: &[Stored]) -> Result<()> {
    let all = |stored: &[Stored]| -> Vec<_> {
        stored.iter().map(|one| json!({ "digest": one.digest, "bytes": one.bytes })).collect()
    };
    let data = json!({ "found": all(found), "removed": all(removed) });
    session.screen.answer("prune", text, &format!("{text}\n"), &data)
}

/// `3.2 MB`, in powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_size_is_short() {
        assert_eq!(
            [0, 1_500, 3_200_000, 7_000_000_000].map(super::size),
            ["0 B", "1.5 kB", "3.2 MB", "7.0 GB"]
        );
    }
}
