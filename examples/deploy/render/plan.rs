//! A plan: one line for each component, its steps as a graph with the way back of each, and last, next to
//! the counts, everything that it takes away.

use std::collections::{BTreeMap, BTreeSet};

use code_core::StepId;
use code_core::expr::Expr;
use code_core::plan::{Plan, Step};
use code_core::provider::{Action, Effects, Promise, Reversal};

use crate::render::verdicts;
use crate::style::{Cell, Style, Tone, cell, heading, paragraph, printable, shorten, table, wrap};

/// A plan of more steps than this shows them only with `full`: its components are enough to read.
const MOST_STEPS: usize = 40;

/// The plan as a page; one line where nothing changes.
pub fn plan(style: &Style, plan: &Plan) -> String {
    if plan.steps.is_empty() {
        return nothing(style, plan);
    }
    let head = format!("Plan {}", plan.id.short());
    let rest = format!(" for {}, revision {}", plan.deployment, plan.revision);
    let mut text = heading(style, Tone::Strong, &head, &rest);
    text.push_str(&components(style, plan));
    if style.full || plan.steps.len() <= MOST_STEPS {
        text.push_str(&heading(style, Tone::Strong, "Steps", ", each after those it needs, wave by wave"));
        text.push_str(&steps(style, plan));
    } else {
        text.push_str(&format!("{} steps (all of them: --full)\n", plan.steps.len()));
    }
    if plan.spec.is_some() {
        text.push_str(&verdicts::cost(style, plan.cost.as_ref()));
    }
    text.push_str(&way_back(style, plan));
    text.push_str(&taken_away(style, plan));
    text.push_str(&counts(style, plan));
    text
}

fn nothing(style: &Style, plan: &Plan) -> String {
    let kept = plan.kept.len();
    let kept = if kept > 0 { format!(", {kept} kept") } else { String::new() };
    let rest = format!(" {} is as it should be ({} unchanged{kept})", plan.deployment, plan.unchanged.len());
    heading(style, Tone::Good, "Nothing to do:", &rest)
}

/// One line for each component: its sign, its name, and how many of its resources change how.
fn components(style: &Style, plan: &Plan) -> String {
    let mut all: BTreeMap<&str, BTreeMap<Action, usize>> = BTreeMap::new();
    for step in &plan.steps {
        *all.entry(step.address().component()).or_default().entry(step.change.action).or_default() += 1;
    }
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .map(|(name, actions)| {
            let strongest = actions.keys().max().copied().unwrap_or(Action::Keep);
            let only_creates = actions.keys().all(|action| *action == Action::Create);
            let only_deletes = actions.keys().all(|action| *action == Action::Delete);
            let (sign, tone) = match strongest {
                _ if only_creates => sign(Action::Create),
                _ if only_deletes => sign(Action::Delete),
                Action::Keep => sign(Action::Keep),
                _ => sign(Action::Update),
            };
            let counts: Vec<String> = actions.iter().map(|(action, n)| format!("{n} to {action}")).collect();
            vec![cell(tone, sign), cell(Tone::Strong, name), cell(Tone::Plain, counts.join(", "))]
        })
        .collect();
    table(style, 2, &rows)
}

/// The steps in waves: a step stands below everything that it needs, and says what that is.
fn steps(style: &Style, plan: &Plan) -> String {
    let levels = plan.graph().map(|graph| graph.levels()).unwrap_or_default();
    let mut order: Vec<usize> = (0..plan.steps.len()).collect();
    order.sort_by_key(|i| (levels.get(*i).copied().unwrap_or(0), *i));
    let mut rows = Vec::new();
    let mut wave = None;
    for i in order {
        let step = &plan.steps[i];
        let level = levels.get(i).copied().unwrap_or(0);
        let number = if wave == Some(level) { String::new() } else { format!("{}", level + 1) };
        wave = Some(level);
        let (sign, tone) = sign(step.change.action);
        rows.push(vec![
            cell(Tone::Dim, number),
            cell(tone, sign),
            cell(Tone::Strong, step.address().as_str()),
            cell(Tone::Plain, what(style, plan, step)),
        ]);
        if style.full {
            for attribute in attributes(style, step) {
                rows.push(vec![cell(Tone::Plain, ""), cell(Tone::Plain, ""), attribute]);
            }
        }
    }
    table(style, 2, &rows)
}

fn what(style: &Style, plan: &Plan, step: &Step) -> String {
    let change = &step.change;
    let mut text = format!("{} {}", change.action, change.resource.kind);
    if !change.why.is_empty() {
        text.push_str(&format!(": {}", change.why));
    }
    let needs: Vec<&str> = nearest(plan, step)
        .into_iter()
        .filter_map(|id| plan.step(id))
        .map(|needed| needed.address().as_str())
        .collect();
    if !needs.is_empty() {
        text.push_str(&format!(" {} after {}", style.sign("·", "-"), needs.join(", ")));
    }
    text.push_str(&format!(" {} back: {}", style.sign("·", "-"), back(plan, step)));
    text
}

/// The steps that a step waits for, without those that another one of them waits for already.
fn nearest(plan: &Plan, step: &Step) -> Vec<StepId> {
    let mut further = BTreeSet::new();
    let mut open: Vec<StepId> =
        step.needs.iter().filter_map(|id| plan.step(*id)).flat_map(|needed| needed.needs.clone()).collect();
    while let Some(id) = open.pop() {
        if further.insert(id) {
            open.extend(plan.step(id).iter().flat_map(|needed| needed.needs.clone()));
        }
    }
    step.needs.iter().copied().filter(|id| !further.contains(id)).collect()
}

/// How a step is taken back, in a few words.
fn back(plan: &Plan, step: &Step) -> String {
    let gone = step.change.resource.want.is_none();
    let action = match (step.change.action, step.change.reversal.to()) {
        (_, None) => None,
        (_, Some(to)) if to.want.is_none() && gone => Some("leave it gone"),
        (_, Some(to)) if to.want.is_none() => Some("delete it"),
        (Action::Create, _) => Some("keep it"),
        _ if gone => Some("make it again"),
        (Action::Replace, _) => Some("put the old one back"),
        _ => Some("change it back"),
    };
    match (&step.change.reversal, action) {
        // Made, and not taken away again: only what is left has to be said.
        (Reversal::Compensable { but, to }, _)
            if step.change.action == Action::Create && to.want.is_some() =>
        {
            but.clone()
        }
        (Reversal::Reversible(_), Some(action)) => action.to_owned(),
        (Reversal::Compensable { but, .. }, Some(action)) => format!("{action}, but {but}"),
        (Reversal::Irreversible(why), _) => format!("IRREVERSIBLE: {why}"),
        (_, None) => format!("with {}", plan.deployment),
    }
}

/// Each wanted value, what is only known later, and what changes inside.
fn attributes(style: &Style, step: &Step) -> Vec<Cell> {
    let mut cells = Vec::new();
    let want = step.symbolic.clone().unwrap_or_else(|| step.change.resource.wanted());
    let before = step.change.prior.as_ref().map(|live| live.was.clone()).unwrap_or_default();
    for (name, value) in &want.0 {
        let now = expr(value);
        match before.get(name).map(expr) {
            Some(old) if old != now => {
                cells.push(cell(Tone::Warn, format!("{name}: {old} {} {now}", style.sign("→", "->"))));
            }
            _ => cells.push(cell(Tone::Plain, format!("{name}: {now}"))),
        }
    }
    for (name, promise) in &step.change.outputs {
        if *promise == Promise::Later {
            cells.push(cell(Tone::Dim, format!("{name}: known after this step")));
        }
    }
    match &step.change.effects {
        Effects::Exact(effects) => cells.extend(
            effects.iter().map(|effect| cell(Tone::Dim, format!("{}: {}", effect.action, effect.name))),
        ),
        Effects::Open { at_most, why } => {
            cells.push(cell(Tone::Warn, format!("at most {at_most}: {why}")));
        }
    }
    cells
}

/// A value as text; a secret is its name, and what is not known yet is where it will come from.
fn expr(value: &Expr) -> String {
    match value {
        Expr::Known(value) => code_core::expr::plain(value),
        Expr::Ref { address, output } => format!("<{address} {output}>"),
        Expr::Secret(name) => format!("<secret {name}>"),
        Expr::Text(parts) => parts.iter().map(expr).collect(),
    }
}

/// Whether all of it can be taken back, and what cannot.
fn way_back(style: &Style, plan: &Plan) -> String {
    let way = plan.way_back();
    let stuck: Vec<_> = way.iter().filter(|undo| undo.action.is_none()).collect();
    let total = way.len();
    if stuck.is_empty() {
        let how = if total == 1 { "the step".to_owned() } else { format!("each of the {total} steps") };
        let rest = match plan.follows {
            None => format!(": {how} can be taken back; if one fails, what was done is undone"),
            Some(run) => format!(": {how} can be taken back, to before run {run}, which this goes on from"),
        };
        return heading(style, Tone::Strong, "Way back", &rest);
    }
    let rest = format!(": {} of {total} steps can be taken back; these cannot:", total - stuck.len());
    let mut text = heading(style, Tone::Strong, "Way back", &rest);
    for undo in stuck {
        let why = match undo.reversal {
            Reversal::Irreversible(why) => why.as_str(),
            _ => "",
        };
        text.push_str(&paragraph(
            style,
            2,
            Tone::Bad,
            &format!("! {} {}: {why}", undo.of.change.action, undo.of.address()),
        ));
    }
    text
}

/// Everything that is deleted or replaced, by name.
fn taken_away(style: &Style, plan: &Plan) -> String {
    let mut text = String::new();
    for action in [Action::Replace, Action::Delete] {
        let names: Vec<&str> = plan
            .steps
            .iter()
            .filter(|step| step.change.action == action)
            .map(|step| step.address().as_str())
            .collect();
        if names.is_empty() {
            continue;
        }
        let (sign, tone) = sign(action);
        let list = format!("{sign} {action}: {}", names.join(", "));
        for (i, line) in wrap(&printable(&list), style.width.saturating_sub(4)).into_iter().enumerate() {
            text.push_str(if i == 0 { "" } else { "    " });
            text.push_str(&style.paint(tone, line));
            text.push('\n');
        }
    }
    text
}

/// `Plan: 3 to create, 0 to update, 0 to replace, 1 to delete; 2 unchanged, 1 kept (db/data)`.
pub fn counts(style: &Style, plan: &Plan) -> String {
    let counts = plan.counts();
    let number = |action| counts.get(&action).copied().unwrap_or(0);
    let mut rest = format!(
        ": {} to create, {} to update, {} to replace, {} to delete; {} unchanged",
        number(Action::Create),
        number(Action::Update),
        number(Action::Replace),
        number(Action::Delete),
        plan.unchanged.len() + number(Action::Keep),
    );
    if !plan.kept.is_empty() {
        let names: Vec<&str> = plan.kept.iter().map(|address| address.as_str()).collect();
        rest.push_str(&format!(", {} kept ({})", names.len(), shorten(style, &names.join(", "), 60)));
    }
    heading(style, Tone::Strong, "Plan", &rest)
}

/// The sign of an action, and its tone.
pub fn sign(action: Action) -> (&'static str, Tone) {
    match action {
        Action::Keep => ("=", Tone::Dim),
        Action::Create => ("+", Tone::Good),
        Action::Update => ("~", Tone::Warn),
        Action::Replace => ("!", Tone::Bad),
        Action::Delete => ("-", Tone::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::columns;
    use crate::style::tests::{NARROW, WIDE, strip};

    #[test]
    fn a_first_deployment() {
        insta::assert_snapshot!(plan(&WIDE, &samples::first_plan()));
        insta::assert_snapshot!(plan(&NARROW, &samples::first_plan()));
    }

    #[test]
    fn every_attribute_with_full() {
        insta::assert_snapshot!(plan(&Style { full: true, ..WIDE }, &samples::first_plan()));
    }

    #[test]
    fn what_is_taken_away_stands_next_to_the_counts() {
        insta::assert_snapshot!(plan(&WIDE, &samples::mixed_plan()));
        let color = Style { color: true, ..WIDE };
        assert_eq!(strip(&plan(&color, &samples::mixed_plan())), plan(&WIDE, &samples::mixed_plan()));
    }

    #[test]
    fn only_the_nearest_needs_are_named() {
        let mut plan = samples::first_plan();
        plan.steps[3].needs = vec![StepId(0), StepId(1), StepId(2)];
        assert_eq!(nearest(&plan, &plan.steps[3]), [StepId(2)]);
        assert_eq!(nearest(&plan, &plan.steps[2]), [StepId(0), StepId(1)]);
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        let text = plan(&WIDE, &samples::plan(Vec::new()));
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn two_hundred_components_are_read_in_two_hundred_lines() {
        let large = samples::large_plan(200, 50);
        let text = plan(&WIDE, &large);
        assert!(text.lines().count() <= 220, "{} lines", text.lines().count());
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len() - 20..].join("\n");
        for step in large.steps.iter().filter(|step| step.change.action == Action::Delete) {
            assert!(end.contains(step.address().as_str()), "{} is not near the counts", step.address());
        }
        for line in plan(&NARROW, &large).lines() {
            assert!(columns(line) <= 40, "{line}");
        }
    }
}
