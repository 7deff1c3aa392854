//! What a deployment costs in a month: a price where one is known, and `unknown` where none is.
//!
//! One's own machine costs nothing more than it did before: that is a price, 0.00. What no price list covers
//! is never 0: its sum is unknown, and a budget over it is an unknown finding.

use async_trait::async_trait;
use code_core::intent::{Constraints, Platform};
use code_core::scanner::{Cost, CostItem, Finding, Report, Severity, Subject, Verdict};
use code_core::spec::Spec;
use code_core::{Ctx, Error, ErrorKind, Result, Scanner};

/// The one rule of this scanner.
const RULE: &str = "cost.within-budget";
/// Where the budget stands.
const AT: &str = "/constraints/budget_monthly";
/// The currency of an estimate where the spec names none.
const CURRENCY: &str = "USD";

/// Estimates what a spec, or the state that a plan makes, costs in a month, and holds it against the budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct CostScanner;

#[async_trait]
impl Scanner for CostScanner {
    fn name(&self) -> &'static str {
        "cost"
    }

    fn looks_at(&self, subject: &Subject<'_>) -> bool {
        matches!(subject, Subject::Spec(..) | Subject::Plan(_))
    }

    async fn scan(&self, _: &Ctx, subject: Subject<'_>) -> Result<Report> {
        let spec = match subject {
            Subject::Spec(spec, _) => Some(spec),
            Subject::Plan(plan) => plan.spec.as_ref(),
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "cost::subject",
                    "estimate a subject of this sort",
                )
                .help("costs are estimated for specs and plans"));
            }
        };
        let cost = spec.map_or_else(nothing, estimate);
        let constraints = spec.map(|spec| spec.constraints.clone()).unwrap_or_default();
        let findings = vec![judge(&cost, &constraints)];
        Ok(Report { scanner: self.name().to_owned(), subject: subject.digest(), findings, cost: Some(cost) })
    }
}

/// What each component of a spec costs in a month.
pub fn estimate(spec: &Spec) -> Cost {
    let platform = spec.target.platform;
    let (monthly, why) = match platform {
        Platform::Local => (Some(0.0), "own machine".to_owned()),
        other => (None, format!("no price list for {other} yet")),
    };
    let item = |name: &str| CostItem { at: name.to_owned(), monthly, why: why.clone() };
    Cost {
        currency: currency(&spec.constraints).to_owned(),
        items: spec.components.iter().map(|component| item(&component.name)).collect(),
    }
}

/// Holds a cost against the budget: what is not known, or is in another currency, fits no budget.
pub fn judge(cost: &Cost, constraints: &Constraints) -> Finding {
    let finding =
        |verdict, message: String| Finding::new(RULE, Some(AT), verdict, message).severity(Severity::High);
    // The empty sum is -0.0.
    let total = cost.total().filter(|total| total.is_finite()).map(|total| total + 0.0);
    let Some(budget) = constraints.budget_monthly else {
        let known = total.map_or("unknown".to_owned(), |total| format!("{total:.2} {}", cost.currency));
        return finding(Verdict::Pass, format!("there is no budget, and the cost is {known}"));
    };
    let currency = currency(constraints);
    let Some(total) = total else {
        let unpriced = cost.items.iter().filter(|item| item.monthly.is_none_or(|price| !price.is_finite()));
        let first = unpriced.map(|item| item.why.as_str()).next().unwrap_or("no price");
        return finding(
            Verdict::Unknown,
            format!("whether it stays within {budget:.2} {currency} is not known: {first}"),
        )
        .help("look the price up, and accept this finding by its id if it fits; or take the budget out");
    };
    // Nothing is nothing in every currency.
    if cost.currency != currency && total != 0.0 {
        return finding(
            Verdict::Unknown,
            format!("{total:.2} {} cannot be held against a budget in {currency}", cost.currency),
        )
        .help(format!("give the budget in {}", cost.currency));
    }
    if total <= budget {
        finding(Verdict::Pass, format!("{total:.2} of {budget:.2} {currency} a month"))
    } else {
        finding(Verdict::Fail, format!("{total:.2} {currency} a month is over the budget of {budget:.2}"))
            .help("ask for less, or raise the budget")
    }
}

fn nothing() -> Cost {
    Cost { currency: CURRENCY.to_owned(), items: Vec::new() }
}

fn currency(constraints: &Constraints) -> &str {
    constraints.currency.as_deref().unwrap_or(CURRENCY)
}
