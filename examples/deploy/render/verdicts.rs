//! The verdicts of the gate: what keeps it closed first, what passed as a number.

use std::collections::BTreeSet;

use code_core::scanner::{Cost, Finding, Report, Severity, Verdict};

use crate::style::{Style, Tone, cell, heading, paragraph, table};

/// What the scanners said: fails, then unknowns, each with its place and what to do; passes are counted.
///
/// `of` is what was judged: `spec`, `plan`.
pub fn verdicts(style: &Style, of: &str, reports: &[Report], accepted: &BTreeSet<String>) -> String {
    let findings: Vec<&Finding> = reports.iter().flat_map(|report| &report.findings).collect();
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (fails, unknowns, passes) = (count(Verdict::Fail), count(Verdict::Unknown), count(Verdict::Pass));
    let open = is_open(reports, accepted);
    let scanners: Vec<&str> = reports.iter().map(|report| report.scanner.as_str()).collect();
    let by = if scanners.is_empty() { "nobody".to_owned() } else { scanners.join(", ") };
    let (head, tone) = if open { ("Gate PASS", Tone::Good) } else { ("Gate STOP", Tone::Bad) };
    let rest = format!(" of the {of}: {fails} failed, {unknowns} unknown, {passes} passed (by {by})");
    let mut text = heading(style, tone, head, &rest);
    let mut shown: Vec<&&Finding> =
        findings.iter().filter(|finding| style.full || finding.verdict != Verdict::Pass).collect();
    shown.sort_by_key(|finding| (std::cmp::Reverse(finding.verdict), std::cmp::Reverse(finding.severity)));
    for finding in shown {
        text.push_str(&one(style, finding, accepted));
    }
    text
}

/// One finding.
pub fn one(style: &Style, finding: &Finding, accepted: &BTreeSet<String>) -> String {
    let (word, tone) = match finding.verdict {
        Verdict::Pass => ("pass", Tone::Good),
        Verdict::Unknown => ("UNKNOWN", Tone::Warn),
        Verdict::Fail if finding.severity < Severity::High => ("warn", Tone::Warn),
        Verdict::Fail => ("FAIL", Tone::Bad),
    };
    let at = finding.at.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
    let mut text = table(
        style,
        2,
        &[vec![
            cell(tone, format!("{word:7}")),
            cell(Tone::Strong, &finding.rule),
            cell(Tone::Plain, format!("{}{at}", finding.message)),
        ]],
    );
    if finding.verdict == Verdict::Pass {
        return text;
    }
    if let Some(help) = &finding.help {
        text.push_str(&paragraph(style, 11, Tone::Plain, &format!("hint: {help}")));
    }
    if finding.verdict == Verdict::Unknown {
        let how = if accepted.contains(&finding.id) {
            "accepted by you".to_owned()
        } else {
            format!("nobody can tell; if you know that it is right: --accept {}", finding.id)
        };
        text.push_str(&paragraph(style, 11, Tone::Plain, &how));
    }
    text
}

/// Whether nothing in the reports keeps the gate closed, as far as reports alone can tell.
pub fn is_open(reports: &[Report], accepted: &BTreeSet<String>) -> bool {
    reports.iter().flat_map(|report| &report.findings).all(|finding| opens(finding, accepted))
}

fn opens(finding: &Finding, accepted: &BTreeSet<String>) -> bool {
    match finding.verdict {
        Verdict::Pass => true,
        Verdict::Fail => finding.severity < Severity::High,
        Verdict::Unknown => accepted.contains(&finding.id),
    }
}

/// What it costs: the sum, or what of it is not known.
pub fn cost(style: &Style, cost: Option<&Cost>) -> String {
    let label = style.paint(Tone::Strong, "Cost");
    let Some(cost) = cost else {
        return format!("{label}: unknown: no scanner estimated it\n");
    };
    let why: BTreeSet<&str> = cost.items.iter().map(|item| item.why.as_str()).collect();
    let why = why.into_iter().collect::<Vec<_>>().join("; ");
    match cost.total() {
        Some(_) if cost.items.is_empty() => format!("{label}: nothing\n"),
        Some(total) if total == 0.0 && !why.is_empty() => {
            heading(style, Tone::Strong, "Cost", &format!(": nothing ({why})"))
        }
        Some(total) => format!("{label}: {total:.2} {} a month\n", cost.currency),
        None => {
            // `sum` of nothing is -0.
            let known = cost.items.iter().filter_map(|item| item.monthly).fold(0.0, |sum, one| sum + one);
            let mut text = format!("{label}: at least {known:.2} {} a month; unknown:\n", cost.currency);
            for item in cost.items.iter().filter(|item| item.monthly.is_none()) {
                text.push_str(&paragraph(style, 2, Tone::Warn, &format!("{}: {}", item.at, item.why)));
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE};

    #[test]
    fn what_closes_the_gate_comes_first() {
        let reports = samples::reports();
        insta::assert_snapshot!(verdicts(&WIDE, "spec", &reports, &BTreeSet::new()));
        insta::assert_snapshot!(verdicts(&NARROW, "spec", &reports, &BTreeSet::new()));
    }

    #[test]
    fn where_no_price_is_known_it_is_at_least_nothing() {
        let mut cost = samples::cost();
        cost.items.iter_mut().for_each(|item| item.monthly = None);
        assert!(super::cost(&WIDE, Some(&cost)).contains("at least 0.00 USD"));
    }

    #[test]
    fn an_accepted_unknown_opens_it() {
        let mut reports = samples::reports();
        reports[0].findings.retain(|finding| finding.verdict != Verdict::Fail);
        let id = reports[0].findings[0].id.clone();
        assert!(verdicts(&WIDE, "spec", &reports, &BTreeSet::new()).contains("STOP"));
        let text = verdicts(&WIDE, "spec", &reports, &BTreeSet::from([id]));
        assert!(text.contains("PASS") && text.contains("accepted by you"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let cost = samples::cost();
        assert_eq!(
            super::cost(&WIDE, Some(&cost)),
            "Cost: at least 12.50 USD a month; unknown:\n  db: no price for this region\n"
        );
        assert!(super::cost(&WIDE, None).contains("unknown"));
    }
}
