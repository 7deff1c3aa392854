//! Commits in a work tree of the user's: on the branch that is checked out, with the files beside it.
//!
//! The commit comes first and is made without the work tree. The files follow, and only those of ours; where
//! somebody changed these meanwhile, nothing is committed.

use std::path::Path;

use code_core::export::Commit;
use code_core::{Ctx, Result, kill};

use super::render::Draft;
use super::tool::Git;
use super::{commit, error};

/// Commits in the work tree that a directory is in; the deployment's folder is made in that directory.
pub(super) async fn commit(ctx: &Ctx, dir: &Path, draft: &Draft) -> Result<Commit> {
    let git = Git::tree(ctx, dir);
    let folder = format!("{}{}", prefix(&git).await?, draft.folder);
    let branch = git.run(&["symbolic-ref", "--quiet", "HEAD"], []).await?;
    if !branch.success() {
        return Err(error::detached(dir));
    }
    let branch = branch.text().trim().to_owned();
    let head = commit::head(&git, &branch, &folder, draft).await?;
    // As they are named from `dir`.
    let paths: Vec<String> = draft.files.keys().map(|name| format!("{}/{name}", draft.folder)).collect();
    let place = dir.display().to_string();
    if let Some(id) = head.kept {
        // Killed between the commit and the files: they are as before it, or they are somebody's by now.
        if is_as_in(&git, &format!("{id}^"), &paths).await? {
            write(&git, &id, draft).await?;
        }
        return Ok(Commit { id, place, path: folder });
    }
    let changed = changed(&git, &paths).await?;
    if !changed.is_empty() {
        return Err(error::uncommitted(dir, &changed));
    }
    let id = commit::add(&git, &branch, head.id.as_deref(), &folder, draft, false).await?;
    write(&git, &id, draft).await?;
    kill::point("git.files.after");
    Ok(Commit { id, place, path: folder })
}

/// Where the directory is in its repository, with a slash at its end where it is not the top.
pub(super) async fn prefix(git: &Git<'_>) -> Result<String> {
    let output = git.run(&["rev-parse", "--show-prefix"], []).await?;
    if !output.success() {
        return Err(error::broken(&git.shown(), &output.tail(6)));
    }
    Ok(output.text().trim_end_matches('\n').to_owned())
}

/// Which of these differ from the last commit, in the index or on the disk.
async fn changed(git: &Git<'_>, paths: &[String]) -> Result<String> {
    let mut args = vec!["status", "--porcelain", "--untracked-files=all", "--ignored=matching", "--"];
    args.extend(paths.iter().map(String::as_str));
    Ok(git.text(&args).await?.trim_end().to_owned())
}

async fn is_as_in(git: &Git<'_>, commit: &str, paths: &[String]) -> Result<bool> {
    let mut args = vec!["diff", "--quiet", "--no-ext-diff", "--no-textconv", commit, "--"];
    args.extend(paths.iter().map(String::as_str));
    Ok(git.run(&args, []).await?.success())
}

/// Brings the files of the draft to what the commit has.
async fn write(git: &Git<'_>, id: &str, draft: &Draft) -> Result<()> {
    let (there, gone): (Vec<_>, Vec<_>) = draft.files.iter().partition(|(_, content)| content.is_some());
    let path = |(name, _): &(&&str, &Option<String>)| format!("{}/{name}", draft.folder);
    let there: Vec<String> = there.iter().map(path).collect();
    let gone: Vec<String> = gone.iter().map(path).collect();
    let source = format!("--source={id}");
    let mut args = vec!["restore", &source, "--staged", "--worktree", "--quiet", "--"];
    args.extend(there.iter().map(String::as_str));
    git.text(&args).await?;
    if gone.is_empty() {
        return Ok(());
    }
    let mut args = vec!["rm", "--quiet", "--force", "--ignore-unmatch", "--"];
    args.extend(gone.iter().map(String::as_str));
    git.text(&args).await.map(drop)
}
