//! The prompt before a run, the first line of it, and what to know at its end.

use std::time::Duration;

use code_core::event::Outcome;
use code_core::plan::Plan;
use code_core::provider::Action;
use code_core::status::State;
use code_core::{Address, Deployment};

use crate::render::time;
use crate::style::{Style, Tone, cell, heading, paragraph, table};

/// Where a run happens: what stands on the first line of everything that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// What is changed.
    pub deployment: Deployment,
    /// Where: `local`.
    pub platform: String,
    /// As whom: the user's name on this machine.
    pub user: String,
    /// The state directory.
    pub state: String,
    /// The run's number.
    pub run: u64,
}

/// `staging · local · user alice · state /p/.code · run 3`.
pub fn scene(style: &Style, scene: &Scene) -> String {
    let dot = style.sign(" · ", " | ");
    let facts = [
        scene.deployment.to_string(),
        scene.platform.clone(),
        format!("user {}", scene.user),
        format!("state {}", scene.state),
        format!("run {}", scene.run),
    ];
    paragraph(style, 0, Tone::Strong, &facts.join(dot))
}

/// The question before a run.
pub fn prompt(style: &Style, deployment: &Deployment) -> String {
    style.paint(Tone::Strong, format!("Apply this plan to {deployment}?")) + " [y/N] "
}

/// The question before something that destroys data: the name must be typed.
pub fn severe_prompt(style: &Style, deployment: &Deployment) -> String {
    style.paint(Tone::Bad, "This destroys data and cannot be taken back.")
        + &format!("\nType `{deployment}` to go on: ")
}

/// An address that answers, or a place where data is.
pub fn endpoints(state: &State) -> Vec<(Address, String)> {
    state
        .inventory
        .iter()
        .filter(|(_, recorded)| !recorded.kept && recorded.kind == "route")
        .filter_map(|(address, recorded)| {
            let url = recorded.live.outputs.get("url")?.known()?;
            Some((address.clone(), code_core::expr::plain(&url)))
        })
        .collect()
}

/// What to know at the end of a run: how it went, the addresses, and the commands for what comes next;
/// `command` makes of `status` what can be copied into a shell.
pub fn summary(
    style: &Style,
    plan: &Plan,
    outcome: Outcome,
    state: &State,
    took: Duration,
    command: &dyn Fn(&str) -> String,
) -> String {
    let took = time::duration(took);
    let deployment = &plan.deployment;
    let (word, tone) = match outcome {
        Outcome::Succeeded if plan.spec.is_none() => ("Taken down:", Tone::Good),
        Outcome::Succeeded => ("Deployed:", Tone::Good),
        Outcome::RolledBack => ("Failed, and everything was taken back:", Tone::Bad),
        Outcome::Failed => ("Failed, and not taken back:", Tone::Bad),
        Outcome::Cancelled => ("Stopped:", Tone::Warn),
        Outcome::Incomplete => ("Done, but for what was left out:", Tone::Warn),
        Outcome::Paused => ("Failed, and waits for a decision:", Tone::Warn),
    };
    let rest = format!(" {deployment}, revision {}, in {took}", plan.revision);
    let mut text = heading(style, tone, word, &rest);
    let counts: Vec<String> = plan
        .counts()
        .into_iter()
        .filter(|(action, _)| *action != Action::Keep)
        .map(|(action, n)| format!("{n} {}", past(action)))
        .collect();
    if outcome == Outcome::Succeeded && !counts.is_empty() {
        text.push_str(&format!("  {}", counts.join(", ")));
        text.push_str(&format!(", {} unchanged\n", plan.unchanged.len()));
    }
    let endpoints = endpoints(state);
    let rows: Vec<_> = endpoints
        .iter()
        .map(|(address, url)| vec![cell(Tone::Strong, address.component()), cell(Tone::Good, url)])
        .collect();
    text.push_str(&table(style, 2, &rows));
    let kept: Vec<&str> = state
        .inventory
        .iter()
        .filter(|(_, recorded)| recorded.kept)
        .map(|(address, _)| address.as_str())
        .collect();
    if !kept.is_empty() {
        text.push_str(&paragraph(style, 2, Tone::Plain, &format!("data kept: {}", kept.join(", "))));
    }
    text.push_str(&table(style, 2, &next(plan, outcome, state, command)));
    text
}

fn next(
    plan: &Plan,
    outcome: Outcome,
    state: &State,
    command: &dyn Fn(&str) -> String,
) -> Vec<Vec<crate::style::Cell>> {
    let environment = plan.deployment.environment();
    let mut rows = Vec::new();
    let mut row = |what: &str, rest: String| {
        rows.push(vec![cell(Tone::Dim, what), cell(Tone::Plain, command(&rest))]);
    };
    match outcome {
        Outcome::Succeeded if plan.spec.is_none() => row("history", format!("history -e {environment}")),
        Outcome::Succeeded => {
            row("status", "status".to_owned());
            row("logs", format!("logs -f -e {environment}"));
            let earlier = state.revisions.iter().any(|r| {
                r.number < plan.revision && r.spec.is_some() && r.outcome == Some(Outcome::Succeeded)
            });
            if earlier {
                row("roll back", format!("rollback -e {environment}"));
            } else {
                row("take down", format!("destroy -e {environment}"));
            }
        }
        Outcome::RolledBack => row("what happened", format!("history -e {environment}")),
        Outcome::Paused => {
            row("try again", format!("resume --retry -e {environment}"));
            row("leave a step out", format!("resume --skip STEP -e {environment}"));
            row("take back", format!("resume --roll-back -e {environment}"));
            row("end as it is", format!("resume --abort -e {environment}"));
        }
        Outcome::Cancelled => {
            row("go on", format!("resume -e {environment}"));
            row("take back", format!("resume --roll-back -e {environment}"));
        }
        Outcome::Failed | Outcome::Incomplete => {
            row("how it is", "status".to_owned());
            row("what happened", format!("history -e {environment}"));
        }
    }
    rows
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Keep => "kept",
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Delete => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE};

    #[test]
    fn the_end_says_what_comes_next() {
        let plan = samples::first_plan();
        let state = samples::state();
        let took = Duration::from_millis(4230);
        let page = |style, outcome, state| {
            summary(style, &plan, outcome, state, took, &|rest| format!("deploy {rest}"))
        };
        insta::assert_snapshot!(page(&WIDE, Outcome::Succeeded, &state));
        insta::assert_snapshot!(page(&NARROW, Outcome::Succeeded, &state));
        insta::assert_snapshot!(page(&WIDE, Outcome::RolledBack, &State::default()));
    }

    #[test]
    fn the_first_line_says_where() {
        let scene = Scene {
            deployment: "shop/staging".parse().unwrap(),
            platform: "local".into(),
            user: "alice".into(),
            state: "/home/alice/shop/.code".into(),
            run: 3,
        };
        insta::assert_snapshot!(super::scene(&WIDE, &scene), @"shop/staging · local · user alice · state /home/alice/shop/.code · run 3");
    }
}
