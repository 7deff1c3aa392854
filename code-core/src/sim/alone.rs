//! Which providers are to be left alone: the breaker's rules once more, for the oracle, from what the journal says.
//!
//! ```text
//! StepRetries, StepFailed, StepDone ──▶ failures that count ──▶ too many: a BreakerOpened must have come before
//! BreakerOpened ──▶ left alone ──▶ a StepStarted within its rest is one too early
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

/// The providers of a run in one life. All times are in milliseconds, and go on whatever the clock is set to.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Since when each one is left alone.
    since: BTreeMap<String, i64>,
    /// How the others did.
    doing: BTreeMap<String, Doing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Doing {
    failures: u32,
    /// How many answers in a row came since.
    answers: u32,
    /// When the last failure that counted was met.
    last: Option<i64>,
}

impl Alone {
    /// Whether this one is left alone, or tried for the first time after its rest.
    pub(super) fn has(&self, provider: &str) -> bool {
        self.since.contains_key(provider)
    }

    /// How much of its rest is left.
    pub(super) fn rests(&self, provider: &str, cool_down: Duration, at: i64) -> Option<i64> {
        let rest = i64::try_from(cool_down.as_millis()).unwrap_or(i64::MAX);
        let left = self.since.get(provider)?.saturating_add(rest) - at;
        (left > 0).then_some(left)
    }

    /// An attempt ended that had `begun`; gives how many failures count now, none where it is left alone.
    pub(super) fn ended(&mut self, provider: &str, begun: i64, at: i64, failed: bool) -> u32 {
        if self.has(provider) {
            return 0;
        }
        let doing = self.doing.entry(provider.to_owned()).or_default();
        if !failed {
            doing.answers += 1;
            // It answers steadily.
            if doing.answers >= 2 {
                doing.failures = 0;
            }
        } else if doing.last.is_none_or(|last| begun >= last) {
            *doing = Doing { failures: doing.failures + 1, answers: 0, last: Some(at) };
        }
        doing.failures
    }

    /// It is left alone from now on.
    pub(super) fn opened(&mut self, provider: &str, at: i64) {
        self.since.insert(provider.to_owned(), at);
    }

    /// It answered after its rest.
    pub(super) fn closed(&mut self, provider: &str) {
        self.since.remove(provider);
        self.doing.remove(provider);
    }
}
