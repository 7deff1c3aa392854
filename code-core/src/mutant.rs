//! Faults that are built into the engine on purpose, to see that the simulation notices each of them.
//! Nothing at all, unless the feature `mutants` is on, which no default build has.
//!
//! ```text
//! if mutant("undo-in-forward-order") { … }      a constant `false`, and compiled away
//! mutant::with("undo-in-forward-order", play)   on for this thread, while `play` runs
//! ```
//!
//! A test that no fault can break proves nothing (DeMillo, Lipton and Sayward 1978).

#[cfg(feature = "mutants")]
pub use on::{ALL, with};

#[cfg(feature = "mutants")]
pub(crate) use on::mutant;

/// Whether this fault is on.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn mutant(_: &str) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod on {
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// The faults there are.
    pub const ALL: &[&str] = &[
        "resume-forgets-attempts",
        "cancel-is-ignored",
        "resume-does-it-all-again",
        "undoes-what-was-not-begun",
        "undoes-in-any-order",
        "dependants-do-not-wait",
        "retries-for-ever",
        "goes-on-after-a-failure",
        "pauses-at-once",
        "decision-is-ignored",
        "every-undo-is-called-clean",
        "skipped-is-done",
        "limit-is-off-by-one",
        "providers-have-no-limit",
        "calls-before-it-writes",
        "lost-writes-are-ignored",
        "does-not-wait",
        "scheduler-goes-by-the-clock",
        "doubt-counts-as-done",
        "calls-after-a-stop",
        "done-without-evidence",
        "tries-again-without-a-look",
        "unknown-counts-as-gone",
        "fold-forgets-the-way-back",
        "fold-forgets-doubts",
        "edited-goes-back-half-way",
        "edited-forgets-what-was-begun",
        "keeps-what-it-does-not-know",
    ];

    /// Whether this fault is on.
    pub(crate) fn mutant(name: &str) -> bool {
        CHOSEN.get() == Some(name)
    }

    /// Runs something on this thread with one fault on.
    pub fn with<T>(name: &'static str, run: impl FnOnce() -> T) -> T {
        let before = CHOSEN.replace(Some(name));
        let result = run();
        CHOSEN.set(before);
        result
    }
}
