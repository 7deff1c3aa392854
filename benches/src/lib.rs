//! What the benches measure, made of the real nouns: `cargo bench -p benches` runs them all.

use std::collections::BTreeMap;

use code_core::event::{Body, Event, OnFailure, Outcome};
use code_core::export::{Export, Made};
use code_core::intent::Kind;
use code_core::plan::{Chain, PLAN_VERSION, Plan, Step};
use code_core::provider::{Action, Change, Class, Effects, Live, OnDelete, Resource};
use code_core::spec::{Component, Spec};
use code_core::store::Seq;
use code_core::{Address, Deployment, Digest, Expr, Key, Result, RunId, StepId, Want};
use jiff::Timestamp;

/// A plan of this many steps, each of which needs the one before the last.
///
/// # Errors
/// None: its names are good ones.
pub fn plan(steps: u32) -> Result<Plan> {
    let mut all = Vec::new();
    for i in 0..steps {
        let address = Address::new("web", &format!("part.{i}"))?;
        let want = Want::new()
            .with("version", "1.0.3")
            .with("env.DATABASE_URL", Expr::secret("shop/staging/db/url"));
        let resource = Resource::new(address.clone(), "memory", want);
        all.push(Step {
            id: StepId(i),
            provider: "memory".to_owned(),
            class: Class::Io,
            change: Change::create(&resource, Effects::one(Action::Create, address.as_str())),
            needs: i.checked_sub(2).map(StepId).into_iter().collect(),
            symbolic: None,
            begun_before: false,
        });
    }
    let plan = Plan {
        version: PLAN_VERSION,
        id: Digest::ZERO,
        deployment: Deployment::new("shop", "staging")?,
        revision: 1,
        spec: None,
        protected: false,
        delete_budget: 10,
        delete_data: Default::default(),
        rollback: None,
        follows: None,
        origins: Default::default(),
        chain: Chain::default(),
        base: Seq::START,
        observations: Digest::ZERO,
        steps: all,
        unchanged: Vec::new(),
        kept: Vec::new(),
        cost: None,
    };
    Ok(plan.sealed())
}

/// What a deployment's journal holds after so many runs of plans of so many steps: two events a step, and
/// three for each run.
///
/// # Errors
/// None: its names are good ones.
pub fn history(runs: u64, steps: u32) -> Result<Vec<(Seq, Event)>> {
    let mut bodies = Vec::new();
    for number in 1..=runs {
        let run = RunId(number);
        let mut plan = plan(steps)?;
        plan.revision = number;
        let plan = plan.sealed();
        let id = plan.id;
        let wants: Vec<Want> = plan.steps.iter().map(|step| step.change.resource.wanted()).collect();
        bodies.push(Body::Planned { plan: Box::new(plan) });
        bodies.push(Body::RunStarted {
            run,
            plan: id,
            holder: "ann (process 7)".to_owned(),
            on_failure: OnFailure::RollBack,
        });
        for (step, was) in (0..).map(StepId).zip(wants) {
            let key = Key::of(id, step, false);
            bodies.push(Body::StepStarted { run, step, undo: false, attempt: 1, key });
            let outputs = [("id".to_owned(), Expr::from("memory#1"))].into();
            let live = Some(Live { id: "memory#1".to_owned(), was, outputs, drift: Vec::new() });
            bodies.push(Body::StepDone { run, step, undo: false, live });
        }
        bodies.push(Body::RunEnded { run, outcome: Outcome::Succeeded });
    }
    let at = Timestamp::UNIX_EPOCH;
    Ok((1..).map(Seq).zip(bodies.into_iter().map(|body| Event { at, body })).collect())
}

/// What is exported of a revision of a web app with a database: no two revisions are the same.
///
/// # Errors
/// None: its names are good ones.
pub fn export(revision: u64) -> Result<Export> {
    let web = Component { memory: Some(format!("{revision}Mi")), ..Component::new("web", Kind::Web) };
    let db = Component::new("db", Kind::Database);
    let mut resources = BTreeMap::new();
    for address in ["db/data", "db/server", "web/release", "web/process.1", "web/endpoint"] {
        let want = Want::new().with("url", Expr::secret("shop/staging/db/url"));
        let (kind, on_delete) = ("memory".to_owned(), OnDelete::Delete);
        let made = Made { kind, want, needs: Vec::new(), on_delete, kept: false, revision };
        resources.insert(address.parse()?, made);
    }
    Ok(Export {
        deployment: Deployment::new("shop", "staging")?,
        revision,
        run: RunId(revision),
        plan: Digest::of(&revision.to_le_bytes()),
        chain: Chain::default(),
        rollback: None,
        request: None,
        source: None,
        approval: None,
        at: Timestamp::UNIX_EPOCH,
        spec: Some(Spec { components: vec![web, db], ..Spec::new("shop", "staging") }),
        origins: Default::default(),
        resources,
        reports: Vec::new(),
        accepted: Vec::new(),
    })
}
