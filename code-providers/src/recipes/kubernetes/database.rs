//! PostgreSQL: data, password, server and what others connect to are objects of their own.

use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::{Address, Expr, Result};
use serde_json::json;

use super::{account, host, labels, limits, network, object, pod, service};
use crate::recipes::local::database_name;

/// What is taken where the spec does not say, as the tag of the official image.
const VERSION: &str = "17";
/// How much the data may grow to where the spec does not say.
const STORAGE: &str = "10Gi";
/// How long the server may take to start, in seconds: after a crash it replays its log first.
const START_SECONDS: u32 = 120;
/// The user and group of the official image.
const USER: u32 = 999;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    let me = at.component;
    let port = limits::database(me)?;
    let secret = format!("{}-password", me.name);
    let password = Expr::secret(at.secret("password"));
    let user = database_name(&at.spec.application);

    let hidden = object(at, "password", "v1", "Secret", &secret, json!({"type": "Opaque"}))?;
    let hidden_want = hidden.wanted().with("at./data/password", password.clone());
    let claim = json!({"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": me.storage.as_deref().unwrap_or(STORAGE)}}});
    let mut resources = vec![
        account(at)?,
        network::policy(at)?,
        Resource { want: Some(hidden_want), ..hidden },
        object(at, "data", "v1", "PersistentVolumeClaim", &me.name, json!({"spec": claim}))?.retained(),
    ];
    let needs: Vec<Address> = resources.iter().map(|resource| resource.address.clone()).collect();

    let version = me.version.as_deref().unwrap_or(VERSION);
    let image = me.image.clone().unwrap_or_else(|| format!("docker.io/library/postgres:{version}"));
    let mut container = json!({
        "image": image,
        "args": ["-p", port.to_string()],
        "env": [
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/cluster"},
            {"name": "POSTGRES_DB", "value": user},
            {"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}},
            {"name": "POSTGRES_USER", "value": user},
        ],
        "ports": [{"name": "main", "containerPort": port}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    });
    let check =
        json!({"exec": {"command": ["pg_isready", "-h", "127.0.0.1", "-p", port.to_string(), "-U", user]}});
    pod::probes(&mut container, &check, START_SECONDS);
    let mut template = pod::template(at, container)?;
    let rights = &mut template["spec"]["securityContext"];
    for right in ["runAsUser", "runAsGroup", "fsGroup"] {
        rights[right] = json!(USER);
    }
    template["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": me.name}}]);
    let spec = json!({
        "replicas": u32::from(!me.stopped),
        "serviceName": me.name,
        "selector": {"matchLabels": labels(at, me)?},
        "template": template,
    });
    let server = object(at, "server", "apps/v1", "StatefulSet", &me.name, json!({"spec": spec}))?;
    let runs = server.address.clone();
    resources.push(Resource { depends_on: needs, ..server });

    let endpoint = service(at, port)?;
    let rest = format!("@{}:{port}/{user}", host(at)?);
    let url = Expr::Text(vec![format!("postgres://{user}:").into(), password, rest.into()]);
    let want = endpoint.wanted().with("output.url", url);
    resources.push(Resource { want: Some(want), depends_on: vec![runs], ..endpoint });
    Ok(resources)
}
