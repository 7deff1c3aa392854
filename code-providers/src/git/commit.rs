//! One commit on a branch: read what is there, and add to it in one process.
//!
//! `git fast-import` takes the whole commit on its standard input. It moves the branch at its very end, and
//! only from where it was; input that ends early is an error that leaves nothing but unreachable objects. So
//! there is no index, no lock file and no half commit to be cleaned up after a kill.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use code_core::{Ctx, Result, kill};

use super::error;
use super::render::{Draft, REVISION};
use super::tool::Git;

/// The branch of a deployment's own repository.
const BRANCH: &str = "refs/heads/main";

/// What a branch has of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The commit that the branch names; `None`: there is no branch yet.
    pub(super) id: Option<String>,
    /// The commit of this very draft, where there is one already.
    pub(super) kept: Option<String>,
}

/// Commits to a deployment's own repository, which is made where there is none.
pub(super) async fn own(ctx: &Ctx, dir: &Path, draft: &Draft) -> Result<String> {
    make(ctx, dir).await?;
    let git = Git::bare(ctx, dir);
    let head = head(&git, BRANCH, &draft.folder, draft).await?;
    match head.kept {
        Some(id) => Ok(id),
        None => {
            let made = add(&git, BRANCH, head.id.as_deref(), &draft.folder, draft, false).await;
            if made.is_err() {
                forget_crashes(dir);
            }
            made
        }
    }
}

/// Makes a repository without a work tree, whole or not at all.
pub(super) async fn make(ctx: &Ctx, dir: &Path) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let mut new = dir.to_path_buf();
    new.as_mut_os_string().push(".new");
    let failed = |what: &'static str| {
        let new = new.clone();
        move |cause| error::files(what, &new, cause)
    };
    if new.exists() {
        fs::remove_dir_all(&new).map_err(failed("remove"))?;
    }
    fs::create_dir_all(&new).map_err(failed("make"))?;
    let shown = new.display().to_string();
    Git::anywhere(ctx).text(&["init", "--quiet", "--bare", "--template=", "--", &shown]).await?;
    Git::bare(ctx, &new).text(&["symbolic-ref", "HEAD", BRANCH]).await?;
    kill::point("git.init");
    fs::rename(&new, dir).map_err(|cause| error::files("make", dir, cause))
}

/// What a branch has of a draft, whose folder is `folder` in this repository.
pub(super) async fn head(git: &Git<'_>, branch: &str, folder: &str, draft: &Draft) -> Result<Head> {
    let asked = format!("{branch}^{{commit}}\n{branch}:{folder}/{REVISION}\n");
    let output = git.run(&["cat-file", "--batch"], asked).await?;
    if !output.success() {
        return Err(error::broken(&git.shown(), &output.tail(6)));
    }
    let mut rest = output.stdout.as_slice();
    let id = object(&mut rest).map(|(id, _)| id);
    let revision = object(&mut rest).map(|(_, bytes)| bytes);
    if id.is_none() {
        // A branch that names what is not there is no new branch.
        let named = git.run(&["rev-parse", "--verify", "--quiet", branch], []).await?;
        if named.success() {
            let said = format!("{branch} names {}, which is not there", named.text().trim());
            return Err(error::broken(&git.shown(), &said));
        }
    }
    let same = draft.files.get(REVISION).and_then(Option::as_deref).map(str::as_bytes) == revision;
    let kept = match (&id, same && revision.is_some()) {
        (Some(id), true) => {
            // As it is named from where git runs, which is not the top of every work tree.
            let path = format!("{}/{REVISION}", draft.folder);
            let found = git.text(&["rev-list", "--max-count=1", id, "--", &path]).await?;
            Some(found.trim().to_owned())
        }
        _ => None,
    };
    Ok(Head { id, kept })
}

/// The next object in what `cat-file --batch` writes; `None` where it is missing.
fn object<'a>(rest: &mut &'a [u8]) -> Option<(String, &'a [u8])> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    let words: Vec<&str> = line.split(' ').collect();
    let [id, "commit" | "blob" | "tree" | "tag", size] = words[..] else { return None };
    let size: usize = size.parse().ok()?;
    let bytes = rest.get(..size)?;
    *rest = rest.get(size + 1..).unwrap_or_default();
    Some((id.to_owned(), bytes))
}

/// Adds a commit to a branch; `from` is what the branch names, and `anew` lets it name something else before.
pub(super) async fn add(
    git: &Git<'_>,
    branch: &str,
    from: Option<&str>,
    folder: &str,
    draft: &Draft,
    anew: bool,
) -> Result<String> {
    let mut args = vec!["fast-import", "--quiet", "--done"];
    if anew {
        args.push("--force");
    }
    kill::point("git.commit.before");
    let output = git.run(&args, stream(branch, from, folder, draft)).await?;
    let id = output.text().trim().to_owned();
    let is_id = [40, 64].contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
    if !output.success() || !is_id {
        return Err(match from {
            // There is nothing else than what is there already that it could stumble over.
            Some(_) => error::broken(&git.shown(), &output.tail(6)),
            None => error::failed("fast-import", &output),
        });
    }
    kill::point("git.commit.after");
    Ok(id)
}

/// The commit as `git fast-import` takes it (git-fast-import(1), "Input Format").
fn stream(branch: &str, from: Option<&str>, folder: &str, draft: &Draft) -> String {
    let mut text = format!("feature done\ncommit {branch}\nmark :1\n");
    for who in ["author", "committer"] {
        text.push_str(&format!("{who} {} {} +0000\n", draft.author, draft.at));
    }
    data(&mut text, &draft.message);
    if let Some(from) = from {
        text.push_str(&format!("from {from}\n"));
    }
    let (there, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
        draft.files.iter().partition(|(_, content)| content.is_some());
    for name in gone.keys() {
        text.push_str(&format!("D {folder}/{name}\n"));
    }
    for (name, content) in there {
        text.push_str(&format!("M 100644 inline {folder}/{name}\n"));
        data(&mut text, content.as_deref().unwrap_or_default());
    }
    text.push_str("get-mark :1\ndone\n");
    text
}

fn data(text: &mut String, content: &str) {
    text.push_str(&format!("data {}\n{content}\n", content.len()));
}

/// What `git fast-import` leaves where it gives up: of use to its authors only.
pub(super) fn forget_crashes(dir: &Path) {
    let all = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in all.filter(|entry| entry.file_name().to_string_lossy().starts_with("fast_import_crash_")) {
        // One that stays takes nothing from anybody.
        let _ = fs::remove_file(entry.path());
    }
}
