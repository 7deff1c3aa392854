//! When to try again, and after how long.

use std::time::Duration;

use crate::{Digest, Retry};

/// How often a step is tried, and the waits between.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The most attempts, the first included.
    pub attempts: u32,
    /// The wait after the first attempt; it doubles each time.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts: 4, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// How long to wait after attempt number `attempt` failed; `None`: it is not tried again.
    ///
    /// The wait is between half and the whole of the doubled one ("equal jitter", Brooker 2015). The jitter
    /// comes from `seed`, so that the same run waits the same time whenever it is replayed.
    pub fn after(&self, retry: Retry, attempt: u32, seed: u64) -> Option<Duration> {
        if retry != Retry::Transient || attempt >= self.attempts {
            return None;
        }
        let whole =
            self.first.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(self.longest);
        let mixed = Digest::of_parts([seed.to_le_bytes().as_slice(), &attempt.to_le_bytes()]);
        let share = f64::from(mixed.as_bytes()[0]) / 255.0;
        Some(whole.mul_f64(0.5 + share / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let policy =
            RetryPolicy { attempts: 6, first: Duration::from_secs(1), longest: Duration::from_secs(5) };
        for (attempt, whole) in [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5)] {
            let wait = policy.after(Retry::Transient, attempt, 7).unwrap();
            assert!(
                wait >= Duration::from_secs(whole) / 2 && wait <= Duration::from_secs(whole),
                "{attempt}"
            );
            assert_eq!(policy.after(Retry::Transient, attempt, 7), Some(wait), "the same run waits the same");
        }
        assert_eq!(policy.after(Retry::Transient, 6, 7), None);
        assert_eq!(policy.after(Retry::Never, 1, 7), None);
        assert_eq!(policy.after(Retry::Exhausted, 1, 7), None);
    }
}
