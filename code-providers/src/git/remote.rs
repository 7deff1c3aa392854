//! Commits on somebody else's repository: fetch, commit on its head, push; and again where somebody was
//! faster.
//!
//! The copy in the state directory is only a copy: where it is damaged it is thrown away and fetched anew.

use std::fs;
use std::path::Path;

use code_core::{Ctx, Result, kill};

use super::render::Draft;
use super::tool::Git;
use super::{commit, error};

/// How often somebody may be faster.
const RACES: usize = 10;
/// The branch where the other side names none.
const BRANCH: &str = "refs/heads/main";
/// Where the copy keeps the other side's head, and the commit that is to be pushed.
const BASE: &str = "refs/code/base";
const NEXT: &str = "refs/code/next";

/// Commits and pushes; gives the commit once the other side has it.
pub(super) async fn commit(ctx: &Ctx, address: &str, copy: &Path, draft: &Draft) -> Result<String> {
    for _ in 0..RACES {
        let (branch, there) = branch(ctx, address).await?;
        let made = match add(ctx, address, copy, &branch, there.as_deref(), draft).await {
            Err(damaged) if damaged.code() != "git::unreachable" && damaged.code() != "git::missing" => {
                forget(copy)?;
                add(ctx, address, copy, &branch, there.as_deref(), draft).await?
            }
            made => made?,
        };
        let id = match made {
            Made::Kept(id) => return Ok(id),
            Made::New(id) => id,
        };
        kill::point("git.push.before");
        if push(ctx, address, copy, &branch, there.as_deref()).await? {
            kill::point("git.push.after");
            return Ok(id);
        }
    }
    Err(error::raced(address, RACES))
}

/// A commit in the copy.
enum Made {
    /// The other side has it already.
    Kept(String),
    New(String),
}

/// The branch that the other side works on, and the commit that it names.
pub(super) async fn branch(ctx: &Ctx, address: &str) -> Result<(String, Option<String>)> {
    let args = ["ls-remote", "--symref", "--end-of-options", address, "HEAD", BRANCH];
    let output = Git::anywhere(ctx).away(&args).await?;
    if !output.success() {
        return Err(error::unreachable(address, &output.tail(6)));
    }
    let text = output.text();
    let symbolic = text.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
    let is_id = |id: &str| id.chars().all(|c| c.is_ascii_hexdigit());
    let named = |name: &str| {
        let mut all = text.lines().filter_map(|line| line.split_once('\t'));
        all.find(|(id, of)| *of == name && is_id(id)).map(|(id, _)| id.to_owned())
    };
    Ok(match symbolic {
        Some(branch) => (branch.to_owned(), named("HEAD")),
        None => (BRANCH.to_owned(), named(BRANCH)),
    })
}

async fn add(
    ctx: &Ctx,
    address: &str,
    copy: &Path,
    branch: &str,
    there: Option<&str>,
    draft: &Draft,
) -> Result<Made> {
    commit::make(ctx, copy).await?;
    let git = Git::bare(ctx, copy);
    if there.is_some() {
        fetch(&git, address, &[&format!("+{branch}:{BASE}")]).await?;
    }
    let head = match there {
        Some(_) => commit::head(&git, BASE, &draft.folder, draft).await?,
        None => commit::Head { id: None, kept: None },
    };
    if let Some(id) = head.kept {
        return Ok(Made::Kept(id));
    }
    let made = commit::add(&git, NEXT, head.id.as_deref(), &draft.folder, draft, true).await;
    if made.is_err() {
        commit::forget_crashes(copy);
    }
    made.map(Made::New)
}

/// Fetches these refs into the copy.
pub(super) async fn fetch(git: &Git<'_>, address: &str, refs: &[&str]) -> Result<()> {
    let mut args =
        vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", address];
    args.extend(refs);
    let output = git.away(&args).await?;
    if output.success() {
        return Ok(());
    }
    // The other side answered before: what is wrong may be the copy.
    Err(error::broken(&git.shown(), &output.tail(6)))
}

/// Pushes; `false` where the branch is not any more what the commit was made on.
async fn push(ctx: &Ctx, address: &str, copy: &Path, branch: &str, there: Option<&str>) -> Result<bool> {
    let lease = format!("--force-with-lease={branch}:{}", there.unwrap_or_default());
    let refs = format!("{NEXT}:{branch}");
    let args = ["push", "--porcelain", "--no-verify", &lease, "--end-of-options", address, &refs];
    let output = Git::bare(ctx, copy).away(&args).await?;
    if output.success() {
        return Ok(true);
    }
    let text = output.text();
    let said = format!("{}\n{}", output.tail(6), text.trim());
    match text.lines().find(|line| line.starts_with('!')) {
        Some(refused) if raced(refused) => Ok(false),
        Some(_) => Err(error::push(address, &said)),
        None => Err(error::unreachable(address, &said)),
    }
}

/// Whether a push was refused because the branch moved (the words of `git push` and `git receive-pack`).
fn raced(refused: &str) -> bool {
    ["stale info", "fetch first", "non-fast-forward", "cannot lock ref", "incorrect old value"]
        .iter()
        .any(|words| refused.contains(words))
        || refused.contains("failed to update ref")
}

/// Throws the copy away.
pub(super) fn forget(copy: &Path) -> Result<()> {
    match fs::remove_dir_all(copy) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(error::files("remove", copy, cause))
        }
        _ => Ok(()),
    }
}
