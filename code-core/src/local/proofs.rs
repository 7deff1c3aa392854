//! What the journal promises, held against a disk that fails and against every byte that can change.
//!
//! No real file is touched, so that thousands of stories take seconds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::disk;
use super::faulty::Disk;
use super::journal::Place;
use super::lock::{Head, Holder};
use super::log::{Log, Next, Reader};
use super::repair;
use super::store::{Paths, ready};
use crate::Error;
use crate::store::Seq;

const NAME: &str = "shop/staging";

type Bodies = Vec<Vec<u8>>;

/// What happened in all stories.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    failed: usize,
    crashes: usize,
    cuts: usize,
    taken: usize,
    faults: BTreeMap<&'static str, u64>,
}

/// One writer after the other on one disk, and what they were told.
struct Story<'a> {
    disk: Disk,
    real: disk::Disk,
    paths: Paths,
    acknowledged: Bodies,
    /// Batches whose append failed since the last that did not: one of them may be there, whole.
    doubtful: Vec<Bodies>,
    tally: &'a mut Tally,
    batches: u32,
}

impl Story<'_> {
    fn tell(seed: u64, tally: &mut Tally) {
        let disk = Disk::new(seed);
        let mut story = Story {
            real: disk::Disk::Faulty(disk.clone()),
            disk,
            paths: paths(),
            acknowledged: Vec::new(),
            doubtful: Vec::new(),
            tally,
            batches: 0,
        };
        for _ in 0..5 {
            let rate = [0, 20, 60, 200][story.disk.roll(4) as usize];
            story.disk.fail(rate);
            story.holder();
            story.disk.fail(0);
            let crash = story.disk.dead() || story.disk.roll(2) == 0;
            if crash {
                story.disk.crash();
                story.tally.crashes += 1;
            }
            let (there, error) = story.read();
            assert!(error.is_none(), "seed {seed}: {error:?}");
            story.fits(&there, true);
            if crash && there.len() > story.acknowledged.len() {
                // Nobody was told of it, and the disk has it: from here on it counts.
                story.acknowledged = there;
                story.doubtful.clear();
                story.tally.taken += 1;
            }
        }
        // On a disk that works again, everything goes on.
        let (mut log, ..) = ready(&story.real, &story.paths, NAME).unwrap();
        story.adopt(&log);
        story.append(&mut log);
        story.disk.crash();
        assert_eq!(story.read().0, story.acknowledged, "seed {seed}");
        assert_eq!(
            repair::repair(&story.real, &story.paths, NAME, None, &holder()).unwrap(),
            None,
            "seed {seed}"
        );
        for (fault, times) in story.disk.faults() {
            *story.tally.faults.entry(fault).or_default() += times;
        }
    }

    /// One process: takes the log, appends and reads as long as it likes, and ends well or not.
    fn holder(&mut self) {
        let (mut log, fence, cut) = match ready(&self.real, &self.paths, NAME) {
            Ok(ready) => ready,
            Err(error) => return honest(&error),
        };
        self.tally.cuts += usize::from(cut.is_some());
        self.adopt(&log);
        for _ in 0..self.disk.roll(9) {
            if self.disk.roll(4) == 0 {
                let (there, error) = self.read();
                self.fits(&there, error.is_none());
                error.iter().for_each(honest);
            } else {
                self.append(&mut log);
            }
        }
        if self.disk.roll(2) == 0 {
            let place: Place = log.at();
            if let Err(error) = Head::at(fence, place).write(&self.real, &self.paths.head) {
                honest(&error);
            }
        }
    }

    /// What nobody was told of is there all the same: from here on it counts.
    fn adopt(&mut self, log: &Log) {
        let there = self.acknowledged.len();
        let last = log.at().last.0 as usize;
        if let Some(taken) = self.doubtful.iter().find(|batch| there + batch.len() == last && last > there) {
            self.acknowledged.extend(taken.clone());
            self.tally.taken += 1;
        }
        assert_eq!(self.acknowledged.len(), last, "a holder finds whole batches");
        self.doubtful.clear();
    }

    fn append(&mut self, log: &mut Log) {
        self.batches += 1;
        let long = if self.disk.roll(5) == 0 { 2000 } else { 20 };
        let size = 1 + self.disk.roll(3);
        let body = |i| format!("{}/{i}:{}", self.batches, "x".repeat(long)).into_bytes();
        let bodies: Bodies = (0..size).map(body).collect();
        match log.append(&bodies) {
            Ok(last) => {
                self.acknowledged.extend(bodies);
                self.doubtful.clear();
                self.tally.acknowledged += size as usize;
                assert_eq!(last.0 as usize, self.acknowledged.len());
            }
            Err(error) => {
                honest(&error);
                self.doubtful.push(bodies);
                self.tally.failed += 1;
            }
        }
    }

    fn read(&self) -> (Bodies, Option<Error>) {
        read(&self.real, &self.paths)
    }

    /// Acknowledged events first, then all of one batch that failed or nothing.
    fn fits(&self, there: &Bodies, whole: bool) {
        let known = self.acknowledged.len().min(there.len());
        assert_eq!(there[..known], self.acknowledged[..known]);
        assert!(!whole || known == self.acknowledged.len(), "acknowledged events are lost");
        let more = &there[known..];
        assert!(more.is_empty() || self.doubtful.iter().any(|batch| batch == more), "half a batch: {more:?}");
    }
}

/// A disk that fails is told as that, with help, and never as damage of the journal.
fn honest(error: &Error) {
    assert!(["journal::io", "journal::full"].contains(&error.code()), "{error:?}");
    assert!(error.help_text().is_some() && !error.causes().is_empty(), "{error:?}");
}

#[test]
fn acknowledged_events_outlive_every_fault_of_a_disk() {
    let mut tally = Tally::default();
    let seeds = 2000;
    for seed in 0..seeds {
        Story::tell(seed, &mut tally);
    }
    assert!(tally.faults.len() >= 16, "some fault never struck: {tally:?}");
    assert!(tally.cuts > 20 && tally.taken > 20 && tally.failed > 20, "{tally:?}");
    let struck: u64 = tally.faults.values().sum();
    println!(
        "figure: journal on a failing disk: {seeds} seeds, {} crashes, {struck} faults of {} kinds, {} failed \
         appends; {} events acknowledged, 0 lost",
        tally.crashes,
        tally.faults.len(),
        tally.failed,
        tally.acknowledged,
    );
}

#[test]
fn the_first_append_makes_the_log_and_every_fence_is_greater() {
    let (disk, paths) = (disk::Disk::Faulty(Disk::new(1)), paths());
    for fence in 1..4 {
        let (log, now, _) = ready(&disk, &paths, NAME).unwrap();
        assert_eq!((now, log.at().last), (fence, Seq::START));
        assert_eq!(disk.read(&paths.log).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
    let (mut log, ..) = ready(&disk, &paths, NAME).unwrap();
    log.append(&[b"first".to_vec()]).unwrap();
    assert_eq!(whole(&disk, &paths), [b"first"]);
    // Whoever wrote it was killed.
    let (mut log, fence, cut) = ready(&disk, &paths, NAME).unwrap();
    assert!(fence == 5 && cut.is_none());
    log.append(&[b"second".to_vec()]).unwrap();
    assert_eq!(whole(&disk, &paths), [&b"first"[..], b"second"]);
}

/// A disk with a log on it, and with what is noted beside it where somebody ended well.
fn disk_with(log: &[u8], head: Option<&[u8]>, paths: &Paths) -> disk::Disk {
    let disk = disk::Disk::Faulty(Disk::new(1));
    disk.replace(&paths.log, log, 0o644).unwrap();
    if let Some(head) = head {
        disk.replace(&paths.head, head, 0o644).unwrap();
    }
    disk
}

fn paths() -> Paths {
    let file = |extension: &str| PathBuf::from(format!("/j/shop@staging.{extension}"));
    Paths { log: file("log"), lock: file("lock"), head: file("head") }
}

/// Everything that can be read before anything is wrong.
fn read(disk: &disk::Disk, paths: &Paths) -> (Bodies, Option<Error>) {
    let known = Head::read(disk, &paths.head, NAME).unwrap_or_default().known();
    let mut there = Vec::new();
    let mut reader = match Reader::open(disk, &paths.log, NAME, known) {
        Ok(Some(reader)) => reader,
        Ok(None) => return (there, None),
        Err(error) => return (there, Some(error)),
    };
    loop {
        match reader.next() {
            Ok(Next::Batch(batch)) => there.extend(batch.into_iter().map(|(_, body)| body)),
            Ok(Next::End | Next::Torn) => return (there, None),
            Err(error) => return (there, Some(error)),
        }
    }
}

/// Everything that can be read, where nothing is wrong.
fn whole(disk: &disk::Disk, paths: &Paths) -> Bodies {
    let (there, error) = read(disk, paths);
    assert_eq!(error, None);
    there
}

fn holder() -> Holder {
    let since = jiff::Timestamp::UNIX_EPOCH;
    Holder::this("ann", "ann".into(), "deploy".into(), since)
}

/// A log of these batches, the place behind each of them, and what is noted at its end.
fn written(sizes: &[u64]) -> (Vec<u8>, Vec<u64>, Vec<u8>, Bodies) {
    let paths = paths();
    let disk = disk::Disk::Faulty(Disk::new(1));
    let (mut log, fence, _) = ready(&disk, &paths, NAME).unwrap();
    let mut all = Bodies::new();
    let mut ends = vec![log.at().offset];
    for (number, size) in sizes.iter().enumerate() {
        let bodies: Bodies = (0..*size).map(|i| format!("batch {number}, event {i}").into_bytes()).collect();
        log.append(&bodies).unwrap();
        all.extend(bodies);
        ends.push(log.at().offset);
    }
    Head::at(fence, log.at()).write(&disk, &paths.head).unwrap();
    (disk.read(&paths.log).unwrap(), ends, disk.read(&paths.head).unwrap(), all)
}

/// What came of one change of a log.
#[derive(Debug, Default)]
struct Found {
    damage: usize,
    torn: usize,
    silent: usize,
}

/// Reads, writes and repairs a log that is not what was written: everything before the change is there, nothing
/// else is, and whoever would write is told.
fn check(log: &[u8], head: Option<&[u8]>, good: &[Vec<u8>], before: usize, found: &mut Found) {
    let paths = paths();
    let disk = disk_with(log, head, &paths);
    let (there, _) = read(&disk, &paths);
    assert_eq!(there, good[..before], "all that is before the change, and nothing else");
    match ready(&disk, &paths, NAME) {
        Ok((_, _, Some(cut))) => {
            assert_eq!(disk.read(&cut.saved).unwrap(), log[log.len() - cut.bytes as usize..]);
            assert!(head.is_none(), "it was known to be good");
            found.torn += 1;
        }
        Ok((_, _, None)) => found.silent += 1,
        Err(error) => {
            assert!(["journal::damaged", "journal::foreign"].contains(&error.code()), "{error:?}");
            assert_eq!(disk.read(&paths.log).unwrap(), log, "what is damaged is not written to");
            found.damage += 1;
            let repaired =
                repair::repair(&disk, &paths, NAME, None, &holder()).unwrap().expect("something is wrong");
            assert_eq!(repaired.trouble.kept.0 as usize, before);
            // A log that only ended too early lies beside nobody: there is nothing else of it.
            assert!(repaired.aside.iter().all(|aside| disk.read(aside).unwrap() == log));
            assert_eq!(repaired.aside.is_empty(), repaired.trouble.bytes == 0);
        }
    }
    // A repair adds one event, its own.
    let there = whole(&disk, &paths);
    assert!(there[..before] == good[..before] && there.len() <= before + 1);
    assert_eq!(
        repair::repair(&disk, &paths, NAME, None, &holder()).unwrap(),
        None,
        "a second repair finds nothing"
    );
    let (mut log, ..) = ready(&disk, &paths, NAME).expect("it can be written again");
    log.append(&[b"more".to_vec()]).unwrap();
    assert_eq!(whole(&disk, &paths).len(), there.len() + 1);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    const SIZES: [u64; 3] = [1, 3, 2];
    let (log, ends, head, good) = written(&SIZES);
    // How many events end before this byte.
    let before = |at: usize| -> usize {
        let batches = ends.iter().skip(1).filter(|end| **end <= at as u64).count();
        SIZES[..batches].iter().sum::<u64>() as usize
    };
    let (mut flips, mut cuts) = (Found::default(), Found::default());
    for noted in [Some(head.as_slice()), None] {
        for at in 0..log.len() {
            for bit in 0..8 {
                let mut changed = log.clone();
                changed[at] ^= 1 << bit;
                check(&changed, noted, &good, before(at), &mut flips);
            }
            check(&log[..at], noted, &good, before(at), &mut cuts);
        }
    }
    assert_eq!(flips.silent, 0, "{flips:?}");
    // Without a note of its end, a log that stops behind a batch is a good one, and nobody can know better: one
    // such place behind the header and behind each batch but the last.
    assert_eq!(cuts.silent, SIZES.len(), "{cuts:?}");
    println!(
        "figure: journal of {} bytes, flipped bits: {} of {} found ({} as damage, {} as a torn end), everything \
         before each readable",
        log.len(),
        flips.damage + flips.torn,
        log.len() * 16,
        flips.damage,
        flips.torn,
    );
    println!(
        "figure: journal of {} bytes, truncations: {} found ({} as damage, {} as a torn end), {} end with a whole \
         batch where nothing was noted",
        log.len(),
        cuts.damage + cuts.torn,
        cuts.damage,
        cuts.torn,
        cuts.silent,
    );
}

#[test]
fn every_changed_byte_of_what_is_noted_beside_a_log_is_found() {
    let (log, _, head, good) = written(&[2, 1]);
    let paths = paths();
    for at in 0..head.len() {
        for value in [head[at] ^ 1, head[at] ^ 0x20, b'0', b' '] {
            let mut changed = head.clone();
            changed[at] = value;
            if changed == head {
                continue;
            }
            let disk = disk_with(&log, Some(&changed), &paths);
            assert_eq!(read(&disk, &paths), (good.clone(), None), "readers need no note");
            let error = ready(&disk, &paths, NAME).unwrap_err();
            assert_eq!(error.code(), "journal::damaged", "byte {at}: {error:?}");
            let repaired =
                repair::repair(&disk, &paths, NAME, None, &holder()).unwrap().expect("something is wrong");
            assert_eq!((repaired.trouble.kept.0, repaired.trouble.lost()), (3, 0));
            assert_eq!(disk.read(&repaired.aside[0]).unwrap(), changed);
            assert!(ready(&disk, &paths, NAME).is_ok());
        }
    }
}

#[test]
fn what_is_behind_a_break_is_put_aside_and_told() {
    let (log, ends, head, good) = written(&[2, 2, 2, 1]);
    let mut changed = log.clone();
    changed[ends[1] as usize + 70] ^= 4;
    let paths = paths();
    let disk = disk_with(&changed, Some(&head), &paths);
    let trouble = repair::examine(&disk, &paths, NAME, None).unwrap().unwrap();
    assert!(trouble.why.contains("record 3"), "{trouble:?}");
    assert_eq!((trouble.kept.0, trouble.known.0, trouble.lost()), (2, 7, 5));
    assert_eq!((trouble.offset, trouble.bytes), (ends[1], log.len() as u64 - ends[1]));
    assert_eq!(disk.read(&paths.log).unwrap(), changed, "a look changes nothing");

    // A log whose bytes are right, and whose third event nobody trusts: its whole batch goes.
    let disk = disk_with(&log, Some(&head), &paths);
    let repaired = repair::repair(&disk, &paths, NAME, Some(Seq(4)), &holder()).unwrap().unwrap();
    assert_eq!((repaired.trouble.kept, repaired.aside.len()), (Seq(2), 1));
    assert_eq!(disk.read(&repaired.aside[0]).unwrap(), log);
    assert_eq!(whole(&disk, &paths)[..2], good[..2]);
    assert_eq!(repair::repair(&disk, &paths, NAME, None, &holder()).unwrap(), None);

    // A log that is gone.
    let disk = disk::Disk::Faulty(Disk::new(1));
    disk.replace(&paths.head, &head, 0o644).unwrap();
    assert!(ready(&disk, &paths, NAME).unwrap_err().message().contains("the whole of it is gone"));
    let repaired = repair::repair(&disk, &paths, NAME, None, &holder()).unwrap().unwrap();
    assert_eq!((repaired.trouble.kept, repaired.trouble.lost(), repaired.aside.len()), (Seq::START, 7, 0));
    assert!(ready(&disk, &paths, NAME).is_ok());
}

#[test]
fn a_repair_that_the_power_ends_is_finished_by_the_next() {
    let (log, ends, head, good) = written(&[2, 2, 2]);
    let mut changed = log.clone();
    changed[ends[1] as usize + 70] ^= 4;
    let (mut ended, mut again) = (0, 0);
    for seed in 0..600 {
        let model = Disk::new(seed);
        let disk = disk::Disk::Faulty(model.clone());
        disk.replace(&paths().log, &changed, 0o644).unwrap();
        disk.replace(&paths().head, &head, 0o644).unwrap();
        model.fail(15);
        let first = repair::repair(&disk, &paths(), NAME, None, &holder());
        model.fail(0);
        model.crash();
        ended += usize::from(first.is_ok());
        if let Err(error) = &first {
            honest(error);
        }
        again += usize::from(repair::repair(&disk, &paths(), NAME, None, &holder()).unwrap().is_some());
        let there = whole(&disk, &paths());
        assert!(there[..2] == good[..2] && (3..=4).contains(&there.len()), "seed {seed}: {}", there.len());
        assert!(ready(&disk, &paths(), NAME).is_ok());
    }
    assert!(ended > 50 && again > 50, "{ended} {again}");
}

#[test]
fn every_byte_of_a_real_journal_counts() {
    let log = include_bytes!("../../tests/golden/v1.log");
    let paths = paths();
    let whole = disk_with(log, None, &paths);
    let good = read(&whole, &paths).0;
    drop(ready(&whole, &paths, NAME).unwrap());
    let head = whole.read(&paths.head).unwrap();
    let mut found = 0;
    let mut tried = |bytes: &[u8], at: usize| {
        let (there, error) = read(&disk_with(bytes, Some(&head), &paths), &paths);
        assert!(there.len() < good.len() && there == good[..there.len()], "byte {at}");
        let error = error.expect("it was noted how long the journal is");
        assert!(["journal::damaged", "journal::foreign"].contains(&error.code()), "byte {at}: {error:?}");
        found += 1;
    };
    let mut changed = log.to_vec();
    for at in 0..log.len() {
        changed[at] ^= 1 << (at % 8);
        tried(&changed, at);
        changed[at] = log[at];
        tried(&log[..at], at);
    }
    println!(
        "figure: real journal of {} bytes, {} events, one flip and one truncation at each byte: {found} of {} found",
        log.len(),
        good.len(),
        2 * log.len(),
    );
}
