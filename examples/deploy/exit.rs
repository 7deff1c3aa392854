//! How the program ends: one number for each way, for scripts.

use code_core::event::Outcome;
use code_core::{Error, ErrorKind};

/// How the program ended. Numbers are never changed and never used again; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// Done, or there was nothing to do. Since 0.1.
    Done = 0,
    /// Something failed that has no number of its own; nothing was changed. Since 0.1.
    Unexpected = 1,
    /// The command line, the request, a setting or the spec is wrong; nothing was changed. Since 0.1.
    Usage = 2,
    /// The gate, a budget or a protection said no; nothing was changed. Since 0.1.
    Refused = 3,
    /// A person has to answer or approve first; nothing was changed. Since 0.1.
    NeedsAnswer = 4,
    /// A step failed, and what had been done was taken back. Since 0.1.
    RolledBack = 5,
    /// A step failed, and what had been done is still there. Since 0.1.
    Failed = 6,
    /// Another run holds the deployment; nothing was changed. Since 0.1.
    Locked = 7,
    /// What the plan was computed from has changed since; nothing was changed. Since 0.1.
    Stale = 8,
    /// No answer in time. Since 0.1.
    TimedOut = 9,
    /// `status` found something that is not as the spec says. Since 0.1.
    Drift = 10,
    /// The answer at the prompt was no; nothing was changed. Since 0.1.
    Declined = 11,
    /// What is recorded is damaged, does not hold together, or is of a newer build; nothing was changed. Since 0.1.
    Broken = 12,
    /// A step failed, and the run waits for a decision. Since 0.1.
    Paused = 13,
    /// A step was left out by a decision; everything else is done. Since 0.1.
    Incomplete = 14,
    /// Stopped on request. Since 0.1.
    Interrupted = 130,
}

impl Exit {
    /// Every way to end, in the order of the numbers.
    pub const ALL: &'static [Exit] = &[
        Exit::Done,
        Exit::Unexpected,
        Exit::Usage,
        Exit::Refused,
        Exit::NeedsAnswer,
        Exit::RolledBack,
        Exit::Failed,
        Exit::Locked,
        Exit::Stale,
        Exit::TimedOut,
        Exit::Drift,
        Exit::Declined,
        Exit::Broken,
        Exit::Paused,
        Exit::Incomplete,
        Exit::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done, or nothing to do",
            Exit::Unexpected => "failed before anything was changed",
            Exit::Usage => "the command line, the request or the spec is wrong",
            Exit::Refused => "refused by the gate, a budget or a protection",
            Exit::NeedsAnswer => "needs an answer or an approval first",
            Exit::RolledBack => "failed, and taken back",
            Exit::Failed => "failed, and not taken back",
            Exit::Locked => "another run holds the deployment",
            Exit::Stale => "the plan is out of date",
            Exit::TimedOut => "no answer in time",
            Exit::Drift => "something is not as the spec says",
            Exit::Declined => "the answer at the prompt was no",
            Exit::Broken => "what is recorded is damaged, or does not hold together",
            Exit::Paused => "failed, and waits for a decision",
            Exit::Incomplete => "done but for what a decision left out",
            Exit::Interrupted => "stopped on request",
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Exit {
        match error.kind() {
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Unsupported => Exit::Usage,
            ErrorKind::Refused => Exit::Refused,
            ErrorKind::NeedsAnswer => Exit::NeedsAnswer,
            ErrorKind::Stale => Exit::Stale,
            ErrorKind::Locked => Exit::Locked,
            ErrorKind::Timeout => Exit::TimedOut,
            ErrorKind::Cancelled => Exit::Interrupted,
            ErrorKind::Corrupt => Exit::Broken,
            _ => Exit::Unexpected,
        }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Exit {
        match outcome {
            Outcome::Succeeded => Exit::Done,
            Outcome::RolledBack => Exit::RolledBack,
            Outcome::Failed | Outcome::Superseded => Exit::Failed,
            Outcome::Cancelled => Exit::Interrupted,
            Outcome::Incomplete => Exit::Incomplete,
            Outcome::Paused => Exit::Paused,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public contract: lines may be added to this list, and none may change or go.
    #[test]
    fn numbers_never_change() {
        let table: Vec<String> = Exit::ALL.iter().map(|exit| format!("{} {exit:?}", exit.code())).collect();
        assert_eq!(
            table,
            [
                "0 Done",
                "1 Unexpected",
                "2 Usage",
                "3 Refused",
                "4 NeedsAnswer",
                "5 RolledBack",
                "6 Failed",
                "7 Locked",
                "8 Stale",
                "9 TimedOut",
                "10 Drift",
                "11 Declined",
                "12 Broken",
                "13 Paused",
                "14 Incomplete",
                "130 Interrupted",
            ]
        );
    }

    #[test]
    fn a_run_that_did_not_succeed_never_ends_with_zero() {
        let others =
            [Outcome::RolledBack, Outcome::Failed, Outcome::Cancelled, Outcome::Incomplete, Outcome::Paused];
        for outcome in others {
            assert_ne!(Exit::from(outcome), Exit::Done);
        }
        for kind in [ErrorKind::Bug, ErrorKind::Failed, ErrorKind::Missing, ErrorKind::Stale] {
            assert_ne!(Exit::from(&Error::new(kind, "a::b", "do")), Exit::Done);
        }
    }
}
