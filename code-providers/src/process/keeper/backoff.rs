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
    use proptest::prelude::*;

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

    proptest! {
        /// Whatever lives a process has: it is left after short ones only, at the latest after the sixth in a row, and
        /// waits double until then; a long one makes up for all before it.
        #[test]
        fn short_lives_are_counted_and_a_long_one_makes_up_for_them(
            lives in prop::collection::vec((0u64..120_000).prop_map(Duration::from_millis), 0..40),
        ) {
            let (mut restarts, mut short) = (0, 0);
            for ran in lives {
                short = if ran < STABLE { short + 1 } else { 0 };
                match next(restarts, ran) {
                    Next::GiveUp => {
                        prop_assert!(short >= TIMES);
                        break;
                    }
                    Next::Again { attempt, after } => {
                        prop_assert!(short <= TIMES);
                        prop_assert_eq!(attempt, if short == 0 { 1 } else { restarts + 1 });
                        prop_assert!(attempt <= TIMES);
                        prop_assert_eq!(after, FIRST * (1 << (attempt - 1)));
                        restarts = attempt;
                    }
                }
            }
        }
    }
}
