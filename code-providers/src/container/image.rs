//! Images: pulled or built once, and known by a tag of our own.
//!
//! ```text
//! what is wanted ──digest──▶ code-engine/shop_staging_web_image:3f2a…  is it here? ── yes ──▶ nothing to do
//!                                                                      └─ no ─▶ pull or build, then tag
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use code_core::provider::{Action, Change, Live, Observed, Resource};
use code_core::{Ctx, Digest, Error, Expr, Progress, Result, Want};
use serde_json::{Value, json};

use super::api::Api;
use super::config::Image;
use super::context::{self, Context};
use super::error;
use super::names::{self, Identity};
use super::parse::{Told, told};
use super::render::{query, quoted};

/// Where our tags are.
const REPOSITORY: &str = "code-engine";

pub(super) async fn observe(api: Api<'_>, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let me = Identity::of(api.ctx, resource, last)?;
    if let Some(want) = &resource.want {
        let tag = tag(&me, want);
        if let Some(found) = inspect(api, &tag).await? {
            return Ok(Observed::Present(live(&tag, &found, want)));
        }
    }
    if let Some(last) = last
        && let Some(found) = inspect(api, &last.id).await?
    {
        return Ok(Observed::Present(live(&last.id, &found, &last.was)));
    }
    Ok(Observed::Absent)
}

/// The tag of what is wanted: another want is another tag.
fn tag(me: &Identity, want: &Want) -> String {
    let digest = &Digest::of_json(want).to_string()[..16];
    format!("{REPOSITORY}/{}:{digest}", me.name.to_ascii_lowercase())
}

fn live(tag: &str, found: &Value, was: &Want) -> Live {
    let id = found["Id"].as_str().unwrap_or_default();
    let mut outputs = BTreeMap::from([
        ("id".to_owned(), Expr::from(with_algorithm(id))),
        ("reference".to_owned(), Expr::from(tag)),
    ]);
    // Of several registries, the one that was asked.
    let asked: Option<String> = was.read("reference").ok().flatten();
    let repository = asked.as_deref().map(|reference| split(reference).0.to_owned()).unwrap_or_default();
    let digests = found["RepoDigests"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let digest = digests.filter_map(|digest| digest.split_once('@')).find(|(name, _)| {
        !repository.is_empty() && (repository == *name || repository.ends_with(&format!("/{name}")))
    });
    if let Some((_, digest)) = digest {
        outputs.insert("digest".to_owned(), Expr::from(digest));
    }
    // What was built has our labels in it.
    let made = names::wanted(&names::labels(&found["Config"]["Labels"]));
    let another = asked.is_none() && made.as_ref() != Some(was);
    let drift = another.then(|| "another image has its tag".to_owned());
    Live { id: tag.to_owned(), was: was.clone(), outputs, drift: drift.into_iter().collect() }
}

/// Podman leaves the algorithm out.
fn with_algorithm(id: &str) -> String {
    if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") }
}

async fn inspect(api: Api<'_>, reference: &str) -> Result<Option<Value>> {
    api.get(&format!("{}/json", path(reference))).await
}

/// A reference as a path: its slashes are those of the path.
fn path(reference: &str) -> String {
    let parts: Vec<String> = reference.split('/').map(quoted).collect();
    format!("/images/{}", parts.join("/"))
}

pub(super) async fn make(api: Api<'_>, change: &Change) -> Result<()> {
    let want = change.resource.wanted();
    let image = Image::read(&want)?;
    let me = Identity::of(api.ctx, &change.resource, change.prior.as_ref())?;
    let tag = tag(&me, &want);
    let again = change.action == Action::Replace && change.prior.as_ref().is_some_and(|old| old.id == tag);
    if again || inspect(api, &tag).await?.is_none() {
        match &image {
            Image::Pull { reference } => pull(api, reference, &tag).await?,
            Image::Build { .. } => build(api, &image, &tag, &me, &want).await?,
        }
    }
    match &change.prior {
        Some(old) if old.id != tag && change.action == Action::Replace => match delete(api, &old.id).await {
            Err(error) if error.code() == "container::in-use" => {
                api.ctx.say(format!("{} is still in use, and stays", old.id));
                Ok(())
            }
            done => done,
        },
        _ => Ok(()),
    }
}

pub(super) async fn delete(api: Api<'_>, tag: &str) -> Result<()> {
    // Never by force: Podman would take the containers with it.
    let said = api.send("DELETE", &path(tag), None).await?;
    match said.status {
        404 => Ok(()),
        _ => said.good(&format!("remove the image {tag}")).map(drop),
    }
}

/// Pulls an image where it is not here, and gives it our tag.
async fn pull(api: Api<'_>, reference: &str, tag: &str) -> Result<()> {
    let reference = &without_tag_beside_digest(reference);
    if inspect(api, reference).await?.is_none() {
        let (name, version) = split(reference);
        let from = if reference.contains('@') {
            query(&[("fromImage", reference)])
        } else {
            query(&[("fromImage", name), ("tag", version.unwrap_or("latest"))])
        };
        api.ctx.say(format!("pulling {reference}"));
        let mut layers = Layers::default();
        let pulled = api
            .stream(&format!("/images/create?{from}"), super::api::Upload::Empty, |line| {
                layers.take(api.ctx, told(&line), |said| error::pull(reference, said))
            })
            .await;
        pulled.map_err(|failed| match failed.code() {
            "container::not-found" | "container::refused" => error::no_image(reference, &said(&failed)),
            "container::daemon" => error::pull(reference, &said(&failed)),
            _ => failed,
        })?;
    }
    let Some(found) = inspect(api, reference).await? else {
        return Err(error::no_image(reference, "it was pulled, and is not here"));
    };
    let id = with_algorithm(found["Id"].as_str().unwrap_or_default());
    let (name, version) = split(tag);
    let to = query(&[("repo", name), ("tag", version.unwrap_or_default())]);
    let said = api.send("POST", &format!("{}/tag?{to}", path(&id)), None).await?;
    said.good(&format!("tag the image {reference}")).map(drop)
}

fn said(error: &Error) -> String {
    error.context().find(|(name, _)| *name == "said").map(|(_, said)| said.to_owned()).unwrap_or_default()
}

/// Builds an image; it has its tag when it is whole.
async fn build(api: Api<'_>, image: &Image, tag: &str, me: &Identity, want: &Want) -> Result<()> {
    let Image::Build { context, dockerfile, args, network, libraries } = image else { return Ok(()) };
    let dir = PathBuf::from(context);
    let (dockerfile, text) = match (&dockerfile.or, dir.join(&dockerfile.name).is_file()) {
        (_, true) => (dockerfile.name.as_str(), None),
        (Some(text), false) => (context::DOCKERFILE, Some(text.clone())),
        (None, false) => return Err(error::no_dockerfile(&dockerfile.name, context)),
    };
    let libraries = if *libraries { context::own_libraries()? } else { Vec::new() };
    let context = Context { dir, dockerfile: text, libraries };
    let labels = me.labels(api.ctx, want).to_string();
    let args = json!(args).to_string();
    let mut values = vec![
        ("t", tag),
        ("dockerfile", dockerfile),
        ("labels", &labels),
        ("buildargs", &args),
        ("rm", "1"),
        ("forcerm", "1"),
    ];
    values.extend(network.as_deref().map(|network| ("networkmode", network)));
    api.ctx.say(format!("building {tag}"));
    let (upload, writing) = context::upload(context);
    let mut layers = Layers::default();
    let built = api
        .stream(&format!("/build?{}", query(&values)), upload, |line| {
            layers.take(api.ctx, told(&line), error::build)
        })
        .await;
    // What keeps the files from being read is the cause of whatever the daemon says of the rest.
    if let Ok(Err(unreadable)) = writing.await
        && unreadable.causes().iter().all(|cause| !cause.contains("broken pipe"))
    {
        return Err(unreadable);
    }
    built.map_err(|failed| match failed.code() {
        "container::refused" | "container::daemon" | "container::not-found" => error::build(&said(&failed)),
        _ => failed,
    })
}

/// How far a pull is, over all its layers.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    fn take(&mut self, ctx: &Ctx, told: Told, failed: impl Fn(&str) -> Error) -> Result<()> {
        match told {
            Told::Fails(said) => return Err(failed(&said)),
            Told::Layer { id, done, total } => {
                self.0.insert(id, (done, total));
                let sum = |of: fn(&(u64, u64)) -> u64| self.0.values().map(of).sum();
                ctx.progress(Progress::Part {
                    done: sum(|one| one.0),
                    total: sum(|one| one.1),
                    unit: "bytes".into(),
                });
            }
            Told::Says(said) => {
                if said.starts_with("Step ") {
                    ctx.say(said.clone());
                }
                ctx.progress(Progress::Line(said));
            }
            Told::Nothing => {}
        }
        Ok(())
    }
}

/// A reference's name, and its tag where it has one: a `:` before a `/` is that of a port.
fn split(reference: &str) -> (&str, Option<&str>) {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

/// The engines take a tag or a digest; the digest is the one that says which image it is.
fn without_tag_beside_digest(reference: &str) -> String {
    match reference.split_once('@') {
        Some((_, digest)) => format!("{}@{digest}", split(reference).0),
        None => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_at_its_tag() {
        for (reference, name, tag) in [
            ("postgres", "postgres", None),
            ("postgres:17", "postgres", Some("17")),
            ("localhost:5000/shop", "localhost:5000/shop", None),
            ("localhost:5000/shop:1", "localhost:5000/shop", Some("1")),
            ("shop:1@sha256:00", "shop", Some("1")),
        ] {
            assert_eq!(split(reference), (name, tag), "{reference}");
        }
        assert_eq!(without_tag_beside_digest("h:5/shop:1@sha256:00"), "h:5/shop@sha256:00");
    }

    #[test]
    fn the_digest_is_that_of_the_registry_that_was_asked() {
        let found =
            json!({"Id": "ab", "RepoDigests": ["other/shop@sha256:1", "localhost:5000/shop@sha256:2"]});
        let was = Want::new().with("reference", "localhost:5000/shop:1");
        let live = live("t", &found, &was);
        assert_eq!(live.outputs["digest"], Expr::from("sha256:2"));
        assert_eq!(live.outputs["id"], Expr::from("sha256:ab"));
    }
}
