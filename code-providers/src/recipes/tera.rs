//! A project's own recipe, as a Tera template that renders resources.
//!
//! ```text
//! spec, component, revision, port, data_dir ──template──▶ JSON ──▶ resources
//! ```
//!
//! The template renders a JSON list:
//!
//! | name | value |
//! |---|---|
//! | `name` | the resource's place in the component: `process` gives the address `web/process` |
//! | `kind` | decides the provider: `process`, `route`, … |
//! | `want` | names and values, see below |
//! | `needs` | optional: more resources that must be there before, as `process` or `db/endpoint` |
//! | `retain` | optional: `true` keeps it when it is no longer wanted; for data |
//!
//! A wanted value is a scalar or a list, taken as it is; or `{"output": "address", "of": "process"}`,
//! `{"secret": "password"}`, or `{"text": [...]}` of such values.
//!
//! What a value holds stays data: each `{{ value }}` is escaped as the inside of a JSON string, so a hostile
//! one can end neither its quotes nor the list. `{{ value | json }}` writes a value whole.

use std::collections::BTreeMap;

use code_core::intent::{Kind, Platform};
use code_core::provider::Resource;
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::{Address, Error, ErrorKind, Expr, Layout, Recipe, Result, Want};
use serde::Deserialize;
use serde_json::Value;
use tera::{Context, Kwargs, State, Tera};

/// The name of the one template.
const TEMPLATE: &str = "recipe";

/// A recipe that is rendered from a template.
///
/// ```
/// use code_core::intent::Kind;
/// use code_providers::recipes::TeraRecipe;
///
/// let template = r#"[{"name": "endpoint", "kind": "cache", "want": {"port": {{ port }}}}]"#;
/// let recipe = TeraRecipe::new("our.cache", Kind::Cache, template)?.engine("redis");
/// # Ok::<(), code_core::Error>(())
/// ```
#[derive(Clone)]
pub struct TeraRecipe {
    name: String,
    kind: Kind,
    engine: Option<String>,
    platform: Platform,
    tera: Tera,
}

impl TeraRecipe {
    /// A recipe for the components of a kind on the platform `local`.
    ///
    /// # Errors
    /// `recipe::template` where the template cannot be read.
    pub fn new(name: impl Into<String>, kind: Kind, template: &str) -> Result<TeraRecipe> {
        let name = name.into();
        let mut tera = Tera::new();
        tera.set_escape_fn(|text, out| out.write_all(inside_of_json_string(text).as_bytes()));
        tera.autoescape_on([TEMPLATE]);
        tera.register_filter("json", |value: &tera::Value, _: Kwargs, _: &State<'_>| {
            serde_json::to_string(value)
                .map(|json| tera::Value::safe_string(&json))
                .map_err(tera::Error::message)
        });
        tera.add_raw_template(TEMPLATE, template).map_err(|cause| wrong(&name, "read", cause))?;
        Ok(TeraRecipe { name, kind, engine: None, platform: Platform::Local, tera })
    }

    /// Only for components of this engine.
    #[must_use]
    pub fn engine(self, engine: impl Into<String>) -> TeraRecipe {
        TeraRecipe { engine: Some(engine.into()), ..self }
    }

    /// For another platform.
    #[must_use]
    pub fn platform(self, platform: Platform) -> TeraRecipe {
        TeraRecipe { platform, ..self }
    }

    fn context(&self, at: &At<'_>) -> Result<Context> {
        let mut context = Context::new();
        context.insert("spec", at.spec);
        context.insert("component", at.component);
        context.insert("revision", &at.revision);
        context.insert("port", &super::local::port(at));
        context
            .insert("data_dir", &Layout::new(at.state_dir).data(&at.spec.deployment()?, &at.component.name));
        Ok(context)
    }
}

impl std::fmt::Debug for TeraRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TeraRecipe")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Recipe for TeraRecipe {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, spec: &Spec, component: &Component) -> bool {
        spec.target.platform == self.platform
            && component.kind == self.kind
            && (self.engine.is_none() || self.engine == component.engine)
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let text = self.tera.render(TEMPLATE, &self.context(at)?);
        let text = text.map_err(|cause| wrong(&self.name, "render", cause))?;
        let rendered: Vec<Rendered> =
            serde_json::from_str(&text).map_err(|cause| wrong(&self.name, "use what came of", cause))?;
        rendered.into_iter().map(|one| one.resource(at)).collect()
    }
}

/// A resource as a template renders it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rendered {
    name: String,
    kind: String,
    want: BTreeMap<String, Value>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    retain: bool,
}

impl Rendered {
    fn resource(self, at: &At<'_>) -> Result<Resource> {
        let want: Result<_> =
            self.want.into_iter().map(|(name, value)| Ok((name, expr(value, at)?))).collect();
        let mut resource = Resource::new(at.address(&self.name)?, &self.kind, Want(want?));
        for needed in &self.needs {
            resource = resource.needs(&address(needed, at)?);
        }
        Ok(if self.retain { resource.retained() } else { resource })
    }
}

fn expr(value: Value, at: &At<'_>) -> Result<Expr> {
    let Value::Object(map) = value else { return Ok(Expr::Known(value)) };
    let names: Vec<&str> = map.keys().map(String::as_str).collect();
    match (names.as_slice(), map.get("of"), map.get("output"), map.get("secret"), map.get("text")) {
        (["of", "output"] | ["output", "of"], Some(Value::String(of)), Some(Value::String(output)), ..) => {
            Ok(Expr::output(&address(of, at)?, output))
        }
        (["secret"], .., Some(Value::String(secret)), _) => Ok(Expr::secret(at.secret(secret))),
        (["text"], .., Some(Value::Array(parts))) => {
            Ok(Expr::Text(parts.iter().map(|part| expr(part.clone(), at)).collect::<Result<_>>()?))
        }
        _ => Err(Error::new(ErrorKind::Invalid, "recipe::value", "read a value that a template rendered")
            .help(
                "use a scalar, a list, {\"output\": NAME, \"of\": RESOURCE}, {\"secret\": NAME} or {\"text\": [...]}",
            )
            .with("value", Value::Object(map).to_string())),
    }
}

/// The address of `process`, in this component, or of `db/endpoint`.
fn address(text: &str, at: &At<'_>) -> Result<Address> {
    if text.contains('/') { text.parse() } else { at.address(text) }
}

/// Text as it stands between the quotes of a JSON string.
fn inside_of_json_string(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn wrong(name: &str, what: &str, cause: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Invalid, "recipe::template", format!("{what} the template of the recipe `{name}`"))
        .help("it has to render a JSON list of resources; the cause names the line")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use code_core::status::Inventory;
    use proptest::prelude::*;

    use super::*;

    const SITE: &str = include_str!("../../../examples/recipes/static_site.json.tera");

    fn render(template: &str, component: Component) -> Result<Vec<Resource>> {
        let recipe = TeraRecipe::new("ours", component.kind, template)?;
        let spec = Spec { components: vec![component], ..Spec::new("shop", "staging") };
        let (component, inventory) = (&spec.components[0], Inventory::new());
        assert!(recipe.makes(&spec, component));
        recipe.resources(&At {
            spec: &spec,
            component,
            revision: 3,
            inventory: &inventory,
            state_dir: Path::new("/s"),
        })
    }

    fn site(source: &str, env: &[(&str, &str)]) -> Component {
        Component {
            source: Some(source.into()),
            port: Some(8000),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Component::new("site", Kind::StaticSite)
        }
    }

    #[test]
    fn the_example_renders() {
        let resources = render(SITE, site("/srv/my \"site\"", &[("A", "1\n2")])).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&resources).unwrap());
    }

    #[test]
    fn values_are_references_secrets_and_text() {
        let template = r#"[{"name": "x", "kind": "k", "retain": true, "needs": ["y", "db/z"], "want": {
            "a": {"output": "url", "of": "db/endpoint"}, "b": {"text": ["p:", {"secret": "key"}]}, "c": [1, "2"]}}]"#;
        let resources = render(template, site("/x", &[])).unwrap();
        let want = Want::new()
            .with("a", Expr::output(&"db/endpoint".parse().unwrap(), "url"))
            .with("b", Expr::Text(vec!["p:".into(), Expr::secret("shop/staging/site/key")]))
            .with("c", serde_json::json!([1, "2"]));
        let expect = Resource::new("site/x".parse().unwrap(), "k", want).retained();
        assert_eq!(resources, [expect.needs(&"site/y".parse().unwrap()).needs(&"db/z".parse().unwrap())]);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        let check = |template: &str, code: &str| {
            let error = render(template, site("/x", &[])).unwrap_err();
            assert_eq!(error.code(), code, "{error:?}");
        };
        check("{{ unclosed", "recipe::template");
        check("[{{ component.nothing }}]", "recipe::template");
        check("not JSON", "recipe::template");
        check(r#"[{"name": "x", "kind": "k", "want": {}, "other": 1}]"#, "recipe::template");
        check(r#"[{"name": "x", "kind": "k", "want": {"a": {"b": 1}}}]"#, "recipe::value");
        check(r#"[{"name": "../x", "kind": "k", "want": {}}]"#, "id::address");
    }

    proptest! {
        #[test]
        fn hostile_values_stay_data(source in any::<String>(), value in any::<String>()) {
            let hostile = site(&source, &[("A", &value)]);
            let resources = render(SITE, hostile).unwrap();
            prop_assert_eq!(resources.len(), 2);
            let want = resources[0].wanted();
            prop_assert_eq!(want.read::<String>("env.A").unwrap(), Some(value));
            let args: Vec<String> = want.need("args").unwrap();
            prop_assert_eq!((&args[5], args.len()), (&source, 7));
        }
    }
}
