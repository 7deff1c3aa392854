//! Stops asking a provider that keeps failing: pure, and told the time by [`Host::uptime`](crate::Host::uptime).
//!
//! ```text
//!           failures that may pass                    cool-down is over
//!  Closed ──────────────────────────▶ Open ─────────────────────────────▶ HalfOpen: one attempt
//!    ▲      (5, of any of its steps)    ▲                                       │
//!    │                                  └── it failed in a way that may pass ───┤
//!    └───────────────────────────────────── it answered ────────────────────────┘
//! ```
//!
//! The circuit breaker of Nygard's *Release It!* (2007), one a provider. The count begins anew after two
//! answers in a row: one alone does not, so that a provider that flaps is left alone as well. A failure that
//! will not pass is an answer: the provider is there, and said no. Attempts that were under way when a failure
//! was counted do not count again: many at once that meet one short outage are one failure.
//!
//! It is forgotten with its engine, and the next begins with a closed one: an uptime of before a restart of the
//! machine is never compared with one of after it.

use std::time::Duration;

/// How many answers in a row count as steady.
const STEADY: u32 = 2;

/// When a provider is left alone, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How many failures that may pass are too many.
    pub failures: u32,
    /// How long it is left alone.
    pub cool_down: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy { failures: 5, cool_down: Duration::from_secs(30) }
    }
}

/// The breaker of one provider.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// With the time of the last failure that counted.
    Closed {
        failures: u32,
        answers: u32,
        last: Option<Duration>,
    },
    Open {
        since: Duration,
    },
    HalfOpen,
}

/// Whether an attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// Another one is finding out whether the provider answers again.
    Wait,
    /// The provider is left alone.
    Refuse,
}

/// What the end of an attempt did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// From here on the provider is left alone.
    Opened,
    /// The provider answers again.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Breaker {
        Breaker { policy, state: State::Closed { failures: 0, answers: 0, last: None } }
    }

    /// Whether an attempt may begin now.
    pub fn admits(&self, at: Duration) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            State::HalfOpen => Admission::Wait,
            State::Open { since } if at.saturating_sub(since) < self.policy.cool_down => Admission::Refuse,
            State::Open { .. } => Admission::Go,
        }
    }

    /// An attempt that was admitted begins.
    pub fn begun(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::HalfOpen;
        }
    }

    /// An attempt ended that had `begun`; `failed`: in a way that may pass.
    pub fn ended(&mut self, begun: Duration, at: Duration, failed: bool) -> Option<Turn> {
        match (&mut self.state, failed) {
            (State::Closed { last: Some(last), .. }, true) if begun < *last => None,
            (State::Closed { failures, answers, last }, true) => {
                (*failures, *answers, *last) = (*failures + 1, 0, Some(at));
                (*failures >= self.policy.failures).then(|| self.open(at))
            }
            (State::Closed { failures, answers, .. }, false) => {
                *answers += 1;
                if *answers >= STEADY {
                    *failures = 0;
                }
                None
            }
            // One that had begun before.
            (State::Open { .. }, _) => None,
            (State::HalfOpen, true) => Some(self.open(at)),
            (State::HalfOpen, false) => {
                self.state = State::Closed { failures: 0, answers: 1, last: None };
                Some(Turn::Closed)
            }
        }
    }

    fn open(&mut self, at: Duration) -> Turn {
        self.state = State::Open { since: at };
        Turn::Opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A story in letters: `f` an attempt that failed in a way that may pass, `a` one that was answered, a
    /// number seconds that go by; `expect` says after each `f` and `a` whether it `o`pened, `c`losed, or was
    /// refused (`r`) or kept waiting (`w`).
    fn check(story: &str, expect: &str) {
        let policy = BreakerPolicy { failures: 5, cool_down: Duration::from_secs(9) };
        let mut breaker = Breaker::new(policy);
        let mut at = Duration::ZERO;
        let mut told = String::new();
        for letter in story.chars() {
            if let Some(seconds) = letter.to_digit(10) {
                at += Duration::from_secs(seconds.into());
                continue;
            }
            match breaker.admits(at) {
                Admission::Refuse => told.push('r'),
                Admission::Wait => told.push('w'),
                Admission::Go => {
                    breaker.begun();
                    if letter == 'b' {
                        continue;
                    }
                    told.push(match breaker.ended(at, at, letter == 'f') {
                        Some(Turn::Opened) => 'o',
                        Some(Turn::Closed) => 'c',
                        None => '.',
                    });
                }
            }
        }
        assert_eq!(told, expect, "{story}");
    }

    #[test]
    fn it_opens_cools_down_tries_once_and_closes() {
        check("fffff", "....o");
        check("fffffa8f1a", "....orrc");
        check("fffff9f9a", "....ooc");
        check("fffff9bf", "....ow");
        check("ffffaafffff", "..........o");
        check("fffff9affff", "....oc....");
    }

    #[test]
    fn a_provider_that_flaps_is_left_alone_within_five() {
        check("fafafafaf", "........o");
    }

    #[test]
    fn many_that_meet_one_outage_are_one_failure() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        let at = Duration::from_secs;
        for ends in 1..20 {
            assert_eq!(breaker.ended(at(0), at(ends), true), None);
        }
        let turns = (20..24).map(|second| breaker.ended(at(second), at(second), true)).collect::<Vec<_>>();
        assert_eq!(turns, [None, None, None, Some(Turn::Opened)]);
    }
}
