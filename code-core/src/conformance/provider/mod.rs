//! The rules of [`Provider`].
//!
//! ```text
//! Sample ──▶ Bench: a directory, a context, canaries for secrets
//!              │
//!   look ──▶ what reading must not do          change ─▶ where applying ends       back ─▶ what is taken back
//!   stop ──▶ cancelled, dropped, many at once  speak ──▶ secrets, help, health
//! ```

mod back;
mod bench;
mod change;
mod look;
mod sample;
mod speak;
mod stop;

use std::sync::Arc;

use bench::Bench;
pub use sample::{Sample, Scene};

use super::suite::{Rule, Suite, rules};
use crate::Provider;

/// The rules of a provider, each held against a fresh one.
///
/// `fresh` is called for each rule, outside of any runtime; what it gives must find nothing of what another
/// one made, as long as the sample's resources lie where their [`Scene`] says.
pub fn provider<P: Provider>(
    fresh: impl Fn() -> Arc<P> + Send + Sync + 'static,
    sample: &Sample<P>,
) -> Suite {
    let sample = sample.clone();
    let patience = sample.patience;
    let bench = move || Bench::new(fresh(), sample.clone()).map(Arc::new);
    Suite::new(all(), bench, |bench| Box::pin(async move { bench.clear().await }), patience)
}

fn all<P: Provider>() -> Vec<Rule<Arc<Bench<P>>>> {
    rules![
        look::identity as "its_identity_never_changes",
        look::kinds as "it_claims_the_kinds_that_it_serves",
        look::reads_only as "looking_and_planning_change_nothing",
        look::steady as "looking_twice_sees_the_same",
        look::deterministic as "planning_twice_plans_the_same",
        look::keeps_values as "a_planned_change_keeps_every_wanted_value",
        look::creates as "what_is_not_there_is_created",
        look::no_guess as "a_reference_is_never_guessed",
        look::no_answer as "a_lost_permission_is_not_an_absence",
        change::as_planned as "applying_ends_in_what_was_planned",
        change::kept as "what_is_as_wanted_is_kept",
        change::untouched as "what_is_kept_is_not_touched",
        change::one_effect as "one_key_has_one_effect",
        change::no_proof as "a_key_is_no_proof",
        change::updated as "a_change_in_place_is_an_update",
        change::replaced as "what_cannot_be_changed_is_replaced",
        change::drift as "drift_is_seen_and_mended",
        change::deleted as "what_was_deleted_is_absent",
        change::deleted_twice as "deleting_twice_succeeds",
        change::never_was as "deleting_what_never_was_succeeds",
        change::announced as "what_changes_was_announced",
        change::taking_away as "what_is_taken_away_was_announced",
        change::stays as "an_output_that_stays_stays",
        change::promised as "a_promised_output_is_there",
        change::at_once as "many_at_once_are_as_one_by_one",
        back::created as "taking_back_a_creation_is_deleting",
        back::changed as "taking_back_a_change_brings_back_what_was",
        stop::before as "cancelled_before_it_begins_it_ends",
        stop::during as "cancelled_in_the_middle_it_ends",
        stop::after as "cancelled_after_its_end_it_stays_done",
        stop::left as "a_call_that_failed_knows_what_it_left",
        stop::resumed as "cancelled_it_can_be_applied_again",
        stop::dropped as "dropped_in_the_middle_it_can_be_applied_again",
        speak::health as "health_is_an_answer_with_help",
        speak::help as "every_mistake_is_told_with_help",
        speak::secrets as "no_secret_is_in_what_it_says",
    ]
}
