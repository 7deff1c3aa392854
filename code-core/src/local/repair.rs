//! The way out of a broken journal: everything before the break is kept, everything behind it is put aside.
//!
//! ```text
//! shop@staging.log   ├── good ──┤✗ rest ────────┤
//!                         │            │
//!            1. all of it, byte for byte: shop@staging.20480.3fa9c1d2.damaged
//!                         ▼
//!            2. shop@staging.log, replaced whole by what is good
//!            3. shop@staging.head: how far it is good
//! ```
//!
//! The new file ends with an event that says so, and what may exist now without being recorded: whoever plans
//! next looks for it. Nothing is deleted. A crash between two of these leaves a journal that is still broken, or already good,
//! and the same command finishes. A record behind the break is never believed, also where it is whole: what
//! it follows from is not known. It is only told, so that it is known what to look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::disk::Disk;
use super::journal::{self, Place};
use super::lock::{Head, Holder};
use super::log::{self, Next, Reader, io_error};
use super::store::{Paths, decode, encode};
use crate::event::{Body, Event};
use crate::plan::Plan;
use crate::provider::Resource;
use crate::status::{Phase, State};
use crate::store::Seq;
use crate::{Address, Digest, Error, ErrorKind, Result};

/// What is wrong with a journal, and what a repair of it keeps.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Trouble {
    /// The deployment.
    pub deployment: String,
    /// What is wrong.
    pub why: String,
    /// The last event that is kept.
    pub kept: Seq,
    /// Where what is kept ends, in bytes from the beginning of the file.
    pub offset: u64,
    /// How many bytes are behind it.
    pub bytes: u64,
    /// The last event that is known to have been there.
    pub known: Seq,
    /// The events behind the break that can still be read.
    pub readable: Vec<(Seq, Event)>,
    /// The resources that may not be as recorded: what an open run may have done, and what the events behind
    /// the break are about.
    pub doubts: Vec<Resource>,
}

/// A journal that was repaired.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Repaired {
    /// What was wrong, and what was kept.
    pub trouble: Trouble,
    /// Where the files are that were not what was written, byte for byte.
    pub aside: Vec<PathBuf>,
}

impl Trouble {
    /// How many events are lost, as far as that is known.
    pub fn lost(&self) -> u64 {
        self.known.0.saturating_sub(self.kept.0)
    }
}

/// The resources that may not be as recorded; `state` is that of the events that are kept.
fn doubts(state: &State, readable: &[(Seq, Event)]) -> Vec<Resource> {
    let mut plan: Option<&Plan> = None;
    let mut doubts: BTreeMap<Address, Resource> = BTreeMap::new();
    if let Some(run) = state.open_run() {
        let undone = run.plan.steps.iter().zip(&run.steps).filter(|(_, record)| record.phase != Phase::Done);
        let resources = undone.map(|(step, _)| &step.change.resource);
        doubts.extend(resources.map(|resource| (resource.address.clone(), resource.clone())));
        plan = Some(&run.plan);
    }
    for (_, event) in readable {
        match &event.body {
            Body::Planned { plan: next } => plan = Some(next),
            Body::StepStarted { step, .. } | Body::StepDone { step, .. } => {
                let resource = plan.and_then(|plan| plan.step(*step)).map(|step| &step.change.resource);
                doubts.extend(resource.map(|resource| (resource.address.clone(), resource.clone())));
            }
            _ => {}
        }
    }
    doubts.into_values().collect()
}

/// What is wrong with a journal, if anything.
pub(super) fn examine(
    disk: &Disk,
    paths: &Paths,
    name: &str,
    before: Option<Seq>,
) -> Result<Option<Trouble>> {
    Ok(look(disk, paths, name, before)?.map(|found| found.trouble))
}

/// Keeps what is before the break. Whoever calls this has the lock.
pub(super) fn repair(
    disk: &Disk,
    paths: &Paths,
    name: &str,
    before: Option<Seq>,
    holder: &Holder,
) -> Result<Option<Repaired>> {
    let Some(Found { trouble, mut at, fence, head, log }) = look(disk, paths, name, before)? else {
        return Ok(None);
    };
    let mut aside = Vec::new();
    let good = log.get(..trouble.offset as usize).unwrap_or_default();
    let whole = !good.is_empty() && good.len() == log.len();
    if !whole && !log.is_empty() {
        aside.push(put_aside(disk, &paths.log, &trouble, &log)?);
    }
    if !whole || trouble.lost() > 0 {
        let mut bytes = if good.is_empty() { journal::header(name) } else { good.to_vec() };
        let (by, lost, doubts) = (holder.holder.clone(), trouble.lost(), trouble.doubts.clone());
        let event = Event { at: holder.since, body: Body::JournalRepaired { by, lost, doubts } };
        let (record, to) = journal::batch(at, &[encode(&event)?])?;
        bytes.extend(record);
        at = to;
        disk.replace(&paths.log, &bytes, 0o644).map_err(|e| io_error("repair", &paths.log, e))?;
    }
    if let Some(bytes) = head {
        aside.push(put_aside(disk, &paths.head, &trouble, &bytes)?);
    }
    Head::at(fence, at).write(disk, &paths.head)?;
    Ok(Some(Repaired { trouble, aside }))
}

/// A break with all that its repair needs.
struct Found {
    trouble: Trouble,
    at: Place,
    fence: u64,
    /// The bytes of the head, where they are not what was written.
    head: Option<Vec<u8>>,
    log: Vec<u8>,
}

fn look(disk: &Disk, paths: &Paths, name: &str, before: Option<Seq>) -> Result<Option<Found>> {
    let (head, mut why) = match Head::read(disk, &paths.head, name) {
        Ok(head) => (head, None),
        Err(error) => (Head::default(), Some(damage(error)?)),
    };
    let bad_head = why.is_some().then(|| bytes(disk, &paths.head)).transpose()?;
    let start = journal::read_header(&journal::header(name), name)?;
    let (mut at, mut offset) = (start, 0);
    let mut state = State::default();
    match Reader::open(disk, &paths.log, name, head.known()) {
        Err(error) => why = Some(damage(error)?),
        Ok(None) if head.last > Seq::START => why = Some(log::gone(name, &paths.log)),
        Ok(None) if why.is_none() => return Ok(None),
        Ok(None) => {}
        Ok(Some(mut reader)) => {
            offset = reader.at().offset;
            loop {
                match reader.next() {
                    Ok(Next::Batch(batch)) => {
                        let last = batch.last().map_or(Seq::START, |(place, _)| *place);
                        if before.is_some_and(|before| last >= before) {
                            why = why.or_else(|| Some(not_trusted(name, before.unwrap_or(last))));
                            break;
                        }
                        (at, offset) = (reader.at(), reader.at().offset);
                        for (place, body) in &batch {
                            if let Ok(event) = decode(*place, body) {
                                state.apply(*place, &event);
                            }
                        }
                    }
                    Ok(Next::End | Next::Torn) => break,
                    Err(error) => {
                        why = Some(damage(error)?);
                        break;
                    }
                }
            }
        }
    }
    let Some(why) = why else { return Ok(None) };
    let log = bytes(disk, &paths.log)?;
    let rest = log.get(offset as usize..).unwrap_or_default();
    let records: Vec<_> = journal::whole_records(rest, at.last.next())
        .filter(|record| record.place > at.last)
        .map(|record| (record.place, decode(record.place, record.body)))
        .collect();
    let known = records.iter().map(|(place, _)| *place).chain([head.last, at.last]).max();
    let readable = records.into_iter().filter_map(|(place, event)| Some((place, event.ok()?)));
    let readable: Vec<_> = readable.collect();
    let trouble = Trouble {
        deployment: name.to_owned(),
        why: why.message().to_owned(),
        kept: at.last,
        offset,
        bytes: rest.len() as u64,
        known: known.unwrap_or(at.last),
        doubts: doubts(&state, &readable),
        readable,
    };
    Ok(Some(Found { trouble, at, fence: head.fence, head: bad_head, log }))
}

/// An error of damage; every other one is none that a repair can mend.
fn damage(error: Error) -> Result<Error> {
    if error.kind() == ErrorKind::Corrupt && error.code() != "journal::version" {
        Ok(error)
    } else {
        Err(error)
    }
}

fn not_trusted(name: &str, record: Seq) -> Error {
    let message =
        format!("trust the journal of {name}: record {record} does not follow from those before it");
    Error::new(ErrorKind::Corrupt, "chain::broken", message)
        .help("see what it is with `verify`; `journal repair` keeps everything before it")
}

/// All bytes of a file; none where it is gone.
fn bytes(disk: &Disk, path: &Path) -> Result<Vec<u8>> {
    match disk.read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| io_error("read", path, error)),
    }
}

/// Writes bytes beside the journal, under a name that says what they are: the same bytes get the same name.
fn put_aside(disk: &Disk, path: &Path, trouble: &Trouble, bytes: &[u8]) -> Result<PathBuf> {
    let digest = &Digest::of(bytes).to_string()[..8];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.{}.{digest}.damaged", trouble.offset));
    disk.replace(&aside, bytes, 0o644).map_err(|error| io_error("put aside", &aside, error))?;
    Ok(aside)
}
