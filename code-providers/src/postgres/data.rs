//! A cluster's files: `postgres.data`.
//!
//! ```text
//! DIR.new-1  ◀── initdb, settings ──  made beside its place, by its owner
//!    └─ renamed to DIR when it is whole; what a crash left is removed, and never made use of
//! ```

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use code_core::host::Command;
use code_core::provider::{Action, Change, Effects, Live, Observed, Promise, Resource};
use code_core::{Ctx, Expr, Progress, Result, Secret, Want, kill};

use super::config::Data;
use super::owner::{self, Owner};
use super::programs::{Programs, all_programs};
use super::{error, parse, render};
use crate::keep;

pub(super) async fn observe(ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let recorded = last.map(|live| &live.was);
    let Some(want) = resource.want.as_ref().or(recorded) else { return Ok(Observed::Absent) };
    let dir = Data::read(want)?.dir;
    let version = match fs::read_to_string(dir.join("PG_VERSION")) {
        Ok(version) => version,
        Err(cause) if cause.kind() == Io::NotFound => return nothing_whole(&dir, resource, last),
        Err(cause) => return Ok(Observed::Unknown(format!("cannot read {}: {cause}", dir.display()))),
    };
    let Some(major) = parse::major(&version) else {
        return Ok(Observed::Unknown(format!("{}/PG_VERSION names no version", dir.display())));
    };
    let owner = owner::of_files(ctx.host(), &dir)?;
    let programs = all_programs(ctx.host()).await.into_iter().find(|programs| programs.major == major);
    Ok(Observed::Present(live(want, major, &owner, programs.as_ref())))
}

/// There is no cluster: that is sure where nothing at all is there.
fn nothing_whole(dir: &Path, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let unknown = |why: String| Ok(Observed::Unknown(why));
    let entries = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(cause) if cause.kind() == Io::NotFound => false,
        Err(cause) => return unknown(format!("cannot look into {}: {cause}", dir.display())),
    };
    match (entries, &resource.want, last) {
        // What a delete that was broken off left.
        (true, None, Some(last)) => Ok(Observed::Present(last.clone())),
        (true, ..) => unknown(format!("{} holds something, and no PostgreSQL cluster", dir.display())),
        (false, Some(_), Some(last)) => match Data::read(&last.was) {
            // Making an empty cluster while the data lies elsewhere would look like losing it.
            Ok(old) if old.dir != dir && old.dir.exists() => unknown(format!(
                "its data is in {}, and {} is wanted: move the directory first",
                old.dir.display(),
                dir.display()
            )),
            _ => Ok(Observed::Absent),
        },
        (false, ..) => Ok(Observed::Absent),
    }
}

fn live(want: &Want, major: u32, owner: &Owner, programs: Option<&Programs>) -> Live {
    let mut was = want.clone();
    if want.get("major").is_some() {
        was = was.with("major", major.to_string());
    }
    let missing = programs.is_none().then(|| format!("the programs of PostgreSQL {major} are not here"));
    Live {
        id: want.read("dir").ok().flatten().unwrap_or_default(),
        was,
        outputs: programs.map(|programs| outputs(programs, owner).into()).unwrap_or_default(),
        drift: missing.into_iter().collect(),
    }
}

fn outputs(programs: &Programs, owner: &Owner) -> [(String, Expr); 3] {
    [
        ("program", programs.program("postgres").to_string_lossy().into_owned()),
        ("bin_dir", programs.bin_dir.to_string_lossy().into_owned()),
        ("user", owner.name.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
}

pub(super) async fn plan(ctx: &Ctx, resource: &Resource, observed: &Observed) -> Result<Change> {
    let Some(want) = &resource.want else { return Ok(keep::delete(resource, observed, "all databases in")) };
    if !want.is_bound() {
        let create = Change::create(resource, Effects::one(Action::Create, "a PostgreSQL cluster"));
        return Ok(keep::kept(
            ["program", "bin_dir", "user"].iter().fold(create, |c, name| c.output(name, Promise::Later)),
        ));
    }
    let wanted = Data::read(want)?;
    if let Some(live) = observed.live() {
        let is = fs::read_to_string(wanted.dir.join("PG_VERSION")).ok().and_then(|text| parse::major(&text));
        let major = is.unwrap_or_default();
        return match wanted.major {
            Some(wanted_major) if wanted_major != major => {
                Err(error::major(&wanted.dir, major, wanted_major))
            }
            _ if !live.drift.is_empty() => Err(no_programs(ctx, Some(major)).await),
            _ => Ok(Change::keep(resource, live)),
        };
    }
    let programs = pick(ctx, wanted.major).await?;
    let owner = owner::of_new(ctx.host())?;
    owner::check_way(&owner, &wanted.dir, ctx.state_dir())?;
    let what = format!("PostgreSQL {} cluster in {}", programs.major, wanted.dir.display());
    let create = Change::create(resource, Effects::one(Action::Create, what));
    let outputs = outputs(&programs, &owner);
    Ok(keep::kept(
        outputs.into_iter().fold(create, |c, (name, value)| c.output(&name, Promise::Stays(value))),
    ))
}

async fn pick(ctx: &Ctx, major: Option<u32>) -> Result<Programs> {
    let mut all = all_programs(ctx.host()).await.into_iter();
    match all.find(|programs| major.is_none_or(|major| major == programs.major)) {
        Some(programs) => Ok(programs),
        None => Err(no_programs(ctx, major).await),
    }
}

async fn no_programs(ctx: &Ctx, major: Option<u32>) -> code_core::Error {
    let found: Vec<String> = all_programs(ctx.host()).await.into_iter().map(|found| found.version).collect();
    error::missing(major, &found)
}

pub(super) async fn make(ctx: &Ctx, resource: &Resource) -> Result<Live> {
    let want = resource.wanted();
    let wanted = Data::read(&want)?;
    if !wanted.dir.join("PG_VERSION").exists() {
        let programs = pick(ctx, wanted.major).await?;
        let owner = owner::of_new(ctx.host())?;
        owner::open_way(&owner, &wanted.dir, ctx.state_dir())?;
        let password = ctx.secret_or_make(&wanted.superuser_password, crate::password::make).await?;
        make_cluster(ctx, &wanted.dir, &programs, &owner, &password).await?;
    }
    match observe(ctx, resource, None).await? {
        Observed::Present(live) => Ok(live),
        _ => Err(no_programs(ctx, wanted.major).await),
    }
}

async fn make_cluster(
    ctx: &Ctx,
    dir: &Path,
    programs: &Programs,
    owner: &Owner,
    password: &Secret,
) -> Result<()> {
    // Somebody may still write to what is removed: its name is not used again.
    let new = beside(dir, &format!("new-{}", remove_unfinished(dir) + 1));
    owner::own_directory(owner, &new)?;
    ctx.say(format!("making a cluster of PostgreSQL {}", programs.version));
    let file = PasswordFile::write(beside(dir, "password"), owner, password)?;
    initdb(ctx, &new, programs, owner, &file).await?;
    drop(file);
    for (name, text, append) in [("postgresql.conf", render::CONF, true), ("pg_hba.conf", render::HBA, false)]
    {
        write_as(ctx, owner, &new.join(name), text, append).await?;
    }
    kill::point("postgres.commit.before");
    fs::rename(&new, dir).map_err(|cause| error::files("move the new cluster to", dir, cause))?;
    kill::point("postgres.commit.after");
    let synced = dir.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all());
    synced.map_err(|cause| error::files("store", dir, cause))
}

async fn initdb(
    ctx: &Ctx,
    new: &Path,
    programs: &Programs,
    owner: &Owner,
    password: &PasswordFile,
) -> Result<()> {
    // `C.UTF-8` sorts as C does and knows the letters of all languages; where there is none, C does.
    for locale in ["C.UTF-8", "C"] {
        let command = Command::new(programs.program("initdb"))
            .args(render::initdb(new, &password.path, locale))
            .env("LC_MESSAGES", "C")
            .cwd("/")
            .user(owner.ids);
        let output = ctx
            .host()
            .run(ctx.cancel(), command, &|line| {
                kill::point("postgres.initdb");
                ctx.progress(Progress::Line(line.to_owned()));
            })
            .await?;
        if output.success() {
            return Ok(());
        }
        let said = output.tail(5);
        if !said.contains("locale") || locale == "C" {
            return Err(error::tool("initdb", ctx.redactor().redact(&said)));
        }
    }
    Ok(())
}

/// Writes a file as its owner would: root must not follow what a service user may have put there.
async fn write_as(ctx: &Ctx, owner: &Owner, path: &Path, text: &str, append: bool) -> Result<()> {
    let append = append.then_some("-a");
    let command = Command::new("tee").args(append).arg(path).cwd("/").user(owner.ids).stdin(text);
    let output = ctx.host().run(ctx.cancel(), command, &|_| {}).await?;
    match output.success() {
        true => Ok(()),
        false => Err(error::tool("tee", output.tail(5)).with("path", path.display().to_string())),
    }
}

/// A password in a file that only its owner can read, for as long as it is needed.
struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    fn write(path: PathBuf, owner: &Owner, password: &Secret) -> Result<PasswordFile> {
        let write = || {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != Io::NotFound => return Err(cause),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            if let Some((uid, gid)) = owner.ids {
                fchown(&file, Some(uid), Some(gid))?;
            }
            file.write_all(password.expose().as_bytes())
        };
        write().map_err(|cause| error::files("write", &path, cause))?;
        Ok(PasswordFile { path })
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// A path next to the cluster's, on the same file system.
fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    dir.with_file_name(name)
}

/// Removes the clusters beside this one's place that were never finished, as far as it can; gives the highest of
/// their numbers.
fn remove_unfinished(dir: &Path) -> u64 {
    let begins = beside(dir, "new-");
    let (Some(parent), Some(begins)) = (dir.parent(), begins.file_name()) else { return 0 };
    let number = |name: &OsStr| name.to_str()?.strip_prefix(begins.to_str()?)?.parse::<u64>().ok();
    let mut highest = 0;
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if let Some(number) = number(&entry.file_name()) {
            highest = highest.max(number);
            // The next one who makes or deletes a cluster tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    highest
}

pub(super) async fn delete(ctx: &Ctx, prior: &Live) -> Result<()> {
    let Data { dir, superuser_password, .. } = Data::read(&prior.was)?;
    ctx.say(format!("deleting {}", dir.display()));
    remove_unfinished(&dir);
    match fs::remove_dir_all(&dir) {
        Err(cause) if cause.kind() != Io::NotFound => return Err(error::files("delete", &dir, cause)),
        _ => {}
    }
    ctx.forget_secret(&superuser_password).await
}
