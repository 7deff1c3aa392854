//! What a commit says: the spec of a deployment in it.
//!
//! Nothing is guessed. A repository that is empty, damaged, half-fetched or without the file is an error of
//! its own, and none of them is a wish that something should not exist.

use code_core::export::Commit;
use code_core::{Ctx, Deployment, Result};

use super::place::{Kind, Place, folder};
use super::render::{REVISION, SPEC};
use super::tool::Git;
use super::{cache, error, own, remote, tree};

/// The largest spec that is read, in bytes.
const MAX_SPEC_BYTES: u64 = 1024 * 1024;

/// A spec that stands in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecAt {
    /// Where it stands.
    pub commit: Commit,
    /// What it says: YAML.
    pub bytes: Vec<u8>,
}

/// Reads the spec of a deployment at a revision of a repository.
pub(super) async fn read(ctx: &Ctx, place: &Place, of: &Deployment, revision: &str) -> Result<SpecAt> {
    let kind = place.kind()?;
    let (git, prefix, shown) = match &kind {
        Kind::Own => {
            let dir = own(ctx, of);
            let shown = dir.display().to_string();
            if !dir.exists() {
                return Err(error::empty(&shown));
            }
            (Git::bare(ctx, &dir), String::new(), shown)
        }
        Kind::Tree(dir) => {
            let git = Git::tree(ctx, dir);
            let prefix = tree::prefix(&git).await?;
            (git, prefix, dir.display().to_string())
        }
        Kind::Remote(address) => {
            let copy = cache(ctx, of, address);
            copied(ctx, address, &copy).await?;
            (Git::bare(ctx, &copy), String::new(), address.clone())
        }
    };
    let id = commit(&git, &shown, revision).await?;
    let path = format!("{prefix}{}/{SPEC}", folder(of));
    let Some((blob, bytes)) = entry(&git, &shown, &id, &path).await? else {
        let revision = format!("{prefix}{}/{REVISION}", folder(of));
        let gone = entry(&git, &shown, &id, &revision).await?.is_some();
        return Err(error::no_spec(&shown, id.get(..12).unwrap_or(&id), of, &path, gone));
    };
    if bytes.is_some_and(|bytes| bytes > MAX_SPEC_BYTES) {
        return Err(error::spec_too_large(&path, bytes.unwrap_or_default()));
    }
    let output = git.run(&["cat-file", "blob", &blob], []).await?;
    if !output.success() {
        return Err(error::broken(&shown, &output.tail(6)));
    }
    // Not every way to read an object looks at whether it is still what its name says.
    let named = git.run(&["hash-object", "--stdin"], output.stdout.clone()).await?;
    if named.text().trim() != blob {
        return Err(error::broken(&shown, &format!("{path} is not what its name {blob} says")));
    }
    Ok(SpecAt { commit: Commit { id, place: shown, path }, bytes: output.stdout })
}

/// Brings the copy to what the other side has now; an old copy is never taken for that.
async fn copied(ctx: &Ctx, address: &str, copy: &std::path::Path) -> Result<()> {
    let (branch, _) = remote::branch(ctx, address).await?;
    let refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    let fetched = async || {
        super::commit::make(ctx, copy).await?;
        let git = Git::bare(ctx, copy);
        remote::fetch(&git, address, &refs).await?;
        git.text(&["symbolic-ref", "HEAD", &branch]).await.map(drop)
    };
    match fetched().await {
        Ok(()) => Ok(()),
        Err(_) => {
            remote::forget(copy)?;
            fetched().await
        }
    }
}

/// The full name of the commit that a revision is.
async fn commit(git: &Git<'_>, shown: &str, revision: &str) -> Result<String> {
    let named = !revision.is_empty() && !revision.starts_with('-') && !revision.contains(char::is_control);
    if named {
        // By standard input, so that it can be no option.
        let asked = format!("{revision}^{{commit}}\n");
        let output = git.run(&["cat-file", "--batch-check"], asked).await?;
        if !output.success() {
            return Err(error::broken(shown, &output.tail(6)));
        }
        let text = output.text();
        if let Some((id, rest)) = text.trim().split_once(' ')
            && rest.starts_with("commit ")
        {
            return Ok(id.to_owned());
        }
        let there = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", revision], []).await?;
        let id = there.text().trim().to_owned();
        let kind = git.run(&["cat-file", "-t", &id], []).await?;
        // Something that is there and is no commit is a name that is wrong; everything else is damage.
        let other = kind.success() && !matches!(kind.text().trim(), "commit" | "tag");
        if there.success() && !other {
            return Err(error::broken(shown, &format!("{id} is missing or damaged")));
        }
    }
    let any = git.run(&["for-each-ref", "--count=1"], []).await?;
    if !any.success() {
        return Err(error::broken(shown, &any.tail(6)));
    }
    if any.stdout.is_empty() {
        return Err(error::empty(shown));
    }
    let shallow = git.run(&["rev-parse", "--is-shallow-repository"], []).await?.text();
    Err(error::revision(shown, revision, shallow.trim() == "true"))
}

/// The file at a path of a commit: its name, and its size where that can be told.
async fn entry(git: &Git<'_>, shown: &str, id: &str, path: &str) -> Result<Option<(String, Option<u64>)>> {
    let output = git.run(&["ls-tree", "--full-tree", "-l", id, "--", path], []).await?;
    if !output.success() {
        return Err(error::broken(shown, &output.tail(6)));
    }
    let text = output.text();
    // `100644 blob ID SIZE\tPATH`
    let mut words = text.split_whitespace();
    let (_, Some("blob"), Some(blob)) = (words.next(), words.next(), words.next()) else { return Ok(None) };
    Ok(Some((blob.to_owned(), words.next().and_then(|size| size.parse().ok()))))
}
