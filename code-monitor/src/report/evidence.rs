//! What the run rests on: verdicts, cost, the spec with the origin of each value, and the events.

use std::cmp::Reverse;

use code_core::event::Body;
use code_core::scanner::{Finding, Severity, Verdict};

use super::chain::value;
use super::html::{Html, duration};
use super::icon;
use super::sentence::sentence;
use super::story::{Story, millis};
use super::waits::For;

/// What the scanners said, the worst first; what passed is folded away.
pub(super) fn verdicts(html: &mut Html, story: &Story<'_>) {
    html.raw("<section aria-labelledby=\"h-gate\"><h2 id=\"h-gate\">Verdicts of the gate</h2>");
    let mut all: Vec<(&str, &Finding)> = story
        .reports
        .iter()
        .flat_map(|report| report.findings.iter().map(|finding| (report.scanner.as_str(), finding)))
        .collect();
    all.sort_by_key(|(_, finding)| Reverse((finding.verdict, finding.severity)));
    let passed = all.iter().position(|(_, f)| f.verdict == Verdict::Pass).unwrap_or(all.len());
    let (open, passed) = all.split_at(passed);
    if all.is_empty() {
        html.raw("<p>The journal has no verdicts of this run.</p>");
    } else if open.is_empty() {
        html.raw("<p>");
        icon(html, "done");
        html.put("Every rule that was judged passed ({}).</p>", &[&passed.len()]);
    } else {
        findings(html, story, open);
    }
    if !passed.is_empty() {
        html.put("<details><summary>Passed: {}</summary>", &[&passed.len()]);
        findings(html, story, passed);
        html.raw("</details>");
    }
    html.raw("</section>");
}

fn findings(html: &mut Html, story: &Story<'_>, findings: &[(&str, &Finding)]) {
    html.raw(
        "<table class=\"wide\"><thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Rule</th>\
         <th scope=\"col\">Place</th><th scope=\"col\">What it says</th></tr></thead><tbody>",
    );
    for (scanner, finding) in findings {
        let (shape, word) = match finding.verdict {
            Verdict::Pass => ("done", "pass"),
            Verdict::Unknown => ("doubt", "unknown"),
            Verdict::Fail => ("failed", "fail"),
        };
        html.raw("<tr><th scope=\"row\">");
        icon(html, shape);
        html.put("{}", &[&word]);
        if finding.verdict == Verdict::Fail {
            html.put(", {}", &[&severity(finding.severity)]);
        }
        html.put(
            "</th><td><code>{}</code> <span class=\"mute\">{}</span></td><td class=\"code\" data-label=\"Place\">{}</td><td>{}",
            &[&finding.rule, scanner, &finding.at.as_deref().unwrap_or_default(), &finding.message],
        );
        if let Some(help) = finding.help.as_deref().filter(|_| finding.verdict != Verdict::Pass) {
            html.put("<br><span class=\"mute\">{}</span>", &[&help]);
        }
        if story.accepted.contains(&finding.id.as_str()) {
            html.put(" <span class=\"tag warn\">accepted, {}</span>", &[&finding.id]);
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// What it costs in a month. Unknown is not 0.
pub(super) fn cost(html: &mut Html, story: &Story<'_>) {
    html.raw("<section aria-labelledby=\"h-cost\"><h2 id=\"h-cost\">Cost in a month</h2>");
    let estimated = story.run.plan.cost.as_ref();
    match estimated.or_else(|| story.reports.iter().rev().find_map(|report| report.cost.as_ref())) {
        None => html.raw("<p>Unknown: no scanner estimated it.</p>"),
        Some(cost) => {
            html.raw(
                "<table><thead><tr><th scope=\"col\">For</th><th scope=\"col\" class=\"n\">Price</th>\
                 <th scope=\"col\">Where the price is from</th></tr></thead><tbody>",
            );
            for item in &cost.items {
                html.put(
                    "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td>{}</td></tr>",
                    &[&item.at, &price(item.monthly, &cost.currency), &item.why],
                );
            }
            html.put(
                "<tr><th scope=\"row\"><strong>Together</strong></th><td class=\"n\"><strong>{}</strong></td><td></td></tr></tbody></table>",
                &[&price(cost.total(), &cost.currency)],
            );
        }
    }
    html.raw("</section>");
}

fn price(amount: Option<f64>, currency: &str) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |amount| format!("{amount:.2} {currency}"))
}

/// The spec that was rolled out, each value with where it comes from.
pub(super) fn spec(html: &mut Html, story: &Story<'_>) {
    let plan = &story.run.plan;
    html.raw("<section aria-labelledby=\"h-spec\"><h2 id=\"h-spec\">The spec</h2>");
    if let Some(spec) = &plan.spec {
        let leaves = spec.leaves();
        html.put(
            "<details><summary>{} values, each with where it comes from</summary><table class=\"wide\"><thead><tr>\
             <th scope=\"col\">Field</th><th scope=\"col\">Value</th><th scope=\"col\">From</th></tr></thead><tbody>",
            &[&leaves.len()],
        );
        let whole = serde_json::to_value(spec).unwrap_or_default();
        for pointer in &leaves {
            let from = plan.origins.get(pointer).map_or_else(|| "unknown".to_owned(), ToString::to_string);
            html.put(
                "<tr><th scope=\"row\" class=\"code\">{}</th><td class=\"code\">{}</td><td class=\"mute\">{}</td></tr>",
                &[
                    &pointer.trim_start_matches('/'),
                    &whole.pointer(pointer).map(value).unwrap_or_default(),
                    &from,
                ],
            );
        }
        html.raw("</tbody></table></details></section>");
    } else {
        html.raw("<p>Nothing should exist: everything was taken down.</p></section>");
    }
}

/// Every event of the run and of what led to it, in order.
pub(super) fn events(html: &mut Html, story: &Story<'_>) {
    html.put(
        "<section aria-labelledby=\"h-events\"><h2 id=\"h-events\">Events</h2><details open><summary>{} events</summary>\
         <table><thead><tr><th scope=\"col\" class=\"n\">No.</th><th scope=\"col\" class=\"n\">After</th>\
         <th scope=\"col\">What happened</th></tr></thead><tbody>",
        &[&story.events.len()],
    );
    for (seq, event) in &story.events {
        let before = event.at < story.run.started;
        let away = match before {
            true => millis(event.at, story.run.started),
            false => millis(story.run.started, event.at),
        };
        html.put(
            "<tr><td class=\"n\">{}</td><td class=\"n\"><time datetime=\"{}\" title=\"{}\">{}{}</time></td><td>{}</td></tr>",
            &[
                seq,
                &event.at,
                &event.at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC"),
                &if before { "−" } else { "+" },
                &duration(away),
                &sentence(&event.body, Some(&story.run.plan)),
            ],
        );
        let resumed = matches!(event.body, Body::RunResumed { .. });
        if resumed && story.waits.iter().any(|w| w.what == For::Stopped && w.to == Some(event.at)) {
            html.raw("<tr><td></td><td></td><td class=\"mute\">Nothing had run since the event before; every started step was observed again.</td></tr>");
        }
    }
    html.raw("</tbody></table></details></section>");
}
