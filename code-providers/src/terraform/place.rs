//! What lies in the state directory of one root: its state, and what we know of it beside that.
//!
//! ```text
//! STATE/terraform/shop@staging/infra/endpoint/   only its user may enter: a state holds secrets in plain
//!   terraform.tfstate                        where the root has no backend of its own
//!   root.json                                what was applied last, and by which step
//!   applying.json                            there while an apply is under way
//!   applying.done                            which of its resources were seen finished
//! STATE/cache/terraform/                     what can be made again at any time: see `work`
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::provider::Action;
use code_core::{Address, Ctx, Error, ErrorKind, Key, Layout, Result, Want};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::error;
use super::parse::{self, State};

/// How often it is looked whether a tool that was told to stop has stopped.
const PAUSE: Duration = Duration::from_millis(100);

/// The directory of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
}

/// What was applied last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) was: Want,
    /// The step that applied it.
    pub(super) key: Key,
    /// The state's own identity and count of writes, after that.
    pub(super) lineage: String,
    pub(super) serial: u64,
}

/// An apply that has begun, and of which nobody has said that it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Applying {
    pub(super) was: Want,
    /// What it was to do with each resource.
    pub(super) changes: Vec<(String, Action)>,
    /// Those of them with provisioners. The tools record such a resource as made before its provisioners have
    /// run, so a kill in between leaves a state that says more than was done.
    pub(super) provisioned: BTreeSet<String>,
}

impl Place {
    /// That of the root at an address of the context's deployment.
    pub(super) fn of(ctx: &Ctx, address: &Address) -> Result<Place> {
        let deployment = ctx.deployment().ok_or_else(|| {
            Error::new(
                ErrorKind::Bug,
                "terraform::nowhere",
                format!("tell of which deployment `{address}` is"),
            )
            .help("name it with `Ctx::for_deployment`: an address is unique only within one")
        })?;
        Ok(Place { dir: Layout::new(ctx.state_dir()).terraform(deployment, address) })
    }

    /// The state of a root without a backend of its own.
    pub(super) fn state_file(&self) -> PathBuf {
        self.dir.join("terraform.tfstate")
    }

    /// The states of its other workspaces.
    pub(super) fn workspaces(&self) -> PathBuf {
        self.dir.join("workspaces")
    }

    pub(super) fn local_state(&self, workspace: &str) -> PathBuf {
        match workspace {
            "default" => self.state_file(),
            other => self.workspaces().join(other).join("terraform.tfstate"),
        }
    }

    pub(super) fn make(&self) -> Result<()> {
        private_dir(&self.dir)
    }

    pub(super) fn note(&self) -> Result<Option<Note>> {
        read_json(&self.dir.join("root.json"))
    }

    pub(super) async fn write_note(&self, ctx: &Ctx, note: &Note) -> Result<()> {
        write_json(ctx, &self.dir.join("root.json"), note).await
    }

    pub(super) fn forget_note(&self) -> Result<()> {
        remove(&self.dir.join("root.json"))
    }

    pub(super) fn applying(&self) -> Result<Option<Applying>> {
        read_json(&self.dir.join("applying.json"))
    }

    pub(super) async fn begin(&self, ctx: &Ctx, applying: &Applying) -> Result<()> {
        remove(&self.done_file())?;
        write_json(ctx, &self.dir.join("applying.json"), applying).await
    }

    /// The tool ended and said how: its state is to be believed.
    pub(super) fn ended(&self) -> Result<()> {
        remove(&self.dir.join("applying.json"))?;
        remove(&self.done_file())
    }

    /// Notes that a resource is done. What cannot be noted is done once more after a crash, where it has provisioners.
    pub(super) fn finished(&self, address: &str, id: &str) {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.done_file());
        let _ = file.and_then(|mut file| writeln!(file, "{address}\t{}", id.replace(['\n', '\t'], " ")));
    }

    /// What was seen finished of an apply that is under way or was cut off: addresses, with their ids.
    pub(super) fn done(&self) -> BTreeMap<String, String> {
        let done = fs::read_to_string(self.done_file()).unwrap_or_default();
        // A line that was cut off says nothing.
        let whole = done.rfind('\n').map_or("", |end| &done[..end]);
        let line =
            |line: &str| line.split_once('\t').map(|(address, id)| (address.to_owned(), id.to_owned()));
        whole.lines().filter_map(line).collect()
    }

    /// The resources that an apply recorded as made, although nobody saw them finished.
    pub(super) fn unproven(&self, applying: &Applying) -> Vec<String> {
        let done = self.done();
        applying.provisioned.iter().filter(|address| !done.contains_key(*address)).cloned().collect()
    }

    pub(super) fn done_file(&self) -> PathBuf {
        self.dir.join("applying.done")
    }

    /// The local state of a workspace. The tools make an empty file where they take the lock of a state that is
    /// yet to be: it says nothing, unless something was applied before; then a kill has cut it off.
    ///
    /// # Errors
    /// `terraform::state-damaged` where it cannot be read as one.
    pub(super) fn read_state(&self, workspace: &str) -> Result<Option<State>> {
        let file = self.local_state(workspace);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&file, error)),
        };
        if bytes.is_empty() && self.note()?.is_none() {
            return Ok(None);
        }
        parse::state(&bytes).map(Some).ok_or_else(|| error::state_damaged(&file))
    }

    /// Waits until no tool of an earlier call writes here any more: one whose caller is gone was told to stop, and
    /// is finishing what it was doing. The lock that it has of the state file is the tools' own (fcntl(2)).
    pub(super) async fn quiet(&self, ctx: &Ctx, workspace: &str, longest: Duration) -> Result<()> {
        let mut told = false;
        let mut left = longest;
        while self.is_locked(workspace) && !left.is_zero() {
            if ctx.cancel().is_cancelled() {
                return Err(Error::new(
                    ErrorKind::Cancelled,
                    "host::cancelled",
                    "wait for the root: it was cancelled",
                )
                .help("run it again"));
            }
            if !std::mem::replace(&mut told, true) {
                ctx.say("waiting for an apply that was told to stop");
            }
            ctx.host().sleep(PAUSE).await;
            left = left.saturating_sub(PAUSE);
        }
        Ok(())
    }

    fn is_locked(&self, workspace: &str) -> bool {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(self.local_state(workspace)) else {
            return false;
        };
        // What cannot be asked here is told by the tool itself.
        fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok().flatten().is_some()
    }
}

/// Makes a directory that only its user may enter.
pub(super) fn private_dir(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| error::files(dir, error))
}

/// Writes a file that only its user may read.
pub(super) fn private_file(path: &Path, text: &str) -> Result<()> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file: File| file.write_all(text.as_bytes())).map_err(|error| error::files(path, error))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorKind::Failed, "terraform::note-damaged", format!("read {}", path.display()))
                .help("move the file away: the next apply looks at what is there, and writes it again")
                .because(error)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Denied, "terraform::unreadable", format!("read {}", path.display()))
        .help("give your user the right to read it: as long as nobody can look, nothing is said to be gone")
        .because(error)
}

async fn write_json(ctx: &Ctx, path: &Path, value: &(impl Serialize + Sync)) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| error::files(path, error.into()))?;
    ctx.host().write(path, &bytes, 0o600).await
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error::files(path, error)),
    }
}
