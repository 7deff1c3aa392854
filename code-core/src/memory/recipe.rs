//! A recipe that makes every component of resources that exist in memory.

use crate::Result;
use crate::expr::{Expr, Want};
use crate::intent::Kind;
use crate::provider::Resource;
use crate::recipe::{At, Recipe};
use crate::spec::{Component, Spec};

/// Makes of a component, on any platform:
///
/// ```text
/// NAME/part.0 … part.N-1   one a replica, with the component's version, env and the URLs it depends on
/// NAME/endpoint            references its parts' ids; its `url` is known only after it is made
/// NAME/data                databases only: retained, and cannot be taken back once made
/// ```
#[derive(Debug, Default)]
pub struct MemoryRecipe;

impl Recipe for MemoryRecipe {
    fn name(&self) -> &str {
        "memory.any"
    }

    fn makes(&self, _: &Spec, _: &Component) -> bool {
        true
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let component = at.component;
        let mut made = Vec::new();
        let mut part = Want::new()
            .with_some("version", component.version.as_deref())
            .with("restarts", Expr::Known(component.restarts.into()));
        for (name, value) in &component.env {
            part = part.with(&format!("env.{name}"), value.as_str());
        }
        for needed in &component.depends_on {
            part = part.with(&format!("url.{needed}"), Expr::output(&At::endpoint(needed)?, "url"));
        }
        if component.kind == Kind::Database {
            let data = at.address("data")?;
            let want = Want::new().with("irreversible", "data is never taken back");
            made.push(Resource::new(data.clone(), "memory", want).retained());
            part = part
                .with("data", Expr::output(&data, "id"))
                .with("password", Expr::secret(at.secret("password")));
        }
        let url = format!("memory://{}", component.name);
        let mut endpoint = Want::new().with("later.url", url);
        let replicas = if component.stopped { 0 } else { component.replicas.min };
        for i in 0..replicas {
            let address = at.address(&format!("part.{i}"))?;
            endpoint = endpoint.with(&format!("part.{i}"), Expr::output(&address, "id"));
            made.push(Resource::new(address, "memory", part.clone()));
        }
        made.push(Resource::new(At::endpoint(&component.name)?, "memory", endpoint));
        Ok(made)
    }
}
