//! A model of a disk that fails, for tests: from one seed, every way in which files betray a program.
//!
//! ```text
//!            write, set_len, rename …               sync               crash
//! program ───────────────────────────▶ shown, pending ───▶ durable ◀──────── some of what is pending,
//!                 a fault at any call                                        torn anywhere or at a sector
//! ```
//!
//! What the system shows and what the disk has are two things here: what was not synced is lost at a crash,
//! wholly, in part or not at all, names too. A sync that fails forgets what it should have written, as Linux
//! does: the next one succeeds and has written nothing of it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// The sector of a disk, in bytes: what it writes whole or not at all.
const SECTOR: usize = 512;

/// A disk whose contents outlive the programs that use it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

/// A file of it that is open; it stays the same file whatever happens to its name.
#[derive(Debug)]
pub(super) struct File {
    disk: Disk,
    node: usize,
}

#[derive(Debug, Default)]
struct Inner {
    dice: Dice,
    /// How many calls in a thousand fail.
    rate: u64,
    /// The power is gone: nothing works until it is back.
    dead: bool,
    nodes: Vec<Node>,
    shown: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<Vec<(PathBuf, Option<usize>)>>,
    faults: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    shown: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty disk on which nothing fails yet.
    pub(super) fn new(seed: u64) -> Disk {
        Disk(Arc::new(Mutex::new(Inner { dice: Dice::new(seed), ..Inner::default() })))
    }

    /// From now on, so many calls in a thousand fail.
    pub(super) fn fail(&self, rate: u64) {
        self.inner().rate = rate;
    }

    /// Whether the power is gone.
    pub(super) fn dead(&self) -> bool {
        self.inner().dead
    }

    /// How often each fault struck so far.
    pub(super) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.inner().faults.clone()
    }

    /// A number below this one, from the disk's own dice.
    pub(super) fn roll(&self, below: u64) -> u64 {
        self.inner().dice.roll(below)
    }

    /// The power goes: of what was not synced, some is there, some is not, and some is torn.
    pub(super) fn crash(&self) {
        let inner = &mut *self.inner();
        inner.dead = false;
        let names = inner.dice.roll(inner.pending.len() as u64 + 1) as usize;
        for change in inner.pending.drain(..).take(names) {
            name(&mut inner.durable, change);
        }
        inner.shown.clone_from(&inner.durable);
        for node in &mut inner.nodes {
            for change in node.pending.drain(..) {
                let kept = match (&change, inner.dice.roll(4)) {
                    (_, 0) => continue,
                    (Change::Write { at, bytes }, way @ (1 | 2)) => {
                        let all = bytes.len() as u64;
                        let cut = inner.dice.roll(all + 1) as usize;
                        // At the border of a sector, unless the disk is a bad one.
                        let cut =
                            if way == 1 { ((at + cut) / SECTOR * SECTOR).saturating_sub(*at) } else { cut };
                        *inner.faults.entry("torn write").or_default() += 1;
                        Change::Write { at: *at, bytes: bytes[..cut].to_vec() }
                    }
                    _ => change,
                };
                kept.apply(&mut node.durable);
            }
            node.shown.clone_from(&node.durable);
        }
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        self.fault("open error")?;
        let node = self.inner().shown.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(File { disk: self.clone(), node })
    }

    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.full("full disk at a new file")?;
        let mut inner = self.inner();
        if inner.shown.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.nodes.push(Node::default());
        let node = inner.nodes.len() - 1;
        inner.rename(vec![(path.to_owned(), Some(node))]);
        Ok(File { disk: self.clone(), node })
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.full("full disk at a rename")?;
        let mut inner = self.inner();
        let node = inner.shown.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        inner.rename(vec![(to.to_owned(), Some(node)), (from.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner().rename(vec![(path.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn sync_dir(&self) -> io::Result<()> {
        self.inner().power("power loss before the sync of a directory")?;
        self.fault("sync error of a directory")?;
        let inner = &mut *self.inner();
        for change in inner.pending.drain(..) {
            name(&mut inner.durable, change);
        }
        Ok(())
    }

    fn fault(&self, what: &'static str) -> io::Result<()> {
        self.inner().fault(what).map_or(Ok(()), |()| Err(rustix::io::Errno::IO.into()))
    }

    fn full(&self, what: &'static str) -> io::Result<()> {
        self.inner().fault(what).map_or(Ok(()), |()| Err(rustix::io::Errno::NOSPC.into()))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl File {
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let inner = &mut *self.disk.inner();
        let mut length = bytes.len();
        if !inner.dead && inner.fault("interrupted write").is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if inner.fault("write error").is_some() {
            return Err(rustix::io::Errno::IO.into());
        }
        if inner.fault("full disk").is_some() {
            // Nothing fits, or a part: a short write.
            if length < 2 || inner.dice.roll(2) == 0 {
                return Err(rustix::io::Errno::NOSPC.into());
            }
            length = 1 + inner.dice.roll(length as u64 - 1) as usize;
        }
        if length > 1 && inner.fault("short write").is_some() {
            length = 1 + inner.dice.roll(length as u64 - 1) as usize;
        }
        let change = Change::Write { at: offset as usize, bytes: bytes[..length].to_vec() };
        inner.nodes[self.node].change(change);
        inner.power("power loss in a write")?;
        Ok(length)
    }

    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = &mut *self.disk.inner();
        if !inner.dead && inner.fault("interrupted read").is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if inner.fault("read error").is_some() {
            return Err(rustix::io::Errno::IO.into());
        }
        let shown = &inner.nodes[self.node].shown;
        let rest = shown.get(offset as usize..).unwrap_or_default();
        let mut length = rest.len().min(bytes.len());
        if length > 1 && inner.rate > 0 && inner.dice.roll(2) == 0 {
            length = 1 + inner.dice.roll(length as u64 - 1) as usize;
        }
        let rest = inner.nodes[self.node].shown.get(offset as usize..).unwrap_or_default();
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.fault("error at a new length")?;
        self.disk.inner().nodes[self.node].change(Change::Length(length as usize));
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        let inner = &mut *self.disk.inner();
        inner.power("power loss before a sync")?;
        let fails = inner.fault("sync error").is_some();
        let Node { durable, pending, .. } = &mut inner.nodes[self.node];
        for change in pending.drain(..) {
            // What a failed sync could not write is forgotten, and still shown.
            if !fails || inner.dice.roll(3) == 0 {
                change.apply(durable);
            }
        }
        if fails { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }
}

impl Inner {
    /// Whether the power goes here.
    fn power(&mut self, what: &'static str) -> io::Result<()> {
        self.dead |= self.fault(what).is_some();
        if self.dead { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }

    /// Whether this call fails.
    fn fault(&mut self, what: &'static str) -> Option<()> {
        if self.dead {
            return Some(());
        }
        if self.rate == 0 || self.dice.roll(1000) >= self.rate {
            return None;
        }
        *self.faults.entry(what).or_default() += 1;
        Some(())
    }

    fn rename(&mut self, change: Vec<(PathBuf, Option<usize>)>) {
        name(&mut self.shown, change.clone());
        self.pending.push(change);
    }
}

fn name(names: &mut BTreeMap<PathBuf, usize>, change: Vec<(PathBuf, Option<usize>)>) {
    for (path, node) in change {
        match node {
            Some(node) => names.insert(path, node),
            None => names.remove(&path),
        };
    }
}

impl Node {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.shown);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write { bytes: new, .. } if new.is_empty() => {}
            Change::Write { at, bytes: new } => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
        }
    }
}

/// A small generator, so that one seed is one story (xorshift64*, Vigna 2016).
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Default for Dice {
    fn default() -> Dice {
        Dice::new(0)
    }
}

impl Dice {
    /// The dice of a seed.
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this one.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below.max(1)
    }
}
