//! The prompt before a run, the first line of it, and what to know at its end.

use std::time::Duration;

use code_core::event::Outcome;
use code_core::plan::Plan;
use code_core::provider::Action;
use code_core::status::State;
use code_core::{Address, Deployment};
use code_monitor::Results;
use code_monitor::results::Ended;

use crate::render::{time, verb};
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

/// What the page suggests, as it can be copied.
pub struct Commands<'a> {
    /// A command, made of its words: `status` becomes `deploy status --state /s`.
    pub next: &'a dyn Fn(&str) -> String,
    /// The command that was given, once more.
    pub again: &'a str,
}

/// What to know at the end of a run: how it went and how long each step took, the addresses, and the commands
/// for what comes next.
pub fn summary(
    style: &Style,
    results: &Results,
    outcome: Outcome,
    plan: &Plan,
    state: &State,
    took: Duration,
    commands: &Commands<'_>,
) -> String {
    let deployment = &plan.deployment;
    let (word, tone) = match outcome {
        Outcome::Succeeded => (verb::past(plan, state), Tone::Good),
        Outcome::RolledBack => ("Failed, and everything was taken back", Tone::Bad),
        Outcome::Failed => ("Failed, and not taken back", Tone::Bad),
        Outcome::Cancelled => ("Stopped in the middle", Tone::Warn),
        Outcome::Incomplete => ("Done, but for what was left out", Tone::Warn),
        Outcome::Superseded => ("Failed, and gone on from with an edited spec", Tone::Warn),
        Outcome::Paused => ("Failed, and waits for a decision", Tone::Warn),
    };
    let rest = format!(": {deployment}, revision {}, in {}", plan.revision, time::duration(took));
    let mut text = heading(style, tone, word, &rest);
    let counts = counts(plan, results, outcome);
    if !counts.is_empty() {
        text.push_str(&paragraph(style, 2, Tone::Plain, &counts));
    }
    text.push_str(&longest(style, results));
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
    // Not broken to the width: they are to be copied whole.
    let wide = Style { width: 10_000, ..*style };
    text.push_str(&table(&wide, 2, &next(plan, outcome, state, commands)));
    text
}

/// `2 created, 1 updated, 4 unchanged`; where it did not go well, `1 failed, 2 taken back, 3 not begun`.
fn counts(plan: &Plan, results: &Results, outcome: Outcome) -> String {
    let mut counts: Vec<String> = Vec::new();
    if outcome == Outcome::Succeeded {
        let done = plan.counts().into_iter().filter(|(action, _)| *action != Action::Keep);
        counts.extend(done.map(|(action, n)| format!("{n} {}", past(action))));
        if !counts.is_empty() {
            let kept = plan.counts().get(&Action::Keep).copied().unwrap_or(0);
            counts.push(format!("{} unchanged", plan.unchanged.len() + kept));
        }
        return counts.join(", ");
    }
    for (ended, word) in [
        (Ended::Failed, "failed"),
        (Ended::TakenBack, "taken back"),
        (Ended::Skipped, "not begun"),
        (Ended::Open, "open"),
        (Ended::Succeeded, "done"),
    ] {
        let n = results.count(ended);
        if n > 0 {
            counts.push(format!("{n} {word}"));
        }
    }
    counts.join(", ")
}

/// How long the steps took, the longest first: three of them, or with `--full` all.
fn longest(style: &Style, results: &Results) -> String {
    let begun = results.longest_first();
    let shown = if style.full { begun.len() } else { 3 };
    let mut steps: Vec<String> = begun
        .iter()
        .take(shown)
        .map(|step| {
            let again =
                if step.attempts > 1 { format!(", {} attempts", step.attempts) } else { String::new() };
            format!("{} {}{again}", step.address, time::duration(Duration::from_secs_f64(step.seconds)))
        })
        .collect();
    if steps.is_empty() {
        return String::new();
    }
    if begun.len() > shown {
        steps.push(format!("and {} more", begun.len() - shown));
    }
    paragraph(style, 2, Tone::Dim, &format!("longest: {}", steps.join("; ")))
}

fn next(
    plan: &Plan,
    outcome: Outcome,
    state: &State,
    commands: &Commands<'_>,
) -> Vec<Vec<crate::style::Cell>> {
    let environment = plan.deployment.environment();
    let mut rows = Vec::new();
    let mut row = |what: &str, rest: String| {
        rows.push(vec![cell(Tone::Dim, what), cell(Tone::Plain, (commands.next)(&rest))]);
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
            row("change the spec", format!("resume --edit -e {environment}"));
            row("take back", format!("resume --roll-back -e {environment}"));
            row("end as it is", format!("resume --abort -e {environment}"));
        }
        Outcome::Cancelled => {
            row("go on", format!("resume -e {environment}"));
            row("take back", format!("resume --roll-back -e {environment}"));
        }
        Outcome::Failed | Outcome::Incomplete | Outcome::Superseded => {
            row("how it is", "status".to_owned());
            row("what happened", format!("history -e {environment}"));
        }
    }
    if matches!(outcome, Outcome::RolledBack | Outcome::Failed | Outcome::Incomplete) {
        rows.push(vec![cell(Tone::Dim, "once more"), cell(Tone::Plain, commands.again)]);
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
        let took = Duration::from_millis(4230);
        let commands =
            Commands { next: &|rest| format!("deploy {rest}"), again: "deploy 'scale web to 3' --yes" };
        let page = |style, state: &State| {
            let run = state.run.as_ref().expect("a run");
            let outcome = run.ended.expect("an end").1;
            summary(style, &Results::of(run), outcome, &run.plan, state, took, &commands)
        };
        insta::assert_snapshot!(page(&WIDE, &samples::state()));
        insta::assert_snapshot!(page(&NARROW, &samples::state()));
        insta::assert_snapshot!(page(&WIDE, &State::fold(&samples::failing_events())));
        let full = Style { full: true, ..WIDE };
        assert!(page(&full, &samples::state()).contains("2 attempts"), "all steps with --full");
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
