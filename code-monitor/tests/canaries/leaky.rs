//! A provider that tells its secrets through everything that it can say.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use code_core::memory::MemoryProvider;
use code_core::provider::{
    Action, Capabilities, Change, Effect, Effects, Failed, Health, Live, Observed, Promise, ProviderInfo,
    Resource, Reversal,
};
use code_core::{Ctx, Error, ErrorKind, Expr, Progress, Provider, Result, Want};
use serde_json::json;

use crate::needles::Form;

/// Something that a provider can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    HealthMissing,
    HealthError,
    ObserveError,
    ObserveUnknown,
    ObservePanic,
    ObserveId,
    ObserveWas,
    ObserveOutput,
    ObserveOutputName,
    ObserveDrift,
    PlanError,
    PlanPanic,
    PlanWhy,
    PlanEffects,
    PlanOpen,
    PlanOutput,
    PlanNote,
    PlanNoteName,
    PlanBut,
    PlanIrreversible,
    PlanWayBack,
    ApplySaid,
    ApplyLine,
    ApplyUnit,
    ApplyError,
    ApplyRetries,
    ApplyErrorCode,
    ApplyLeft,
    ApplyPanic,
    ApplyId,
    ApplyWas,
    ApplyOutput,
    ApplyNumber,
}

use Channel::*;

pub(crate) const CHANNELS: &[Channel] = &[
    HealthMissing,
    HealthError,
    ObserveError,
    ObserveUnknown,
    ObservePanic,
    ObserveId,
    ObserveWas,
    ObserveOutput,
    ObserveOutputName,
    ObserveDrift,
    PlanError,
    PlanPanic,
    PlanWhy,
    PlanEffects,
    PlanOpen,
    PlanOutput,
    PlanNote,
    PlanNoteName,
    PlanBut,
    PlanIrreversible,
    PlanWayBack,
    ApplySaid,
    ApplyLine,
    ApplyUnit,
    ApplyError,
    ApplyRetries,
    ApplyErrorCode,
    ApplyLeft,
    ApplyPanic,
    ApplyId,
    ApplyWas,
    ApplyOutput,
    ApplyNumber,
];

/// What stands between two secrets of a text.
const BETWEEN: &str = " | ";

#[derive(Debug)]
pub(crate) struct Leaky {
    inner: MemoryProvider,
    channel: Channel,
    form: Form,
    turn: usize,
    /// What it was lent, kept although it must not be.
    text: Mutex<String>,
}

/// These secrets, each in a way of a form; the turn says which way.
pub(crate) fn text(secrets: &[String], form: Form, turn: usize) -> String {
    let way = |secret: &String| {
        let ways = form.ways(secret);
        ways[turn % ways.len()].clone()
    };
    secrets.iter().map(way).collect::<Vec<_>>().join(BETWEEN)
}

impl Leaky {
    pub(crate) fn new(inner: MemoryProvider, channel: Channel, form: Form, turn: usize) -> Leaky {
        Leaky { inner, channel, form, turn, text: Mutex::default() }
    }

    /// Asks for all secrets that the resource names, and keeps them; what it leaks is never empty.
    async fn steal(&self, ctx: &Ctx, want: &Want) -> String {
        let mut stolen = Vec::new();
        for name in want.secrets() {
            stolen.push(ctx.secret(&name).await.unwrap().expose().to_owned());
        }
        if !stolen.is_empty() {
            *self.text.lock().unwrap() = text(&stolen, self.form, self.turn);
        }
        self.text.lock().unwrap().clone()
    }

    fn error(text: &str) -> Error {
        Error::new(ErrorKind::Failed, "memory::leak", text)
            .help(text)
            .with("url", text)
            .because(std::io::Error::other(text.to_owned()))
    }
}

fn spoiled(live: Live, channel: Channel, text: &str) -> Live {
    let mut live = live;
    match channel {
        ObserveId | ApplyId => live.id = text.to_owned(),
        ObserveWas | ApplyWas => live.was = live.was.with("x", text),
        ObserveOutput | ApplyOutput => drop(live.outputs.insert("x".into(), json!({"a": [text]}).into())),
        ObserveOutputName => drop(live.outputs.insert(text.to_owned(), "x".into())),
        ObserveDrift => live.drift.push(text.to_owned()),
        ApplyNumber => {
            // Digits as numbers, everything else as text.
            for (i, way) in text.split(BETWEEN).enumerate() {
                let value = way.parse::<u64>().map_or_else(|_| json!(way), |number| json!(number));
                live.outputs.insert(format!("x{i}"), value.into());
            }
        }
        _ => {}
    }
    live
}

#[async_trait]
impl Provider for Leaky {
    fn info(&self) -> &ProviderInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn health(&self, _: &Ctx) -> Result<Health> {
        let text = self.text.lock().unwrap().clone();
        match self.channel {
            HealthMissing => Ok(Health::Missing { what: text.clone(), help: text }),
            HealthError => Err(Leaky::error(&text)),
            _ => Ok(Health::Broken { why: text.clone(), help: text }),
        }
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        let text = self.steal(ctx, &resource.wanted()).await;
        let seen = self.inner.observe(ctx, resource, last).await?;
        match self.channel {
            ObserveError => Err(Leaky::error(&text)),
            ObserveUnknown => Ok(Observed::Unknown(text)),
            ObservePanic => panic!("{text}"),
            ObserveId | ObserveWas | ObserveOutput | ObserveOutputName => {
                let live = seen.live().cloned();
                let nothing = Live { id: "7".into(), was: Want::new(), outputs: [].into(), drift: vec![] };
                Ok(Observed::Present(spoiled(live.unwrap_or(nothing), self.channel, &text)))
            }
            _ => Ok(match seen {
                Observed::Present(live) => Observed::Present(spoiled(live, self.channel, &text)),
                other => other,
            }),
        }
    }

    async fn plan(&self, ctx: &Ctx, resource: &Resource, live: &Observed) -> Result<Change> {
        let text = self.steal(ctx, &resource.wanted()).await;
        let change = self.inner.plan(ctx, resource, live).await?;
        if change.action == Action::Keep {
            return Ok(change);
        }
        let to = |want: Want| Box::new(Resource { want: Some(want), ..resource.clone() });
        Ok(match self.channel {
            PlanError => return Err(Leaky::error(&text)),
            PlanPanic => panic!("{text}"),
            PlanWhy => change.why(text),
            PlanEffects => {
                Change { effects: Effects::Exact([Effect::new(Action::Create, text)].into()), ..change }
            }
            PlanOpen => Change { effects: Effects::Open { at_most: Action::Create, why: text }, ..change },
            PlanOutput => change.output("x", Promise::Stays(Expr::Text(vec![text.into()]))),
            PlanNote => Change { private: Some(json!([{"note": text}])), ..change },
            PlanNoteName => Change { private: Some(json!({ text: 1 })), ..change },
            PlanBut => change.reversal(Reversal::Compensable { to: to(Want::new()), but: text }),
            PlanIrreversible => change.reversal(Reversal::Irreversible(text)),
            PlanWayBack => change.reversal(Reversal::Reversible(to(Want::new().with("x", text)))),
            _ => change,
        })
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let text = self.steal(ctx, &change.resource.wanted()).await;
        let live = Live {
            id: text.clone(),
            was: Want::new().with("x", text.clone()),
            outputs: BTreeMap::new(),
            drift: vec![text.clone()],
        };
        match self.channel {
            ApplySaid => ctx.say(text),
            ApplyLine => {
                ctx.progress(Progress::Line(text.clone()));
                text.split(BETWEEN).for_each(|way| ctx.progress(Progress::Line(way.to_owned())));
            }
            ApplyUnit => ctx.progress(Progress::Part { done: 1, total: 2, unit: text }),
            ApplyError => return Err(Leaky::error(&text).into()),
            ApplyRetries => return Err(Leaky::error(&text).transient().into()),
            ApplyErrorCode => {
                // An error that was read from somewhere has a code of anybody's making.
                let error =
                    json!({"kind": "failed", "code": text, "message": text, "context": [[text, text]]});
                return Err(serde_json::from_value::<Error>(error).unwrap().into());
            }
            ApplyLeft => return Err(Failed { error: Leaky::error("x"), left: Observed::Present(live) }),
            ApplyPanic => panic!("{text}"),
            _ => {
                let live = self.inner.apply(ctx, change).await?;
                return Ok(live.map(|live| spoiled(live, self.channel, &text)));
            }
        }
        self.inner.apply(ctx, change).await
    }
}
