//! What leaves the engine, without the secrets that were lent to its steps: a tool may have put one into its answer.

use serde_json::Value;

use crate::Ctx;
use crate::event::Event;

/// The event without the secrets that were lent so far, in whatever form they got into it.
pub(super) fn redacted(ctx: &Ctx, event: Event) -> Event {
    let Ok(value) = serde_json::to_value(&event) else { return event };
    let clean = without_secrets(ctx, value.clone());
    if clean == value {
        return event;
    }
    // It does not fit its type any more only where a secret is a word of the format itself.
    serde_json::from_value(clean).unwrap_or(event)
}

/// The same of any JSON.
pub(super) fn without_secrets(ctx: &Ctx, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(ctx.redactor().redact(&text)),
        Value::Array(items) => items.into_iter().map(|item| without_secrets(ctx, item)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, item)| (name, without_secrets(ctx, item))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Body;
    use crate::memory::{MemoryHost, ctx};
    use crate::provider::Live;
    use crate::{RunId, StepId};

    #[test]
    fn a_secret_that_a_tool_wrote_into_its_answer_is_not_written_down() {
        let ctx = ctx(&Arc::new(MemoryHost::new()));
        ctx.redactor().learn(&crate::Secret::new("canary\"7f31"));
        let was = crate::Want::new().with("url", "pg://u:canary\"7f31@h");
        let live = Live { id: "canary\"7f31".into(), was, outputs: [].into(), drift: vec![] };
        let body = Body::StepDone { run: RunId(1), step: StepId(0), undo: false, live: Some(live) };
        let clean = redacted(&ctx, Event { at: ctx.host().now(), body });
        let text = serde_json::to_string(&clean).unwrap();
        assert!(!text.contains("canary") && text.matches(crate::redact::REDACTED).count() == 2, "{text}");
        let Body::StepDone { live: Some(live), .. } = clean.body else { panic!("{text}") };
        assert_eq!(live.id, crate::redact::REDACTED);
    }
}
