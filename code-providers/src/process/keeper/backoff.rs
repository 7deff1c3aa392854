//! When a process that ended by itself is started again: soon, then ever later, then not at all.

use std::time::Duration;

/// How often in a row a process is started again.
pub(super) const TIMES: u32 = 5;
/// A process that ran for so long had a good start: its earlier endings no longer count.
const STABLE: Duration = Duration::from_secs(60);
/// The wait before the first time; it doubles from time to time.
const FIRST: Duration = Duration::from_millis(500);

/// What to do after a process ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Start it again, for the so many-th time, after this wait.
    Again { attempt: u32, after: Duration },
    /// Leave it.
    GiveUp,
}

/// Decides after an ending; `restarts` is how often in a row it was started again before.
pub(super) fn next(restarts: u32, ran: Duration) -> Next {
    let before = if ran >= STABLE { 0 } else { restarts };
    if before >= TIMES {
        return Next::GiveUp;
    }
    Next::Again { attempt: before + 1, after: FIRST * 2u32.pow(before) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(restarts: u32, ran_seconds: u64, expect: Option<(u32, u64)>) {
        let expect = match expect {
            Some((attempt, ms)) => Next::Again { attempt, after: Duration::from_millis(ms) },
            None => Next::GiveUp,
        };
        assert_eq!(next(restarts, Duration::from_secs(ran_seconds)), expect);
    }

    #[test]
    fn each_wait_is_longer_until_it_is_left() {
        check(0, 0, Some((1, 500)));
        check(1, 59, Some((2, 1000)));
        check(4, 0, Some((5, 8000)));
        check(5, 0, None);
    }

    #[test]
    fn a_good_start_is_a_new_count() {
        check(5, 60, Some((1, 500)));
        check(3, 3600, Some((1, 500)));
    }
}
