//! The head of the page, from the words to the effect: who asked for what, what was read in it, who approved
//! it, which plan ran, and how it ended.

use std::collections::BTreeSet;

use code_core::checks::How;
use code_core::event::Outcome;
use code_core::request::{Request, Span};
use serde_json::Value;

use super::html::{Html, duration};
use super::sentence::word;
use super::story::{Story, millis};
use super::{icon, time};

/// The title, the outcome, and the facts of the run.
pub(super) fn head(html: &mut Html, story: &Story<'_>) {
    let run = &story.run;
    html.put(
        "<header><h1>{}, revision {}</h1><p class=\"outcome\">",
        &[&run.plan.deployment, &run.plan.revision],
    );
    let (shape, says) = match run.ended {
        Some((_, outcome @ Outcome::Succeeded)) => ("done", word(outcome)),
        Some((_, outcome @ Outcome::RolledBack)) => ("undone", word(outcome)),
        Some((_, outcome @ Outcome::Failed)) => ("failed", word(outcome)),
        Some((
            _,
            outcome @ (Outcome::Cancelled | Outcome::Incomplete | Outcome::Superseded | Outcome::Paused),
        )) => ("skipped", word(outcome)),
        None if run.paused.is_some() => ("failed", word(Outcome::Paused)),
        None if run.undoing.is_some() => ("started", "being rolled back"),
        None => ("started", "not ended"),
    };
    icon(html, shape);
    html.put("Run {}: {}</p>", &[&run.id, &says]);
    if let Some(why) = &run.undoing {
        html.put("<p>What was done was taken back: {}.</p>", &[&why.trim_end_matches('.')]);
    }
    html.raw("<dl class=\"facts\">");
    if let Some(request) = story.request {
        html.put("<div><dt>Asked by</dt><dd>{}, ", &[&request.who]);
        time(html, request.at);
        html.raw("</dd></div>");
    }
    if let Some(approval) = story.approval {
        let how = match approval.how {
            How::Prompt => "at the prompt",
            How::Option => "by an option",
            How::Person => "as another person",
            How::Program => "by a program",
        };
        html.put("<div><dt>Approved by</dt><dd>{} {}, ", &[&approval.by, &how]);
        time(html, approval.at);
        html.raw("</dd></div>");
    }
    html.put("<div><dt>Run by</dt><dd>{}</dd></div><div><dt>Began</dt><dd>", &[&run.holder]);
    time(html, run.started);
    html.put(
        "</dd></div><div><dt>{}</dt><dd>{}</dd></div>",
        &[
            &if run.ended.is_some() { "Took" } else { "Until now" },
            &duration(millis(run.started, story.end())),
        ],
    );
    html.put(
        "<div><dt>Plan</dt><dd class=\"code\" title=\"{}\">{}</dd></div>",
        &[&run.plan.id, &run.plan.id.short()],
    );
    html.put("<div><dt>Steps</dt><dd>{}</dd></div>", &[&counts(story)]);
    for address in addresses(story) {
        // Only a web address becomes a link, whatever an output says.
        if address.starts_with("http://") || address.starts_with("https://") {
            html.put("<div><dt>Address</dt><dd><a href=\"{}\">{}</a></dd></div>", &[&address, &address]);
        }
    }
    html.raw("</dl></header>");
}

/// The words of the request, with those marked that said something, and what they said.
pub(super) fn request(html: &mut Html, story: &Story<'_>) {
    let Some(request) = story.request else { return };
    html.raw("<section aria-labelledby=\"h-words\"><h2 id=\"h-words\">What was asked</h2><blockquote>");
    let evidence = story.understood.map(|(_, parsed)| &parsed.evidence);
    let spans: BTreeSet<Span> = evidence.into_iter().flat_map(|e| e.values().flatten().copied()).collect();
    words(html, request, &spans);
    html.raw("</blockquote>");
    if let Some((parser, parsed)) = story.understood {
        html.put(
            "<details><summary>What {} read in the words</summary><table><thead><tr>\
             <th scope=\"col\">Words</th><th scope=\"col\">Field</th><th scope=\"col\">Value</th></tr></thead><tbody>",
            &[&parser],
        );
        let intents = serde_json::to_value(&parsed.intents).unwrap_or_default();
        for (pointer, spans) in &parsed.evidence {
            let said: Vec<_> = spans.iter().map(|span| span.of(&request.text)).collect();
            let value = intents.pointer(pointer).map(value).unwrap_or_default();
            html.put(
                "<tr><th scope=\"row\">{}</th><td class=\"code\">{}</td><td class=\"code\">{}</td></tr>",
                &[&said.join(" … "), &pointer.trim_start_matches('/'), &value],
            );
        }
        html.raw("</tbody></table></details>");
        for note in &parsed.notes {
            html.put("<p class=\"mute\">Note: {} <code>{}</code></p>", &[&note.message, &note.code]);
        }
    }
    html.raw("</section>");
}

/// The links of the chain, whole, for whoever checks them.
pub(super) fn foot(html: &mut Html, story: &Story<'_>) {
    let plan = &story.run.plan;
    html.raw("<footer><details><summary>Digests of the chain</summary><dl>");
    let chain = &plan.chain;
    for (name, digest) in [
        ("Request", chain.request),
        ("Intent", chain.intent),
        ("Spec", chain.spec),
        ("Reports on the spec", chain.reports),
        ("Plan", Some(plan.id)),
    ] {
        if let Some(digest) = digest {
            html.put("<dt>{}</dt><dd class=\"code\">{}</dd>", &[&name, &digest]);
        }
    }
    html.raw("</dl></details><p>Made from the journal of the deployment; times are in UTC.</p></footer>");
}

/// A value as a table shows it: text without quotes.
pub(super) fn value(value: &Value) -> String {
    code_core::expr::plain(value)
}

/// The text with the words of these spans marked; spans that do not fit the text are left out.
fn words(html: &mut Html, request: &Request, spans: &BTreeSet<Span>) {
    let text = request.text.as_str();
    let mut at = 0;
    for span in spans {
        let start = span.start.max(at);
        let (Some(before), Some(marked)) = (text.get(at..start), text.get(start..span.end)) else { continue };
        if !marked.is_empty() {
            html.put("{}<mark>{}</mark>", &[&before, &marked]);
            at = span.end;
        }
    }
    html.put("{}", &[&text.get(at..).unwrap_or_default()]);
}

/// `2 create, 1 update; 3 unchanged, 1 kept`.
fn counts(story: &Story<'_>) -> String {
    let plan = &story.run.plan;
    let mut parts: Vec<String> = plan.counts().iter().map(|(action, n)| format!("{n} {action}")).collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    for (n, word) in [(plan.unchanged.len(), "unchanged"), (plan.kept.len(), "kept")] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    parts.join(", ")
}

/// The `url` outputs of what is there now, where they are known and hold no secret.
fn addresses(story: &Story<'_>) -> BTreeSet<String> {
    let records = story.run.steps.iter().zip(&story.run.undo);
    let there = records.filter(|(_, undo)| undo.phase == code_core::status::Phase::Waiting);
    let outputs = there.filter_map(|(record, _)| record.live.as_ref()?.outputs.get("url")?.known());
    outputs.map(|url| value(&url)).collect()
}
