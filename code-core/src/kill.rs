//! Points at which a test ends this process, to see what goes on from there. Nothing at all, unless the
//! feature `kill-points` is on, which no default build has.
//!
//! ```text
//! CODE_KILL_AT=append.step_done.before:2:/tmp/x/killed
//!              │                       │ └ the file that tells that it happened
//!              │                       └ the second time that a process comes there
//!              └ the point
//! ```
//!
//! The process ends as `kill -9` ends it: nothing is flushed, no destructor runs. It is the last that this
//! setting ends, as the file is there then: whoever goes on comes past the same point alive.

#[cfg(feature = "kill-points")]
pub use on::{append, point, point_with};

/// A point of this name.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn point(_: impl std::fmt::Display) {}

/// A point of this name, at which something is done last: half of a write.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn point_with(_: &str, _: impl FnOnce()) {}

/// A point for each of some events, on one side of their append: `append.step_done.before`, and
/// `append.undo_step_done.before` where a step is taken back.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn append(_: &[crate::event::Event], _: &str) {}

#[cfg(feature = "kill-points")]
mod on {
    use std::collections::BTreeMap;
    use std::fmt::Display;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use crate::event::Event;

    /// Where to end, and the file that tells it.
    struct Setting {
        name: String,
        nth: u64,
        file: PathBuf,
    }

    #[expect(clippy::disallowed_methods, reason = "a test reaches every process of a run, also the keeper")]
    static SETTING: LazyLock<Option<Setting>> = LazyLock::new(|| {
        let setting = std::env::var("CODE_KILL_AT").ok()?;
        let mut parts = setting.splitn(3, ':');
        let (name, nth) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        Some(Setting { name, nth, file: parts.next()?.into() })
    });

    /// How often this process came to each point.
    static PASSED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

    /// A point of this name.
    pub fn point(name: impl Display) {
        point_with(&name.to_string(), || {});
    }

    /// A point of this name, at which something is done last: half of a write.
    pub fn point_with(name: &str, last: impl FnOnce()) {
        let Some(setting) = SETTING.as_ref().filter(|setting| setting.name == name) else { return };
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.entry(name.to_owned()).or_default();
        *times += 1;
        if *times != setting.nth {
            return;
        }
        // Whoever makes the file is the one that ends.
        let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(&setting.file) else {
            return;
        };
        let _ = write!(file, "{name} {}", std::process::id());
        last();
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }

    /// A point for each of some events, on one side of their append: `append.step_done.before`, and
    /// `append.undo_step_done.before` where a step is taken back.
    pub fn append(events: &[Event], side: &str) {
        for event in events {
            let value = serde_json::to_value(event).unwrap_or_default();
            let undo = if value["undo"] == true { "undo_" } else { "" };
            point(format_args!("append.{undo}{}.{side}", value["event"].as_str().unwrap_or_default()));
        }
    }
}
