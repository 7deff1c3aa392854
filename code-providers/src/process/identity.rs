//! Which process is which: a number is reused, a number with its start time and its boot is not.
//!
//! Everything here reads `/proc` (proc_pid_stat(5), proc_pid_environ(5)) and changes nothing, so that
//! observing needs no keeper. A process is known by its number, the clock tick at which it started and the
//! boot that the tick counts from; and, where nobody wrote that down in time, by the step's key in its
//! environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use code_core::{Digest, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The variable that names the step that started a process.
pub const KEY_VARIABLE: &str = "CODE_STEP_KEY";

/// What tells a process from every other one, also after a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number, which is also the number of its session and its group.
    pub pid: i32,
    /// When it started, in clock ticks since the boot.
    pub start: u64,
    /// The boot.
    pub boot: String,
    /// The digest of the program and arguments that it was started with.
    pub argv: Digest,
}

impl Identity {
    /// The identity of a process that runs now; `None` where there is none.
    ///
    /// # Errors
    /// `process::proc` where `/proc` cannot be read.
    pub fn of(pid: i32, argv: Digest) -> Result<Option<Identity>> {
        let boot = boot_id()?;
        Ok(Stat::read(pid).filter(Stat::runs).map(|stat| Identity { pid, start: stat.start, boot, argv }))
    }

    /// Whether this very process runs: not a stranger with its number, not its zombie.
    pub fn lives(&self) -> bool {
        self.is_of_this_boot() && Stat::read(self.pid).is_some_and(|s| s.runs() && s.start == self.start)
    }

    /// Whether it was started since the machine was.
    pub fn is_of_this_boot(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
    }

    /// Every process that belongs to it, with its start: its session, its group, its descendants, and
    /// whatever else carries its key. Processes of a stranger that got its number since are not among them.
    pub fn kin(&self, key: &str) -> BTreeMap<i32, u64> {
        if !self.is_of_this_boot() {
            return BTreeMap::new();
        }
        let all: Vec<Stat> = all().collect();
        // The kernel does not give a number away while a session or a group bears it. So members are ours,
        // unless the leader is somebody who started at another time.
        let stranger = all.iter().any(|stat| stat.pid == self.pid && stat.start != self.start);
        let is_ours = |stat: &Stat| {
            (!stranger && (stat.session == self.pid || stat.group == self.pid))
                || (stat.start >= self.start && carries(stat.pid, key))
        };
        let mut kin: BTreeMap<i32, &Stat> =
            all.iter().filter(|stat| is_ours(stat)).map(|stat| (stat.pid, stat)).collect();
        loop {
            let before = kin.len();
            let children: Vec<&Stat> = all.iter().filter(|stat| kin.contains_key(&stat.parent)).collect();
            kin.extend(children.into_iter().map(|stat| (stat.pid, stat)));
            if kin.len() == before {
                break;
            }
        }
        kin.into_iter().filter(|(_, stat)| stat.runs()).map(|(pid, stat)| (pid, stat.start)).collect()
    }
}

/// A process that a step with this key started and nobody wrote down; the leader of its session.
///
/// # Errors
/// `process::proc` where `/proc` cannot be read.
pub fn with_key(key: &str, argv: Digest) -> Result<Option<Identity>> {
    match all().find(|stat| stat.runs() && stat.session == stat.pid && carries(stat.pid, key)) {
        Some(stat) => Identity::of(stat.pid, argv),
        None => Ok(None),
    }
}

/// The variables with which a process was started; none where it is gone or is not ours to read.
pub fn environment(pid: i32) -> Vec<(String, String)> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| String::from_utf8_lossy(entry).split_once('=').map(|(k, v)| (k.into(), v.into())))
        .collect()
}

/// The name of a process, for a person: `postgres (4711)`.
pub fn describe(pid: i32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{} ({pid})", name.trim()),
        Err(_) => format!("process {pid}"),
    }
}

/// What is true of the boot that the machine is in, and of no other.
///
/// # Errors
/// `process::proc` where `/proc` cannot be read.
pub fn boot_id() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|error| {
        Error::new(ErrorKind::Unsupported, "process::proc", "read which boot this is")
            .help("processes are kept on Linux, with /proc mounted")
            .with("path", path.display().to_string())
            .because(error)
    })
}

fn carries(pid: i32, key: &str) -> bool {
    !key.is_empty() && environment(pid).iter().any(|(name, value)| name == KEY_VARIABLE && value == key)
}

/// The part of `/proc/PID/stat` that is used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    state: char,
    pub(super) parent: i32,
    group: i32,
    pub(super) session: i32,
    pub(super) start: u64,
}

impl Stat {
    pub(super) fn read(pid: i32) -> Option<Stat> {
        Stat::parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
    }

    /// Field 2 is the name in parentheses and may hold anything, so the rest begins behind the last one.
    fn parse(line: &str) -> Option<Stat> {
        let pid = line.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Stat {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    pub(super) fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Every process of the machine that this user may see.
pub(super) fn all() -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Stat::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_obstacle() {
        let line = "77 (a) b (c) S 1 77 70 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 9 9 9";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.group, stat.session, stat.start), (77, 1, 77, 70, 4242));
        assert!(stat.runs());
        assert!(!Stat::parse("8 (x) Z 1 8 8 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0").unwrap().runs());
    }

    #[test]
    fn this_process_lives_and_a_stranger_with_its_number_does_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Identity::of(pid, Digest::ZERO).unwrap().unwrap();
        assert!(me.lives());
        let earlier = Identity { start: me.start - 1, ..me.clone() };
        assert!(!earlier.lives());
        assert!(!earlier.kin("").contains_key(&pid), "a stranger's processes are not touched");
        let rebooted = Identity { boot: "another".into(), ..me };
        assert!(!rebooted.lives() && rebooted.kin("").is_empty());
    }
}
