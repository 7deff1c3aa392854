//! What a person needs who has to find out why a rule broke: the sentence, what led to it, and how to see it
//! again.

use std::fmt;

use super::oracle::{self, Violation};
use super::record::Entry;
use super::story::{Played, Story};
use super::{Cast, Dice};
use crate::event::Event;

/// How much of the story is shown before the broken rule.
const SHOWN: usize = 25;

/// A story in which a rule broke.
#[derive(Debug)]
pub struct Report {
    /// The story; of those with its seed that break the rule, the smallest.
    pub story: Story,
    /// The first rule that broke.
    pub violation: Violation,
    /// All that happened.
    pub entries: Vec<Entry>,
}

/// Plays a story and judges it; where a rule breaks, a smaller story with the same seed is looked for.
///
/// # Errors
/// The first rule that broke, with all that led to it.
pub fn check(story: Story, cast: &dyn Fn(&mut Dice, usize) -> Cast) -> Result<Played, Box<Report>> {
    let played = story.play(cast);
    let Some(violation) = oracle::judge(&played.entries).into_iter().next() else { return Ok(played) };
    for size in 1..story.size {
        let smaller = Story { size, ..story };
        let entries = smaller.play(cast).entries;
        let mut broken = oracle::judge(&entries).into_iter();
        if let Some(violation) = broken.find(|broken| broken.rule == violation.rule) {
            return Err(Box::new(Report { story: smaller, violation, entries }));
        }
    }
    Err(Box::new(Report { story, violation, entries: played.entries }))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, at, what } = &self.violation;
        writeln!(f, "a rule broke: {rule}\n  {what}")?;
        for (i, entry) in self.entries.iter().enumerate().take(at + 1).skip((at + 1).saturating_sub(SHOWN)) {
            writeln!(f, "{i:5}  {entry}")?;
        }
        let Story { seed, size, dies } = self.story;
        write!(f, "replay: SIM_SEED={seed} SIM_SIZE={size} ")?;
        if let Some((act, moment)) = dies {
            write!(f, "SIM_DIES={act}:{moment} ")?;
        }
        write!(f, "cargo test -p code-core --test sim -- replay --nocapture")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Limits(limits) => write!(f, "{limits:?}"),
            Entry::World(there) => {
                let names: Vec<_> = there.keys().map(|address| address.as_str()).collect();
                write!(f, "there is: {}", names.join(" "))
            }
            Entry::Began { life } => write!(f, "life {life} begins"),
            Entry::Writes { life } => write!(f, "life {life} begins to write"),
            Entry::Wrote { life, seq, event } => write!(f, "life {life} wrote {seq}: {}", line(event)),
            Entry::Refused { life } => write!(f, "life {life} cannot write"),
            Entry::Looked { life, address, key, settled } => {
                let found = match settled {
                    Some(true) => "it is as wanted",
                    Some(false) => "it is not as wanted",
                    None => "nobody can tell",
                };
                write!(f, "life {life} looks at {address} ({}): {found}", key.0.short())
            }
            Entry::Called { life, address, key } => {
                write!(f, "life {life} calls {address} ({})", key.0.short())
            }
            Entry::Effect { life, address, key, whole } => {
                let how = if *whole { "is changed" } else { "is changed by half" };
                write!(f, "life {life}: {address} {how} ({})", key.0.short())
            }
            Entry::Returned { life, address, good, .. } => {
                write!(f, "life {life}: {address} {}", if *good { "comes back" } else { "fails" })
            }
            Entry::Cancelled { life } => write!(f, "life {life} is asked to stop"),
            Entry::Died { life } => write!(f, "life {life} dies"),
            Entry::Ended { life, how } => write!(f, "life {life} ends: {how:?}"),
            Entry::ClockSet(by) => write!(f, "somebody sets the clock by {by} ms"),
            Entry::Lost { last } => write!(f, "the journal is lost after {last}"),
            Entry::Calm => f.write_str("from here on nothing goes wrong"),
            Entry::LeftToDo(steps) => write!(f, "there would be to do: {}", steps.join(", ")),
            Entry::Unlisted(all) => write!(f, "recorded nowhere: {all:?}"),
            Entry::Orphans(all) => write!(f, "still there: {all:?}"),
            Entry::Stuck(why) => write!(f, "stuck: {why}"),
        }
    }
}

/// An event in one line: its name and what is short enough.
fn line(event: &Event) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(event) else { return String::new() };
    let name = fields.get("event").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    let rest = fields.into_iter().filter(|(name, _)| !["event", "at", "run", "key"].contains(&name.as_str()));
    rest.map(|(name, value)| (name, value.to_string()))
        .filter(|(_, value)| value.len() < 600)
        .fold(name, |line, (name, value)| format!("{line} {name}={value}"))
}
