//! A working copy of a root, made ready; the plans that are made in it are those of [`saved`](super::saved).
//!
//! ```text
//! project ─┐ copy, and the digest must be      STATE/cache/terraform/cli-HASH.tfrc   the tool's settings
//! release ─┴ what was judged ────────────────▶               /copies/ROOT/KEY/      the files, after `init`
//!                                                            /plans/ROOT/KEY.tfplan what `plan` saved
//!                                                                       KEY.json    what it does, and its digest
//! ```
//!
//! A KEY is the digest of all that the copy, or the plan, was made from: the same again is found, and something
//! else never is. All of it can be deleted at any time. A plan holds the values of variables and of the state, also
//! the sensitive ones, in plain, as a state does: the directories are their user's only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use code_core::{Ctx, Digest, Layout, Result};
use serde_json::Value;

use super::config::{Root, Settings};
use super::error::{self, Call};
use super::parse::State;
use super::place::{Place, private_dir, private_file};
use super::tool::{Runner, Tool};
use super::{modules, render};

/// How many copies and plans of one root are kept: those of this revision, of the last, and of what is tried.
pub(super) const KEPT: usize = 4;
/// The file in which a root's choice of providers lies.
const PROVIDER_LOCK: &str = ".terraform.lock.hcl";

/// A tool in a working copy that is ready.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) runner: Runner<'a>,
    pub(super) place: Place,
    /// Of all that the copy was made from.
    pub(super) key: Digest,
    /// Whether the state lies in the place, because the root says nothing else.
    is_local: bool,
    pub(super) plans: PathBuf,
}

/// Whether a directory has files of a root, in it or at most two levels below.
pub fn has_root(dir: &Path) -> bool {
    has_files(dir, 2)
}

fn has_files(dir: &Path, depth: u32) -> bool {
    fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_root_file(&name) && !is_dir
            || is_dir && depth > 0 && !name.starts_with('.') && has_files(&entry.path(), depth - 1)
    })
}

/// Whether a file of this name is read as a part of a root.
pub(super) fn is_root_file(name: &str) -> bool {
    [".tf", ".tofu", ".tf.json", ".tofu.json"].iter().any(|end| name.ends_with(end))
}

/// A working copy of the root, ready for the tool.
pub(super) async fn ready<'a>(
    ctx: &'a Ctx,
    settings: &'a Settings,
    tool: &'a Tool,
    root: &'a Root,
    place: &Place,
) -> Result<Work<'a>> {
    let cache = Layout::new(ctx.state_dir()).cache("terraform");
    let cli = cli_config(settings, &cache)?;
    let chosen = fs::read(place.dir.join(PROVIDER_LOCK)).ok();
    let key = Digest::of_parts([
        root.digest.as_bytes().as_slice(),
        root.path.as_os_str().as_encoded_bytes(),
        tool.program.as_os_str().as_encoded_bytes(),
        tool.version.as_bytes(),
        cli.as_os_str().as_encoded_bytes(),
        root.workspace.as_bytes(),
        Digest::of_json(&settings.modules).as_bytes(),
        Digest::of_json(&root.env).as_bytes(),
        chosen.as_deref().unwrap_or_default(),
    ]);
    let of_root = Digest::of(place.dir.as_os_str().as_encoded_bytes()).short();
    let copies = cache.join("copies").join(&of_root);
    let plans = cache.join("plans").join(&of_root);
    let copy = copies.join(key.to_string());
    let work = |copy: &Path| {
        let dir = copy.join(&root.path);
        let is_local = dir.join(render::BACKEND_FILE).is_file();
        let runner = Runner { ctx, settings, tool, root, dir, cli_config: cli.clone() };
        Work { runner, place: place.clone(), key, is_local, plans: plans.clone() }
    };
    if copy.is_dir() {
        return Ok(work(&copy));
    }
    ctx.say(format!("making the root ready with {}", tool.shown()));
    private_dir(&copies)?;
    private_dir(&plans)?;
    prune(&copies, KEPT);
    let growing = copies.join(format!("{key}.{}.new", std::process::id()));
    let _ = fs::remove_dir_all(&growing);
    let made = async {
        copy_files(ctx, root, &growing).await?;
        let growing_work = work(&growing);
        growing_work.make_ready(chosen.as_deref())?;
        growing_work.check_modules(vec![growing_work.runner.dir.clone()])?;
        growing_work.runner.init().await?;
        // What modules call themselves is known once they are here.
        growing_work.check_modules(growing_work.fetched())
    };
    let made = made.await;
    // Another call may have been first, with the same.
    let moved = made.is_ok() && fs::rename(&growing, &copy).is_ok();
    if !moved {
        let _ = fs::remove_dir_all(&growing);
    }
    made?;
    match copy.is_dir() {
        true => Ok(work(&copy)),
        false => Err(error::files(&copy, std::io::Error::other("it could not be moved to its place"))),
    }
}

/// The files of a root as they were judged: from where they were put aside, else from the project.
async fn copy_files(ctx: &Ctx, root: &Root, to: &Path) -> Result<()> {
    let from = root.release.iter().chain([&root.source]).find(|dir| dir.is_dir());
    let Some(from) = from.cloned() else { return Err(error::no_source(&root.source)) };
    let (to, cancel, read) = (to.to_owned(), ctx.cancel().clone(), from.clone());
    let copied = tokio::task::spawn_blocking(move || {
        crate::release::copy_files(&read, &to, None, None, |_, _| match cancel.is_cancelled() {
            true => Err(error::cancelled()),
            false => Ok(()),
        })
    });
    let digest =
        copied.await.unwrap_or_else(|stopped| Err(error::files(&from, std::io::Error::other(stopped))))?;
    if digest == root.digest { Ok(()) } else { Err(error::changed(&from)) }
}

/// The tool's own settings, in a file that is named by what it says.
fn cli_config(settings: &Settings, cache: &Path) -> Result<PathBuf> {
    let text = render::cli_config(settings.mirror.as_deref());
    let file = cache.join(format!("cli-{}.tfrc", Digest::of(text.as_bytes()).short()));
    if fs::read(&file).ok().as_deref() != Some(text.as_bytes()) {
        private_dir(cache)?;
        private_file(&file, &text)?;
    }
    Ok(file)
}

/// Removes all but so many of the newest of a directory; what is gone can be made again.
pub(super) fn prune(dir: &Path, kept: usize) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let age = |entry: fs::DirEntry| {
        let made = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        (made, entry.path())
    };
    let mut all: Vec<(SystemTime, PathBuf)> = entries.map(age).collect();
    all.sort();
    let old = all.len().saturating_sub(kept);
    for (_, path) in all.drain(..old) {
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// A path without `.` and `..`, by its names alone.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(straight.pop()),
            other => straight.push(other),
        }
    }
    straight
}

impl Work<'_> {
    /// Writes what `init` needs beside the root's own files.
    fn make_ready(&self, chosen: Option<&[u8]>) -> Result<()> {
        let dir = &self.runner.dir;
        let mut found = false;
        let mut has_backend = false;
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_root_file(&name) {
                found = true;
                let text = fs::read(entry.path()).map_err(|error| error::files(&entry.path(), error))?;
                has_backend |= render::has_backend(&name, &String::from_utf8_lossy(&text));
            }
        }
        if !found {
            return Err(error::not_a_root(&self.runner.root.source.join(&self.runner.root.path)));
        }
        if !has_backend {
            self.check_own_state(dir)?;
            let text = render::local_backend(&self.place.state_file(), &self.place.workspaces());
            private_file(&dir.join(render::BACKEND_FILE), &text)?;
        }
        match chosen {
            Some(chosen) if !dir.join(PROVIDER_LOCK).exists() => {
                private_file(&dir.join(PROVIDER_LOCK), &String::from_utf8_lossy(chosen))
            }
            _ => Ok(()),
        }
    }

    /// Holds every call of a module in these directories, and in local modules below them, against the list.
    fn check_modules(&self, mut left: Vec<PathBuf>) -> Result<()> {
        let mut seen = BTreeSet::new();
        while let Some(dir) = left.pop() {
            if !seen.insert(dir.clone()) {
                continue;
            }
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !is_root_file(&name) {
                    continue;
                }
                let text = fs::read(entry.path()).map_err(|error| error::files(&entry.path(), error))?;
                for call in modules::calls(&name, &String::from_utf8_lossy(&text)) {
                    modules::check(&call, &self.runner.settings.modules)?;
                    left.extend(modules::local(&call).map(|local| straight(&dir.join(local))));
                }
            }
        }
        Ok(())
    }

    /// Where the modules are that the tool has fetched, as it lists them.
    fn fetched(&self) -> Vec<PathBuf> {
        let list = fs::read(self.runner.dir.join(".terraform/modules/modules.json")).unwrap_or_default();
        let list: Value = serde_json::from_slice(&list).unwrap_or_default();
        let modules = list["Modules"].as_array().into_iter().flatten();
        modules.filter_map(|module| Some(self.runner.dir.join(module["Dir"].as_str()?))).collect()
    }

    /// A root that was applied by hand has its state beside its files: making all of it once more would be wrong.
    fn check_own_state(&self, dir: &Path) -> Result<()> {
        let own = dir.join("terraform.tfstate");
        let Ok(bytes) = fs::read(&own) else { return Ok(()) };
        let has_resources = super::parse::state(&bytes).is_some_and(|state| state.has_resources());
        if has_resources && !self.place.state_file().exists() {
            let root = self.runner.root;
            return Err(error::own_state(
                &root.source.join(&root.path).join("terraform.tfstate"),
                &self.place.state_file(),
            ));
        }
        fs::remove_file(&own).map_err(|error| error::files(&own, error))
    }

    /// The state, from wherever it lies.
    pub(super) async fn state(&self) -> Result<Option<State>> {
        if self.is_local {
            let state = self.place.read_state(&self.runner.root.workspace)?;
            if !state.as_ref().is_some_and(State::is_encrypted) {
                return Ok(state);
            }
        }
        match self.runner.pull().await? {
            None => Ok(None),
            Some(bytes) => super::parse::state(&bytes)
                .map(Some)
                .ok_or_else(|| error::rubbish(Call::State, self.runner.tool.flavour)),
        }
    }

    /// Keeps the choice of providers, so that another release, or a rollback, uses the same ones.
    pub(super) fn keep_provider_lock(&self) -> Result<()> {
        let Ok(chosen) = fs::read_to_string(self.runner.dir.join(PROVIDER_LOCK)) else { return Ok(()) };
        private_file(&self.place.dir.join(PROVIDER_LOCK), &chosen)
    }
}
