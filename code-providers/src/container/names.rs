//! Which object is whose: names that are the same each time, and labels that say to what they belong.

use code_core::provider::{Live, Resource};
use code_core::{Ctx, Digest, Error, ErrorKind, Result, Want};
use serde_json::{Map, Value, json};

/// The deployment, as `APPLICATION/ENVIRONMENT`.
pub(super) const DEPLOYMENT: &str = "code-engine.dev/deployment";
/// The address in it.
pub(super) const ADDRESS: &str = "code-engine.dev/address";
/// The state directory that records it, as a digest.
pub(super) const STATE: &str = "code-engine.dev/state";
/// The step that made it.
pub(super) const KEY: &str = "code-engine.dev/key";
/// What was wanted of it, as JSON: secrets by their names.
pub(super) const WANT: &str = "code-engine.dev/want";

/// What an object is called, and what its labels say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// `shop_staging_web_container.r1.0_1f2e3d4c`; the last part tells state directories apart.
    pub(super) name: String,
    deployment: String,
    address: String,
    state: String,
}

impl Identity {
    /// The identity of a resource; of one that is wanted absent, the recorded one.
    ///
    /// # Errors
    /// `container::want` where a name is wanted that is none, `container::no-deployment`.
    pub(super) fn of(ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Identity> {
        let Some(deployment) = ctx.deployment() else {
            let what = format!("tell of which deployment {} is", resource.address);
            return Err(Error::new(ErrorKind::Bug, "container::no-deployment", what)
                .help("call `Ctx::for_deployment` before a provider is called"));
        };
        let place = ctx.state_dir();
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        let state = Digest::of(place.as_os_str().as_encoded_bytes()).to_string()[..8].to_owned();
        let address = &resource.address;
        let parts = [
            deployment.application(),
            deployment.environment(),
            address.component(),
            address.resource(),
            &state,
        ];
        let want = resource.want.as_ref().or(last.map(|last| &last.was));
        let named: Option<String> = want.map(|want| want.read("name")).transpose()?.flatten();
        let name = named.unwrap_or_else(|| parts.join("_"));
        check_name(&name)?;
        Ok(Identity { name, deployment: deployment.to_string(), address: address.to_string(), state })
    }

    /// The labels of a new object.
    pub(super) fn labels(&self, ctx: &Ctx, want: &Want) -> Value {
        let want = serde_json::to_string(want).unwrap_or_default();
        json!({
            DEPLOYMENT: self.deployment, ADDRESS: self.address, STATE: self.state,
            KEY: ctx.key().to_string(), WANT: want,
        })
    }

    /// Why an object with these labels is somebody else's; `None` where it is ours. What the journal records by
    /// its id is ours also where the state directory was moved.
    pub(super) fn stranger(&self, labels: &Value, id: &str, last: Option<&Live>) -> Option<String> {
        let label = |name: &str| labels[name].as_str().unwrap_or_default();
        if label(DEPLOYMENT) == self.deployment && label(ADDRESS) == self.address {
            let recorded = last.is_some_and(|last| last.id == id);
            let same = label(STATE) == self.state || recorded;
            return (!same).then(|| "of another state directory of this deployment".to_owned());
        }
        Some(match label(DEPLOYMENT) {
            "" => "nobody that CODE knows of".to_owned(),
            whose => format!("{} of {whose}", label(ADDRESS)),
        })
    }
}

/// What was wanted of an object, as its label says.
pub(super) fn wanted(labels: &Value) -> Option<Want> {
    serde_json::from_str(labels[WANT].as_str()?).ok()
}

/// The labels of an object, wherever they stand; Podman has `null` where there are none.
pub(super) fn labels(of: &Value) -> Value {
    match of {
        Value::Object(_) => of.clone(),
        _ => Value::Object(Map::new()),
    }
}

/// Names as the engines take them: letters, digits, `_`, `.` and `-`.
fn check_name(name: &str) -> Result<()> {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let good = (2..=240).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(rest);
    match good {
        true => Ok(()),
        false => Err(super::error::want(
            "name",
            "begin it with a letter or digit; then letters, digits, `_`, `.`, `-`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: Value, id: &str, stranger: bool) {
        let me = Identity {
            name: "x".into(),
            deployment: "shop/staging".into(),
            address: "web/app".into(),
            state: "abc".into(),
        };
        let last = Live { id: "42".into(), was: Want::new(), outputs: Default::default(), drift: Vec::new() };
        assert_eq!(me.stranger(&labels, id, Some(&last)).is_some(), stranger, "{labels}");
    }

    #[test]
    fn an_object_is_ours_only_where_its_labels_or_the_journal_say_so() {
        let of = |deployment: &str, address: &str, state: &str| json!({DEPLOYMENT: deployment, ADDRESS: address, STATE: state});
        check(of("shop/staging", "web/app", "abc"), "1", false);
        check(of("shop/staging", "web/app", "other"), "1", true);
        check(of("shop/staging", "web/app", "other"), "42", false);
        check(of("shop/production", "web/app", "abc"), "42", true);
        check(of("shop/staging", "db/app", "abc"), "42", true);
        check(labels(&Value::Null), "42", true);
    }

    #[test]
    fn names_are_those_that_the_engines_take() {
        for (name, good) in
            [("a_b.c-1", true), ("a", false), ("_a", false), ("a b", false), ("a/b", false), ("ä1", false)]
        {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
