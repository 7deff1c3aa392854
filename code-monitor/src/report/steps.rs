//! The steps in words: what failed, what each did, and how each is taken back.

use code_core::Error;
use code_core::provider::{Effects, Reversal};

use super::html::{Html, duration};
use super::icon;
use super::story::{Mark, Story, millis};

/// What failed for good, each with its code, what to do, and its causes.
pub(super) fn failures(html: &mut Html, story: &Story<'_>) {
    let records = |undo: bool| if undo { &story.run.undo } else { &story.run.steps };
    let failed = |undo: bool| {
        records(undo)
            .iter()
            .enumerate()
            .filter_map(move |(i, record)| Some((i, undo, record.error.as_ref()?)))
    };
    let all: Vec<_> = failed(false).chain(failed(true)).collect();
    if all.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"h-failed\"><h2 id=\"h-failed\">What failed</h2>");
    for (step, undo, error) in all {
        let address = story.run.plan.steps.get(step).map_or("", |step| step.address().as_str());
        let attempts = records(undo)[step].attempts;
        html.raw("<div class=\"failure\"><p>");
        icon(html, if undo { Mark::Stuck.class() } else { story.mark(step).class() });
        html.put(
            "<strong>{}{}</strong> failed to {} <code>{}</code></p>",
            &[&if undo { "undo of " } else { "" }, &address, &error.message(), &error.code()],
        );
        if let Some(help) = error.help_text() {
            html.put("<p>What to do: {}</p>", &[&help]);
        }
        details(html, error);
        if attempts > 1 {
            html.put("<p class=\"mute\">{} attempts were made.</p>", &[&attempts]);
        }
        html.raw("</div>");
    }
    html.raw("</section>");
}

fn details(html: &mut Html, error: &Error) {
    let lines: Vec<String> = error
        .context()
        .map(|(name, value)| format!("{name}: {value}"))
        .chain(error.causes().iter().map(|cause| format!("caused by: {cause}")))
        .collect();
    if !lines.is_empty() {
        html.put("<pre class=\"code\">{}</pre>", &[&lines.join("\n")]);
    }
}

/// Every step of the plan: what it did, why, how it stands, how long it took.
pub(super) fn table(html: &mut Html, story: &Story<'_>) {
    let plan = &story.run.plan;
    html.raw("<section aria-labelledby=\"h-steps\"><h2 id=\"h-steps\">Steps</h2>");
    if plan.steps.is_empty() {
        html.raw("<p>There was nothing to do.</p>");
    } else {
        html.raw(
            "<table class=\"wide\"><thead><tr><th scope=\"col\">Step</th><th scope=\"col\">State</th>\
             <th scope=\"col\">Change</th><th scope=\"col\">Needs</th><th scope=\"col\" class=\"n\">Attempts</th>\
             <th scope=\"col\" class=\"n\">Took</th></tr></thead><tbody>",
        );
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let mark = story.mark(i);
        html.put("<tr><th scope=\"row\">{}", &[step.address()]);
        if story.critical[i] {
            html.raw(" <span class=\"tag critical\">critical path</span>");
        }
        html.raw("</th><td>");
        icon(html, mark.class());
        html.put(
            "{}</td><td data-label=\"Change\">{} by {}",
            &[&mark.word(), &step.change.action, &step.provider],
        );
        if !step.change.why.is_empty() {
            html.put(": {}", &[&step.change.why]);
        }
        effects(html, &step.change.effects);
        let needs: Vec<_> = step.needs.iter().filter_map(|need| plan.step(*need)).collect();
        let needs: Vec<_> = needs.iter().map(|step| step.address().as_str()).collect();
        html.put(
            "</td><td data-label=\"Needs\">{}</td><td class=\"n\" data-label=\"Attempts\">{}</td><td class=\"n\" data-label=\"Took\">{}</td></tr>",
            &[
                &needs.join(", "),
                &story.run.steps.get(i).map_or(0, |record| record.attempts),
                &story.took(i).map(duration).unwrap_or_default(),
            ],
        );
    }
    if !plan.steps.is_empty() {
        html.raw("</tbody></table>");
    }
    for (list, title) in
        [(&plan.unchanged, "Unchanged"), (&plan.kept, "No longer wanted, and kept with its data")]
    {
        if !list.is_empty() {
            let names: Vec<_> = list.iter().map(|address| address.as_str()).collect();
            html.put("<p><span class=\"mute\">{}:</span> {}</p>", &[&title, &names.join(", ")]);
        }
    }
    html.raw("</section>");
}

/// What else is touched inside: more than one thing, or what the tool could not say before.
fn effects(html: &mut Html, effects: &Effects) {
    match effects {
        Effects::Exact(all) if all.len() > 1 => {
            html.put("<details><summary>{} effects</summary><ul>", &[&all.len()]);
            for effect in all {
                html.put("<li>{} {}</li>", &[&effect.action, &effect.name]);
            }
            html.raw("</ul></details>");
        }
        Effects::Exact(_) => {}
        Effects::Open { at_most, why } => {
            html.put("<p class=\"mute\">at most {}, not known before: {}</p>", &[at_most, why]);
        }
    }
}

/// How each step would be, or was, taken back, in the order of an undo.
pub(super) fn way_back(html: &mut Html, story: &Story<'_>) {
    let way_back = story.run.plan.way_back();
    if way_back.is_empty() {
        return;
    }
    html.raw(
        "<section aria-labelledby=\"h-back\"><h2 id=\"h-back\">The way back</h2>\
         <p class=\"mute\">Planned with the way forward; in the order of an undo.</p><ol class=\"back\">",
    );
    for undo in way_back {
        html.put("<li>{}: ", &[undo.of.address()]);
        if let Some(action) = undo.action {
            html.put("{} ", &[&action]);
        }
        match undo.reversal {
            Reversal::Reversible(_) => html.raw("<span class=\"tag good\">reversible</span>"),
            Reversal::Compensable { but, .. } => {
                html.put("<span class=\"tag warn\">compensable</span> but {}", &[but]);
            }
            Reversal::Irreversible(why) => {
                html.put("<span class=\"tag bad\">irreversible</span> {}", &[why]);
            }
        }
        let mark = story.mark(undo.of.id.index());
        if matches!(mark, Mark::Undone | Mark::Stuck) {
            html.raw(" – ");
            icon(html, mark.class());
            html.put("{}", &[&mark.word()]);
            took_back(html, story, undo.of.id.index());
        }
        html.raw("</li>");
    }
    html.raw("</ol></section>");
}

/// What an undo took away, or was about to, and how long that took.
fn took_back(html: &mut Html, story: &Story<'_>, step: usize) {
    if let Some(live) = story.run.steps.get(step).and_then(|record| record.live.as_ref()) {
        html.put(": <code>{}</code>", &[&live.id]);
    }
    let record = story.run.undo.get(step);
    if let Some((from, to)) = record.and_then(|record| record.started.zip(record.ended)) {
        html.put(", in {}", &[&duration(millis(from, to))]);
    }
}
