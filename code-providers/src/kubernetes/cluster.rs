//! The connection to a cluster: which one it is, which kinds it knows, and the calls that are made.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::{Ctx, Digest, Error, Key, Result};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::config::Id;
use super::error::{self, Trouble};
use super::same::{self, Difference, MANAGER};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How many calls are made at once, however many steps wait for their objects: more would only wait in the server.
const CALLS: usize = 16;
/// After so many looks at objects of one collection, the whole collection is fetched.
const FEW: usize = 6;
/// How long a fetched collection counts as what is there, in milliseconds.
const FRESH_MILLISECONDS: i128 = 1000;
/// How many objects are fetched at once.
const PAGE: u32 = 500;
/// How long the outcome of a dry run counts for the same thing again, in milliseconds: until a plan is approved.
const TRIED_MILLISECONDS: i128 = 10 * 60 * 1000;
/// How many outcomes are kept.
const TRIED: usize = 20_000;

/// Where kubeconfig files may lie, and the context that is wanted of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Way {
    files: Vec<PathBuf>,
    context: Option<String>,
}

impl Way {
    /// The way that kubectl would take: the files of `KUBECONFIG`, else `~/.kube/config`.
    pub(super) fn find(ctx: &Ctx, given: Option<&Path>, context: Option<&str>) -> Way {
        let host = ctx.host();
        let files = match (given, host.env("KUBECONFIG").filter(|paths| !paths.is_empty())) {
            (Some(given), _) => vec![given.to_owned()],
            (None, Some(paths)) => std::env::split_paths(&paths).collect(),
            (None, None) => {
                host.env("HOME").map(|home| Path::new(&home).join(".kube/config")).into_iter().collect()
            }
        };
        Way { files, context: context.map(str::to_owned) }
    }

    async fn config(&self, ctx: &Ctx) -> Result<Config> {
        let files: Vec<&PathBuf> = self.files.iter().filter(|file| file.is_file()).collect();
        let mut config = if files.is_empty() {
            if ctx.host().env("KUBERNETES_SERVICE_HOST").is_none() {
                return Err(error::no_cluster("there is no kubeconfig"));
            }
            Config::incluster().map_err(error::no_cluster)?
        } else {
            let merged = files.iter().try_fold(Kubeconfig::default(), |merged, file| {
                Kubeconfig::read_from(file).and_then(|next| merged.merge(next))
            });
            let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(merged.map_err(error::no_cluster)?, &options)
                .await
                .map_err(error::no_cluster)?
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        Ok(config)
    }
}

/// A cluster that answered.
pub(super) struct Cluster {
    client: Client,
    calls: Semaphore,
    /// What tells this cluster from every other: the uid of its namespace `kube-system`, or its address where
    /// that may not be read.
    pub(super) identity: String,
    kinds: Mutex<HashMap<(String, String), Kind>>,
    looks: Mutex<HashMap<String, Looks>>,
    /// What dry runs came to, by what was sent and what was there.
    tried: Mutex<HashMap<Digest, (Timestamp, Difference)>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A kind that the cluster knows.
#[derive(Clone, Debug)]
struct Kind {
    plural: String,
    namespaced: bool,
}

/// Looks at one collection in short order.
#[derive(Debug)]
struct Looks {
    begun: Timestamp,
    asked: usize,
    all: Option<HashMap<String, Value>>,
}

/// What is found of an object.
#[derive(Debug)]
pub(super) enum Look {
    /// It is there.
    There(Box<Value>),
    /// It is not: the server said so.
    Nothing,
    /// The cluster does not know its kind.
    NoKind,
}

impl Cluster {
    /// Connects, and asks which cluster it is.
    pub(super) async fn connect(ctx: &Ctx, way: &Way) -> Result<Cluster> {
        let config = way.config(ctx).await?;
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(error::no_cluster)?;
        let mut cluster = Cluster {
            client,
            calls: Semaphore::new(CALLS),
            identity: String::new(),
            kinds: Mutex::default(),
            looks: Mutex::default(),
            tried: Mutex::default(),
        };
        let system = cluster.read("/api/v1/namespaces/kube-system").await;
        cluster.identity = match system {
            Ok(system) => system["metadata"]["uid"].as_str().unwrap_or(&address).to_owned(),
            Err(trouble) if matches!(trouble.code(), 403 | 404) => address,
            Err(trouble) => return Err(trouble.into_error("connect to the cluster")),
        };
        Ok(cluster)
    }

    /// The server's version, as it says itself.
    pub(super) async fn version(&self) -> Result<String, Trouble> {
        Ok(self.read("/version").await?["gitVersion"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Looks at an object. While nothing is being changed, many looks in a row are answered by one list.
    pub(super) async fn look(&self, ctx: &Ctx, id: &Id) -> Result<Look, Trouble> {
        let Some(path) = self.collection(id).await? else { return Ok(Look::NoKind) };
        if ctx.key() == Key(Digest::ZERO) {
            let now = ctx.host().now();
            let mut looks = self.looks.lock().await;
            let fresh = |looks: &Looks| {
                (0..FRESH_MILLISECONDS).contains(&now.duration_since(looks.begun).as_millis())
            };
            let new = || Looks { begun: now, asked: 0, all: None };
            let looks = looks.entry(path.clone()).or_insert_with(new);
            if !fresh(looks) {
                *looks = new();
            }
            looks.asked += 1;
            if looks.asked > FEW {
                if looks.all.is_none() {
                    let name = |object: &Value| object["metadata"]["name"].as_str().map(str::to_owned);
                    let all = self.list_at(&path, &ListParams::default()).await?;
                    looks.all = Some(all.into_iter().filter_map(|o| Some((name(&o)?, o))).collect());
                }
                let found = looks.all.as_ref().and_then(|all| all.get(&id.name));
                return Ok(found.map_or(Look::Nothing, |found| {
                    // An element of a list does not name its kind.
                    let mut found = found.clone();
                    found["apiVersion"] = Value::from(id.api_version.as_str());
                    found["kind"] = Value::from(id.kind.as_str());
                    Look::There(Box::new(found))
                }));
            }
        }
        match self.read(&format!("{path}/{}", id.name)).await {
            Ok(found) => Ok(Look::There(Box::new(found))),
            Err(trouble) if trouble.code() == 404 => Ok(Look::Nothing),
            Err(trouble) => Err(trouble),
        }
    }

    /// What applying a manifest would change of what is there: the server says it, and nothing is changed. `None`
    /// where the kind is not known.
    ///
    /// What the same came to a moment ago is not asked again: a plan is made once to be shown, and once more to be
    /// carried out.
    pub(super) async fn try_out(
        &self,
        ctx: &Ctx,
        id: &Id,
        manifest: &Value,
        force: bool,
        live: Option<&Value>,
    ) -> Result<Option<Difference>, Trouble> {
        let version = live.map(|live| (&live["metadata"]["uid"], &live["metadata"]["resourceVersion"]));
        let of = Digest::of_json(&(manifest, force, version));
        let now = ctx.host().now();
        let good = |at: &Timestamp| (0..TRIED_MILLISECONDS).contains(&now.duration_since(*at).as_millis());
        if let Some((_, known)) = self.tried.lock().await.get(&of).filter(|(at, _)| good(at)) {
            return Ok(Some(known.clone()));
        }
        let Some(then) = self.apply(id, manifest, true, force).await? else { return Ok(None) };
        let difference = live.map(|live| same::difference(live, &then)).unwrap_or_default();
        let mut tried = self.tried.lock().await;
        if tried.len() >= TRIED {
            tried.clear();
        }
        tried.insert(of, (now, difference.clone()));
        Ok(Some(difference))
    }

    /// Applies a manifest with our one field manager; `dry` has the server only say what would come of it.
    pub(super) async fn apply(
        &self,
        id: &Id,
        manifest: &Value,
        dry: bool,
        force: bool,
    ) -> Result<Option<Value>, Trouble> {
        let Some(path) = self.collection(id).await? else { return Ok(None) };
        let mut params = PatchParams::apply(MANAGER).validation_strict();
        params.dry_run = dry;
        params.force = force;
        let request = Request::new(path).patch(&id.name, &params, &Patch::Apply(manifest));
        let _turn = self.turn().await;
        Ok(Some(self.client.request(built(request)?).await?))
    }

    /// Deletes an object and, before it, what belongs to it; only the one with this uid.
    pub(super) async fn delete(&self, id: &Id, uid: Option<&str>) -> Result<(), Trouble> {
        let Some(path) = self.collection(id).await? else { return Ok(()) };
        let only = Preconditions { uid: uid.map(str::to_owned), resource_version: None };
        let params = DeleteParams::foreground().preconditions(only);
        let request = Request::new(path).delete(&id.name, &params);
        let _turn = self.turn().await;
        match self.client.request::<Value>(built(request)?).await {
            Ok(_) => Ok(()),
            Err(error) => match Trouble::from(error) {
                trouble if trouble.code() == 404 => Ok(()),
                // Another one has taken its name: ours is gone.
                trouble if trouble.code() == 409 && trouble.said().contains("UID in precondition") => Ok(()),
                trouble => Err(trouble),
            },
        }
    }

    /// What happens to an object from a version on, for at most so many seconds.
    pub(super) async fn watch(
        &self,
        id: &Id,
        version: &str,
        seconds: u32,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, Trouble>> + use<>, Trouble> {
        let path = self.collection(id).await?.unwrap_or_default();
        let params = WatchParams::default().fields(&format!("metadata.name={}", id.name)).timeout(seconds);
        let request = built(Request::new(path).watch(&params, version))?;
        Ok(self.client.request_events::<Value>(request).await?.map(|event| event.map_err(Trouble::from)))
    }

    /// The pods of a namespace with these labels.
    pub(super) async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Value>, Trouble> {
        self.list_at(&format!("/api/v1/namespaces/{namespace}/pods"), &ListParams::default().labels(labels))
            .await
    }

    /// What is told about an object.
    pub(super) async fn events(&self, namespace: &str, uid: &str) -> Result<Vec<Value>, Trouble> {
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        self.list_at(&format!("/api/v1/namespaces/{namespace}/events"), &params).await
    }

    /// Forgets what was fetched: something is being changed.
    pub(super) async fn forget(&self) {
        self.looks.lock().await.clear();
    }

    async fn list_at(&self, path: &str, params: &ListParams) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        let mut params = params.clone().limit(PAGE);
        loop {
            let request = built(Request::new(path).list(&params))?;
            let _turn = self.turn().await;
            let mut page: Value = self.client.request(request).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            match page["metadata"]["continue"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => params.continue_token = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// The path of the collection in which an object lies; `None` where its kind is not known.
    async fn collection(&self, id: &Id) -> Result<Option<String>, Trouble> {
        let base = match id.api_version.contains('/') {
            true => format!("/apis/{}", id.api_version),
            false => format!("/api/{}", id.api_version),
        };
        let Some(Kind { plural, namespaced }) = self.kind(&base, id).await? else { return Ok(None) };
        let namespace = id.namespace.as_deref().unwrap_or(self.client.default_namespace());
        Ok(Some(match namespaced {
            true => format!("{base}/namespaces/{namespace}/{plural}"),
            false => format!("{base}/{plural}"),
        }))
    }

    async fn kind(&self, base: &str, id: &Id) -> Result<Option<Kind>, Trouble> {
        let key = (id.api_version.clone(), id.kind.clone());
        if let Some(kind) = self.kinds.lock().await.get(&key) {
            return Ok(Some(kind.clone()));
        }
        let known = match self.read(base).await {
            Ok(known) => known,
            Err(trouble) if trouble.code() == 404 => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let mut kinds = self.kinds.lock().await;
        for resource in known["resources"].as_array().into_iter().flatten() {
            let (Some(plural), Some(kind)) = (resource["name"].as_str(), resource["kind"].as_str()) else {
                continue;
            };
            // `deployments/scale` is a part of another.
            if !plural.contains('/') {
                let namespaced = resource["namespaced"] == true;
                let found = Kind { plural: plural.to_owned(), namespaced };
                kinds.insert((id.api_version.clone(), kind.to_owned()), found);
            }
        }
        Ok(kinds.get(&key).cloned())
    }

    async fn read(&self, path: &str) -> Result<Value, Trouble> {
        let (base, name) = path.rsplit_once('/').unwrap_or(("", path));
        let request = Request::new(base).get(name, &kube::api::GetParams::default());
        let _turn = self.turn().await;
        Ok(self.client.request(built(request)?).await?)
    }

    /// Waits for its turn to make a call. (It always comes: the turns are never closed.)
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.calls.acquire().await.ok()
    }
}

/// A request, or that it could not be built.
fn built<T>(request: std::result::Result<T, kube::core::request::Error>) -> Result<T, Trouble> {
    request.map_err(|error| Trouble::Silent(kube::Error::BuildRequest(error)))
}

/// Whether an error of connecting only says that nothing can be told now.
pub(super) fn is_silence(error: &Error) -> bool {
    matches!(
        error.code(),
        "kubernetes::unreachable" | "kubernetes::unauthorized" | "kubernetes::forbidden" | "kubernetes::busy"
    )
}
