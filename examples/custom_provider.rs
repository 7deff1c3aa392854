//! A provider of your own, in one file: whatever is deployed is scraped by your Prometheus.
//!
//! Prometheus reads its targets from files, and sees when one changes:
//! <https://prometheus.io/docs/guides/file-sd/>. This provider makes one such file a resource. The port in it is a
//! real output of another resource, so the file is written after the app is up, and is gone before the app is.
//!
//! `cargo run --example custom_provider -- "Deploy a web app to staging"`, and everything else that `deploy` can.

use std::io::ErrorKind::NotFound;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use code_core::intent::Kind;
use code_core::provider::{
    Action, Capabilities, Change, Class, Effects, Failed, Health, Live, Observed, ProviderInfo, Resource,
};
use code_core::recipe::{At, Recipe};
use code_core::spec::{Component, Spec};
use code_core::{Ctx, Error, ErrorKind, Expr, Provider, Result, Want};
use serde_json::{Value, json};

fn main() -> ExitCode {
    front::main_with(|engine| engine.provider(Arc::new(Scrape)).recipe(Arc::new(Scraped)))
}

/// A file of targets: it wants `file` (where it lies), `address` (what is scraped) and `job` (what it is called).
const KIND: &str = "scrape.target";

/// Writes, observes and removes files of targets.
#[derive(Debug)]
struct Scrape;

#[async_trait]
impl Provider for Scrape {
    fn info(&self) -> &ProviderInfo {
        &INFO
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { kinds: vec![KIND], update: true, replace: false, concurrency: 8, class: Class::Io }
    }

    async fn health(&self, _: &Ctx) -> Result<Health> {
        Ok(Health::Ready { version: "files".into() })
    }

    async fn observe(&self, ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        if let Some(unknown) = resource.wanted().references().pop_first() {
            return Ok(Observed::NotYet(unknown));
        }
        // Of what is wanted absent, only the record says where it lies.
        let want = resource.want.as_ref().or(last.map(|live| &live.was));
        let Some(want) = want else { return Ok(Observed::Absent) };
        let file: String = want.need("file")?;
        Ok(match ctx.host().read(file.as_ref()).await {
            Ok(Some(bytes)) => Observed::Present(live(&file, &bytes)),
            Ok(None) => Observed::Absent,
            Err(error) => Observed::Unknown(error.to_string()),
        })
    }

    async fn plan(&self, _: &Ctx, resource: &Resource, observed: &Observed) -> Result<Change> {
        let name = resource.wanted().read::<String>("file").ok().flatten().unwrap_or_else(|| KIND.to_owned());
        Ok(match (observed.live(), &resource.want) {
            (None, None) => Change { action: Action::Keep, ..Change::create(resource, Effects::none()) },
            (None, Some(want)) => {
                check(want)?;
                Change::create(resource, Effects::one(Action::Create, name)).why("not there")
            }
            (Some(live), None) => {
                let effects = Effects::one(Action::Delete, &live.id);
                Change::from_live(Action::Delete, resource, live, effects).why("no longer wanted")
            }
            (Some(live), Some(want)) if live.was == *want => Change::keep(resource, live),
            (Some(live), Some(want)) => {
                check(want)?;
                let effects = Effects::one(Action::Update, name);
                Change::from_live(Action::Update, resource, live, effects).why("it says something else")
            }
        })
    }

    async fn apply(&self, ctx: &Ctx, change: &Change) -> Result<Option<Live>, Failed> {
        let Some(want) = &change.resource.want else {
            return match change.prior.as_ref().map(|live| std::fs::remove_file(&live.id)) {
                Some(Err(error)) if error.kind() != NotFound => Err(cannot_remove(error).into()),
                _ => Ok(None),
            };
        };
        let file: String = want.need("file")?;
        let bytes = render(want)?;
        // Atomic and durable, and the same again changes nothing: a key needs no book.
        if ctx.host().read(file.as_ref()).await?.as_ref() != Some(&bytes) {
            ctx.host().write(file.as_ref(), &bytes, 0o644).await?;
        }
        Ok(Some(live(&file, &bytes)))
    }
}

/// What Prometheus reads, from what is wanted.
fn render(want: &Want) -> Result<Vec<u8>> {
    let (address, job): (String, String) = (want.need("address")?, want.need("job")?);
    Ok(json!([{ "targets": [address], "labels": { "job": job } }]).to_string().into_bytes())
}

/// What is there, from what Prometheus would read: what somebody wrote by hand is what it says now.
fn live(file: &str, bytes: &[u8]) -> Live {
    let says: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |at: &str| says.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let want = Want::new().with("file", file);
    let want = want.with("address", text("/0/targets/0")).with("job", text("/0/labels/job"));
    Live { id: file.to_owned(), was: want, outputs: Default::default(), drift: Vec::new() }
}

/// What can be written: everything that is known already must be text.
fn check(want: &Want) -> Result<()> {
    for name in ["file", "address", "job"] {
        if want.get(name).is_some_and(Expr::is_bound) || want.get(name).is_none() {
            want.need::<String>(name)?;
        }
    }
    Ok(())
}

fn cannot_remove(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Denied, "host::write", "remove a file of targets")
        .help("give your user the right to it, and run it again")
        .because(error)
}

static INFO: LazyLock<ProviderInfo> = LazyLock::new(|| ProviderInfo {
    name: "scrape".into(),
    summary: "targets of Prometheus, as files".into(),
    version: env!("CARGO_PKG_VERSION").into(),
});

/// What the recipes of this machine make, and of everything that answers over HTTP a target.
#[derive(Debug)]
struct Scraped;

impl Recipe for Scraped {
    fn name(&self) -> &str {
        "ours.scraped"
    }

    fn makes(&self, _: &Spec, component: &Component) -> bool {
        component.kind == Kind::Web
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let mut all = Vec::new();
        if let Some(theirs) =
            code_providers::recipes::local().into_iter().find(|recipe| recipe.makes(at.spec, at.component))
        {
            all.extend(theirs.resources(at)?);
        }
        let name = format!("{}-{}-{}", at.spec.application, at.spec.environment, at.component.name);
        let port = Expr::output(&At::endpoint(&at.component.name)?, "port");
        let want = Want::new()
            .with("file", at.state_dir.join("targets").join(format!("{name}.json")).display().to_string())
            .with("address", Expr::Text(vec!["127.0.0.1:".into(), port]))
            .with("job", name);
        all.push(Resource::new(at.address("scrape")?, KIND, want));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use code_core::conformance;
    use code_core::conformance::provider::{Sample, Scene};

    use super::*;

    #[test]
    fn it_keeps_the_contract_of_providers() {
        let target = |scene: &Scene, job: &str| {
            let want = Want::new().with("file", scene.path("shop.json"));
            Resource::new(scene.address(), KIND, want.with("address", "127.0.0.1:80").with("job", job))
        };
        let sample = Sample::new(move |scene| target(scene, "shop"))
            .changed(move |scene| target(scene, "store"))
            .disturb(|_, scene, _| std::fs::write(scene.path("shop.json"), "[]").unwrap());
        conformance::provider(|| Arc::new(Scrape), &sample).check();
    }
}
