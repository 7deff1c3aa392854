//! What was done, in one word: the past of what was asked for, told from what the spec was before and is now. So it
//! is the same for a sentence, a command, a saved plan and a run that was resumed.

use code_core::event::Outcome;
use code_core::plan::Plan;
use code_core::spec::{Component, Replicas, Spec};
use code_core::status::{Revision, State};

/// `Deployed`, `Scaled`, `Stopped`: what a run of this plan did, where it succeeded.
pub fn past(plan: &Plan, state: &State) -> &'static str {
    let Some(now) = &plan.spec else {
        return if plan.delete_data { "Destroyed with its data" } else { "Destroyed" };
    };
    if plan.rollback.is_some() {
        return "Rolled back";
    }
    let good = |revision: &&Revision| {
        revision.number < plan.revision && revision.outcome == Some(Outcome::Succeeded)
    };
    match state.revisions.iter().rev().find(good).and_then(|before| before.spec.as_ref()) {
        Some(before) => change(before, now),
        None => "Deployed",
    }
}

/// What became of a spec. A change of one sort has a word of its own.
fn change(before: &Spec, now: &Spec) -> &'static str {
    let only = |forget: fn(&mut Component)| {
        let without = |spec: &Spec| {
            let mut spec = spec.clone();
            spec.components.iter_mut().for_each(forget);
            spec
        };
        without(before) == without(now)
    };
    let begun = |spec: &Spec| spec.components.iter().filter(|component| !component.stopped).count();
    if before == now {
        "Deployed"
    } else if only(|component| component.stopped = false) {
        if begun(now) < begun(before) { "Stopped" } else { "Started" }
    } else if only(|component| component.restarts = 0) {
        "Restarted"
    } else if only(|component| component.replicas = Replicas::default()) {
        "Scaled"
    } else {
        "Updated"
    }
}

#[cfg(test)]
mod tests {
    use code_core::plan::Rollback;

    use super::*;
    use crate::render::samples;

    /// A run of another revision of the sample, whose spec is changed in this way.
    fn check(edit: fn(&mut Plan), expect: &str) {
        let state = samples::state();
        let mut plan = state.run.as_ref().expect("a run").plan.clone();
        plan.revision = state.revisions.iter().map(|revision| revision.number).max().unwrap_or(0) + 1;
        edit(&mut plan);
        assert_eq!(past(&plan, &state), expect);
    }

    fn web(plan: &mut Plan) -> &mut Component {
        &mut plan.spec.as_mut().expect("a spec").components[0]
    }

    #[test]
    fn each_verb_has_its_own_word() {
        check(|_| {}, "Deployed");
        check(|plan| plan.revision = 1, "Deployed");
        check(|plan| web(plan).stopped = true, "Stopped");
        check(|plan| web(plan).restarts = 7, "Restarted");
        check(|plan| web(plan).replicas = Replicas { min: 9, max: 9 }, "Scaled");
        check(|plan| web(plan).release = Some(code_core::Digest::of(b"another")), "Updated");
        check(|plan| (web(plan).restarts, web(plan).stopped) = (7, true), "Updated");
        check(|plan| plan.rollback = Some(Rollback { from: 2, to: 1 }), "Rolled back");
        check(|plan| plan.spec = None, "Destroyed");
        check(|plan| (plan.spec, plan.delete_data) = (None, true), "Destroyed with its data");
        let now = samples::state().run.expect("a run").plan.spec.expect("a spec");
        let mut before = now.clone();
        before.components[0].stopped = true;
        assert_eq!(change(&before, &now), "Started");
    }
}
