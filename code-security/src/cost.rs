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
        Platform::Local | Platform::Docker => (Some(0.0), "own machine".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(currency: &str, prices: &[Option<f64>]) -> Cost {
        let item =
            |monthly: &Option<f64>| CostItem { at: "web".into(), monthly: *monthly, why: "a list".into() };
        Cost { currency: currency.into(), items: prices.iter().map(item).collect() }
    }

    fn check(
        currency: &str,
        prices: &[Option<f64>],
        budget: Option<(f64, Option<&str>)>,
        expect: (Verdict, &str),
    ) {
        let constraints = Constraints {
            budget_monthly: budget.map(|(amount, _)| amount),
            currency: budget.and_then(|(_, currency)| currency.map(str::to_owned)),
            compliance: Vec::new(),
        };
        let finding = judge(&cost(currency, prices), &constraints);
        assert_eq!((finding.verdict, finding.message.as_str()), expect);
        assert_eq!(finding.at.as_deref(), Some(AT));
        assert_eq!(finding.help.is_some(), finding.verdict != Verdict::Pass);
    }

    #[test]
    fn a_cost_is_held_against_the_budget() {
        use Verdict::{Fail, Pass, Unknown};
        let (ten, free) = (Some(10.0), Some(0.0));
        check("USD", &[free], None, (Pass, "there is no budget, and the cost is 0.00 USD"));
        check("USD", &[None], None, (Pass, "there is no budget, and the cost is unknown"));
        check("USD", &[], Some((0.0, None)), (Pass, "0.00 of 0.00 USD a month"));
        check("USD", &[ten, ten], Some((20.0, None)), (Pass, "20.00 of 20.00 USD a month"));
        check(
            "USD",
            &[ten, ten],
            Some((19.99, None)),
            (Fail, "20.00 USD a month is over the budget of 19.99"),
        );
        check("EUR", &[ten], Some((20.0, Some("EUR"))), (Pass, "10.00 of 20.00 EUR a month"));
        let other = (Unknown, "10.00 USD cannot be held against a budget in EUR");
        check("USD", &[ten], Some((20.0, Some("EUR"))), other);
        check("USD", &[free], Some((20.0, Some("EUR"))), (Pass, "0.00 of 20.00 EUR a month"));
        let unknown = (Unknown, "whether it stays within 20.00 USD is not known: a list");
        check("USD", &[ten, None], Some((20.0, None)), unknown);
        // A part that is over by itself does not make the rest known, and rubbish is no price.
        check("USD", &[Some(99.0), None], Some((20.0, None)), unknown);
        check("USD", &[Some(f64::NAN)], Some((20.0, None)), unknown);
        check("USD", &[Some(f64::NEG_INFINITY)], Some((20.0, None)), unknown);
    }
}
