//! A root of OpenTofu or Terraform as a component: its files put aside, and the root itself, on every platform.

use std::sync::Arc;

use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::{Error, ErrorKind, Expr, Recipe, Result, Want};
use serde_json::Value;

use super::refer;
use crate::terraform::ROOT;

/// The recipe of components whose `engine` is `opentofu` or `terraform`.
///
/// | component | resources |
/// |---|---|
/// | any | `release`, `endpoint` (a `terraform.root`) |
///
/// What others reference are the root's own outputs.
pub fn terraform() -> Arc<dyn Recipe> {
    Arc::new(Terraform)
}

#[derive(Debug)]
struct Terraform;

impl Recipe for Terraform {
    fn name(&self) -> &str {
        "terraform.root"
    }

    fn makes(&self, _: &Spec, component: &Component) -> bool {
        component.is_root()
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let Component { name, engine, source, release, env, .. } = at.component;
        let (Some(engine), Some(source), Some(digest)) = (engine, source, release) else {
            let message = format!("deploy `{name}` without its source and release");
            return Err(Error::new(ErrorKind::Invalid, "recipe::incomplete", message)
                .help("name the directory of its `*.tf` files as `source`"));
        };
        let files = Want::new().with("source", source.clone()).with("digest", digest.to_string());
        let release = Resource::new(at.address("release")?, "release", files.clone());
        let root = at.component.terraform.clone().unwrap_or_default();
        let mut want = files
            .with("tool", engine.clone())
            .with("release", Expr::output(&release.address, "dir"))
            .with_some("path", root.path)
            .with_some("workspace", root.workspace);
        for (name, value) in &root.variables {
            let value = match value {
                Value::String(text) => refer::text(at, text)?,
                other => Expr::Known(other.clone()),
            };
            want = want.with(&format!("var.{name}"), value);
        }
        for (name, value) in env {
            want = want.with(&format!("env.{name}"), value.clone());
        }
        for name in &root.secret_outputs {
            let secret = Expr::secret(at.secret(&format!("output/{name}")));
            want = want.with(&format!("secret_output.{name}"), secret);
        }
        let mut resource = Resource::new(At::endpoint(name)?, ROOT, want);
        for needed in at.component.depends_on.iter().filter_map(|name| at.spec.component(name)) {
            if needed.is_root() {
                resource = resource.needs(&At::endpoint(&needed.name)?);
            }
        }
        Ok(vec![release, resource])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use code_core::Digest;
    use code_core::intent::Kind;
    use code_core::spec::Root;
    use code_core::status::Inventory;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_root_is_its_files_and_what_they_make() {
        let infra = Component {
            engine: Some("opentofu".into()),
            source: Some("/project/infra".into()),
            release: Some(Digest::of(b"files")),
            terraform: Some(Root {
                path: Some("envs/staging".into()),
                variables: [("size".to_owned(), json!(3)), ("url".to_owned(), json!("${web.url}"))].into(),
                secret_outputs: vec!["password".into()],
                ..Root::default()
            }),
            ..Component::new("infra", Kind::Network)
        };
        let mut spec = Spec::new("shop", "staging");
        spec.components = vec![Component::new("web", Kind::Web), infra];
        let inventory = Inventory::default();
        let component = &spec.components[1];
        let at =
            At { spec: &spec, component, revision: 1, inventory: &inventory, state_dir: Path::new("/state") };
        assert!(Terraform.makes(&spec, component) && !Terraform.makes(&spec, &spec.components[0]));
        let text = serde_json::to_string_pretty(&Terraform.resources(&at).unwrap()).unwrap();
        insta::assert_snapshot!(text);
    }
}
