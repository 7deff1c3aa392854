//! The values of a spec that are not of a component: where, under which rules, within which limits.

use code_core::diagnostic::Note;
use code_core::intent::Intent;
use code_core::spec::{Origin, SPEC_VERSION, Spec};
use serde_json::Value;

use super::act::Scene;
use super::draft::Fields;
use crate::settings::escape;

/// Fills in what an intent leaves open. The rules of the settings as they are now always count.
pub(super) fn fill(top: &mut Fields, intent: &Intent, scene: &mut Scene<'_>) {
    let mut said =
        Fields::of(&intent.target, true, |pointer| scene.words.origin(&format!("/target{pointer}")));
    said = under_key("/target", said);
    let limits = Fields::of(&intent.constraints, true, |pointer| {
        scene.words.origin(&format!("/constraints{pointer}"))
    });
    said.under(under_key("/constraints", limits));
    fill_under(top, said, scene);
}

/// The same under values that were said elsewhere: in a spec file.
pub(super) fn fill_under(top: &mut Fields, said: Fields, scene: &mut Scene<'_>) {
    let context = scene.context;
    let environment = scene.place.deployment.environment();
    let base = std::mem::take(top);
    *top = said;
    let deployment = &scene.place.deployment;
    top.fill("/version", SPEC_VERSION, Origin::default("the format's version"));
    top.fill("/application", deployment.application(), scene.place.application.clone());
    top.fill("/environment", environment, scene.place.environment.clone());
    if let Some(platform) = context.options.platform {
        top.fill("/target/platform", platform.as_str(), Origin::Option { name: "--platform".into() });
    }
    rules(top, scene);
    top.under(from_settings(scene));
    // Without settings for it, an environment stays under the rules that it had.
    let listed = context.settings.environments.contains_key(environment);
    let defaults = [("/protected", Value::from(false)), ("/delete_budget", default_delete_budget())];
    let mut kept = base;
    kept.0.retain(|pointer, sourced| {
        let rule = defaults.iter().any(|(rule, default)| pointer == rule && sourced.value != *default);
        pointer.starts_with("/target/") || sourced.said || (rule && !listed)
    });
    for pointer in ["/version", "/application", "/environment"] {
        kept.remove(pointer);
    }
    top.under(kept);
    top.fill("/target/platform", "local", Origin::default("this machine"));
    top.fill("/protected", false, Origin::default(format!("no setting protects {environment}")));
    let budget = default_delete_budget();
    top.fill("/delete_budget", budget, Origin::default("enough for a small deployment"));
    if top.has("/constraints/budget_monthly") {
        top.fill("/constraints/currency", "USD", Origin::default("no currency was said"));
    }
}

/// What the settings set as a limit, nobody may loosen from outside: they win over what was said, unless
/// that is stricter.
fn rules(said: &mut Fields, scene: &mut Scene<'_>) {
    let settings = from_settings(scene);
    if let Some((protected, origin)) = scene.context.settings.protected(scene.environment())
        && said.get("/protected") != Some(&Value::Bool(true))
    {
        said.set("/protected", protected, origin, false);
    }
    let limits = ["/delete_budget", "/constraints/budget_monthly"];
    for pointer in limits {
        let (Some(limit), Some(asked)) = (settings.0.get(pointer), said.get(pointer)) else { continue };
        let currency = "/constraints/currency";
        let code = |fields: &Fields| fields.text(currency).unwrap_or("USD").to_owned();
        let stricter = asked.as_f64() <= limit.value.as_f64();
        if stricter && (pointer == "/delete_budget" || code(said) == code(&settings)) {
            continue;
        }
        let message = format!("{} of {} counts, not {asked}", limit.value, limit.origin);
        scene.notes.push(Note::warning("resolve::limit", message));
        said.0.insert(pointer.to_owned(), limit.clone());
        if pointer != "/delete_budget" {
            said.remove(currency);
        }
    }
    let compliance = "/constraints/compliance";
    if let (Some(must), Some(asked)) = (settings.get(compliance), said.get(compliance)) {
        let mut all = asked.as_array().cloned().unwrap_or_default();
        for standard in must.as_array().into_iter().flatten() {
            if !all.contains(standard) {
                all.push(standard.clone());
            }
        }
        let origin = said.origin(compliance).cloned();
        if let Some(origin) = origin {
            said.set(compliance, all, origin, true);
        }
    }
}

fn from_settings(scene: &Scene<'_>) -> Fields {
    let mut fields = Fields::default();
    let name = scene.environment();
    let settings = &scene.context.settings;
    let Some(environment) = settings.environments.get(name) else { return fields };
    let mut set = |pointer: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            let origin = settings.origin(&format!("/environments/{}/{key}", escape(name)));
            fields.set(pointer, value, origin, false);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    set("/target/platform", "platform", environment.platform.map(|p| p.as_str().into()));
    set("/target/region", "region", text(&environment.region));
    set("/target/cluster", "cluster", text(&environment.cluster));
    set("/target/namespace", "namespace", text(&environment.namespace));
    set("/delete_budget", "delete_budget", environment.delete_budget.map(Value::from));
    if let Some(budget) = &environment.budget {
        set("/constraints/budget_monthly", "budget/monthly", Some(budget.monthly.into()));
        set("/constraints/currency", "budget/currency", text(&budget.currency));
    }
    let compliance = &environment.compliance;
    set("/constraints/compliance", "compliance", (!compliance.is_empty()).then(|| compliance.clone().into()));
    fields
}

/// The format's own default, so that it is written in one place.
fn default_delete_budget() -> Value {
    let minimal =
        serde_json::json!({ "version": 1, "application": "a", "environment": "b", "components": [] });
    serde_json::from_value::<Spec>(minimal).map_or(Value::from(10), |spec| spec.delete_budget.into())
}

/// Fields moved below a key.
pub(super) fn under_key(key: &str, fields: Fields) -> Fields {
    Fields(fields.0.into_iter().map(|(pointer, sourced)| (format!("{key}{pointer}"), sourced)).collect())
}
