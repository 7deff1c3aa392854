//! Answers without secrets and without what a terminal would obey.
//!
//! Data (ids, wanted values, outputs) must come back to its provider as it was, so a secret in it is a broken
//! contract: see [`Clean::leaks`]. Text that only a person reads is cleaned, and used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::expr::{Expr, Want, plain as text};
use crate::provider::{Change, Effect, Effects, Failed, Health, Live, Observed, Promise, Reversal};
use crate::scanner::Report;
use crate::{Ctx, Error};

/// An answer of a provider.
pub(super) trait Clean: Sized {
    /// Whether the value of a secret is where data should be.
    fn leaks(&self, _: &Ctx) -> bool {
        false
    }
    /// The answer with its texts fit to be shown, and without secrets everywhere.
    fn clean(self, ctx: &Ctx) -> Self;
}

impl Clean for Error {
    fn clean(self, ctx: &Ctx) -> Error {
        self.map_text(|text| ctx.harmless(text))
    }
}

impl Clean for Health {
    fn clean(self, ctx: &Ctx) -> Health {
        let text = |text: String| ctx.harmless(&text);
        match self {
            Health::Ready { version } => Health::Ready { version: text(version) },
            Health::Missing { what, help } => Health::Missing { what: text(what), help: text(help) },
            Health::Broken { why, help } => Health::Broken { why: text(why), help: text(help) },
        }
    }
}

impl Clean for Observed {
    fn leaks(&self, ctx: &Ctx) -> bool {
        self.live().is_some_and(|live| live.leaks(ctx))
    }

    fn clean(self, ctx: &Ctx) -> Observed {
        match self {
            Observed::Present(live) => Observed::Present(live.clean(ctx)),
            Observed::Unknown(why) => Observed::Unknown(ctx.harmless(&why)),
            other => other,
        }
    }
}

impl<T: Clean> Clean for Option<T> {
    fn leaks(&self, ctx: &Ctx) -> bool {
        self.as_ref().is_some_and(|answer| answer.leaks(ctx))
    }

    fn clean(self, ctx: &Ctx) -> Option<T> {
        self.map(|answer| answer.clean(ctx))
    }
}

impl Clean for Want {
    fn leaks(&self, ctx: &Ctx) -> bool {
        in_all(ctx, &self.0)
    }

    fn clean(self, ctx: &Ctx) -> Want {
        let plain = |(name, value)| (ctx.redactor().redact(String::as_str(&name)), plain(ctx, value));
        Want(self.0.into_iter().map(plain).collect())
    }
}

impl Clean for Live {
    fn leaks(&self, ctx: &Ctx) -> bool {
        ctx.redactor().finds(&self.id) || self.was.leaks(ctx) || in_all(ctx, &self.outputs)
    }

    fn clean(self, ctx: &Ctx) -> Live {
        Live {
            id: ctx.redactor().redact(&self.id),
            was: self.was.clean(ctx),
            outputs: Want(self.outputs).clean(ctx).0,
            drift: self.drift.iter().map(|text| ctx.harmless(text)).collect(),
        }
    }
}

impl Clean for Change {
    fn leaks(&self, ctx: &Ctx) -> bool {
        let promised = |(name, promise): (&String, &Promise)| {
            ctx.redactor().finds(name) || matches!(promise, Promise::Stays(value) if in_expr(ctx, value))
        };
        let wanted = |want: &Option<Want>| want.as_ref().is_some_and(|want| want.leaks(ctx));
        wanted(&self.resource.want)
            || self.prior.leaks(ctx)
            || self.outputs.iter().any(promised)
            || self.reversal.to().is_some_and(|to| wanted(&to.want))
            || self.private.as_ref().is_some_and(|note| in_value(ctx, note))
    }

    fn clean(self, ctx: &Ctx) -> Change {
        let effects = match self.effects {
            Effects::Exact(effects) => Effects::Exact(
                effects
                    .into_iter()
                    .map(|e| Effect { name: ctx.harmless(&e.name), ..e })
                    .collect::<BTreeSet<_>>(),
            ),
            Effects::Open { at_most, why } => Effects::Open { at_most, why: ctx.harmless(&why) },
        };
        let reversal = match self.reversal {
            Reversal::Compensable { to, but } => Reversal::Compensable { to, but: ctx.harmless(&but) },
            Reversal::Irreversible(why) => Reversal::Irreversible(ctx.harmless(&why)),
            reversible @ Reversal::Reversible(_) => reversible,
        };
        Change { effects, reversal, why: ctx.harmless(&self.why), prior: self.prior.clean(ctx), ..self }
    }
}

impl Clean for Report {
    fn clean(mut self, ctx: &Ctx) -> Report {
        for finding in &mut self.findings {
            finding.rule = ctx.harmless(&finding.rule);
            finding.message = ctx.harmless(&finding.message);
            finding.at = finding.at.as_deref().map(|at| ctx.harmless(at));
            finding.help = finding.help.as_deref().map(|help| ctx.harmless(help));
        }
        for item in self.cost.iter_mut().flat_map(|cost| &mut cost.items) {
            (item.at, item.why) = (ctx.harmless(&item.at), ctx.harmless(&item.why));
            // What is no price is an unknown one, never a low one.
            item.monthly = item.monthly.filter(|price| price.is_finite() && *price >= 0.0);
        }
        self
    }
}

impl Clean for Failed {
    fn clean(self, ctx: &Ctx) -> Failed {
        Failed { error: self.error.clean(ctx), left: self.left.clean(ctx) }
    }
}

fn in_all(ctx: &Ctx, values: &BTreeMap<String, Expr>) -> bool {
    values.iter().any(|(name, value)| ctx.redactor().finds(name) || in_expr(ctx, value))
}

fn in_expr(ctx: &Ctx, expr: &Expr) -> bool {
    match expr {
        Expr::Known(value) => in_value(ctx, value),
        // Also where it is cut into parts.
        Expr::Text(parts) => {
            let whole: String = parts.iter().filter_map(Expr::known).map(|value| text(&value)).collect();
            ctx.redactor().finds(&whole) || parts.iter().any(|part| in_expr(ctx, part))
        }
        Expr::Secret(name) => ctx.redactor().finds(&name.0),
        Expr::Ref { output, .. } => ctx.redactor().finds(output),
    }
}

fn in_value(ctx: &Ctx, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => ctx.redactor().finds(&number.to_string()),
        Value::String(text) => ctx.redactor().finds(text),
        Value::Array(items) => items.iter().any(|item| in_value(ctx, item)),
        Value::Object(map) => {
            map.iter().any(|(name, item)| ctx.redactor().finds(name) || in_value(ctx, item))
        }
    }
}

/// The value, or what stands for it where a secret is in it.
fn plain(ctx: &Ctx, expr: Expr) -> Expr {
    if in_expr(ctx, &expr) { Expr::from(crate::redact::REDACTED) } else { expr }
}
