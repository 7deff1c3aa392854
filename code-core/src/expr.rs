//! Values that may not be known yet: an output of another resource, a secret's name, or text made of them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Address, Error, ErrorKind, Result, SecretRef};

/// A value: known, an output of another resource, a secret's name, or text made of them. Never a mock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// The value itself.
    Known(Value),
    /// An output of another resource: it makes an edge of the graph.
    Ref {
        /// The resource.
        address: Address,
        /// The name of its output.
        output: String,
    },
    /// A secret, by name.
    Secret(SecretRef),
    /// The parts, one after the other, as text.
    Text(Vec<Expr>),
}

impl Expr {
    /// A reference to an output of another resource.
    pub fn output(address: &Address, output: &str) -> Expr {
        Expr::Ref { address: address.clone(), output: output.to_owned() }
    }

    /// A secret by its name.
    pub fn secret(name: impl Into<String>) -> Expr {
        Expr::Secret(SecretRef(name.into()))
    }

    /// The value, where it is known and holds no secret.
    pub fn known(&self) -> Option<Value> {
        match self {
            Expr::Known(value) => Some(value.clone()),
            Expr::Ref { .. } | Expr::Secret(_) => None,
            Expr::Text(parts) => {
                let texts: Option<Vec<String>> = parts.iter().map(|p| p.known().map(|v| plain(&v))).collect();
                texts.map(|texts| Value::String(texts.concat()))
            }
        }
    }

    /// Whether no reference is left in it (secrets may be).
    pub fn is_bound(&self) -> bool {
        match self {
            Expr::Known(_) | Expr::Secret(_) => true,
            Expr::Ref { .. } => false,
            Expr::Text(parts) => parts.iter().all(Expr::is_bound),
        }
    }

    /// With each reference replaced by what `outputs` knows of it; the rest stays symbolic.
    #[must_use]
    pub fn bind(&self, outputs: &dyn Fn(&Address, &str) -> Option<Expr>) -> Expr {
        match self {
            Expr::Known(_) | Expr::Secret(_) => self.clone(),
            Expr::Ref { address, output } => outputs(address, output).unwrap_or_else(|| self.clone()),
            Expr::Text(parts) => {
                let bound = Expr::Text(parts.iter().map(|part| part.bind(outputs)).collect());
                bound.known().map_or(bound, Expr::Known)
            }
        }
    }

    fn visit(&self, f: &mut dyn FnMut(&Expr)) {
        f(self);
        if let Expr::Text(parts) = self {
            for part in parts {
                part.visit(f);
            }
        }
    }
}

/// A value as it stands in text: a string without its quotes, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl From<&str> for Expr {
    fn from(text: &str) -> Expr {
        Expr::Known(Value::String(text.to_owned()))
    }
}

impl From<String> for Expr {
    fn from(text: String) -> Expr {
        Expr::Known(Value::String(text))
    }
}

impl From<u16> for Expr {
    fn from(number: u16) -> Expr {
        Expr::Known(number.into())
    }
}

impl From<bool> for Expr {
    fn from(flag: bool) -> Expr {
        Expr::Known(flag.into())
    }
}

impl From<Value> for Expr {
    fn from(value: Value) -> Expr {
        Expr::Known(value)
    }
}

/// What a resource should be: names and their values.
///
/// Names are flat; a group shares a prefix with a dot (`env.PORT`), which [`Want::group`] takes off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Want(pub BTreeMap<String, Expr>);

impl Want {
    /// Nothing wanted yet.
    pub fn new() -> Want {
        Want::default()
    }

    /// With one more value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Expr>) -> Want {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// With one more value, where there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Expr>>) -> Want {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Expr> {
        self.0.get(name)
    }

    /// The values of a group, their names without the prefix: `group("env")` has `PORT` for `env.PORT`.
    pub fn group(&self, prefix: &str) -> BTreeMap<&str, &Expr> {
        let strip = |name: &'_ str| -> Option<usize> {
            name.strip_prefix(prefix)?.strip_prefix('.').map(|rest| name.len() - rest.len())
        };
        self.0.iter().filter_map(|(name, value)| strip(name).map(|at| (&name[at..], value))).collect()
    }

    /// A known value, read as `T`; `None` where the name is not there.
    ///
    /// # Errors
    /// `want::unbound` where it is not known yet, `want::type` where it is something else.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(expr) = self.get(name) else { return Ok(None) };
        let Some(value) = expr.known() else {
            return Err(Error::new(
                ErrorKind::Bug,
                "want::unbound",
                format!("read `{name}` before it is known"),
            )
            .help("reference only outputs that exist, and read secrets through the context"));
        };
        serde_json::from_value(value).map(Some).map_err(|error| {
            Error::new(ErrorKind::Invalid, "want::type", format!("read `{name}`"))
                .help("see the provider's documentation for what this name takes")
                .because(error)
        })
    }

    /// A known value that must be there.
    ///
    /// # Errors
    /// `want::missing` where it is not, and those of [`Want::read`].
    pub fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.read(name)?.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "want::missing", format!("find `{name}` in what is wanted"))
                .help("see the provider's documentation for what this kind of resource needs")
        })
    }

    /// With each reference replaced by what `outputs` knows of it.
    #[must_use]
    pub fn bind(&self, outputs: &dyn Fn(&Address, &str) -> Option<Expr>) -> Want {
        Want(self.0.iter().map(|(name, value)| (name.clone(), value.bind(outputs))).collect())
    }

    /// Whether no reference is left.
    pub fn is_bound(&self) -> bool {
        self.0.values().all(Expr::is_bound)
    }

    /// The resources that it references.
    pub fn references(&self) -> BTreeSet<Address> {
        let mut found = BTreeSet::new();
        self.visit(&mut |expr| {
            if let Expr::Ref { address, .. } = expr {
                found.insert(address.clone());
            }
        });
        found
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> BTreeSet<SecretRef> {
        let mut found = BTreeSet::new();
        self.visit(&mut |expr| {
            if let Expr::Secret(name) = expr {
                found.insert(name.clone());
            }
        });
        found
    }

    fn visit(&self, f: &mut dyn FnMut(&Expr)) {
        for value in self.0.values() {
            value.visit(f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Expr {
        let server: Address = "db/server".parse().unwrap();
        Expr::Text(vec![
            "postgres://app:".into(),
            Expr::secret("db/password"),
            "@127.0.0.1:".into(),
            Expr::output(&server, "port"),
        ])
    }

    #[test]
    fn text_binds_part_by_part_and_keeps_its_secret_a_name() {
        let want = Want::new().with("env.DATABASE_URL", url());
        assert_eq!(want.references().len(), 1);
        assert!(!want.is_bound());
        let bound = want.bind(&|_, output| (output == "port").then(|| Expr::from(5433)));
        assert!(bound.is_bound());
        assert_eq!(bound.secrets().len(), 1);
        assert_eq!(bound.get("env.DATABASE_URL").unwrap().known(), None);
        assert_eq!(bound.group("env").keys().copied().collect::<Vec<_>>(), ["DATABASE_URL"]);
    }

    #[test]
    fn text_without_secrets_becomes_known() {
        let expr = Expr::Text(vec!["port ".into(), 80u16.into()]);
        assert_eq!(expr.bind(&|_, _| None), Expr::from("port 80"));
    }

    #[test]
    fn reading_says_what_is_wrong() {
        let want = Want::new().with("port", "eighty").with("url", url());
        assert_eq!(want.read::<u16>("port").unwrap_err().code(), "want::type");
        assert_eq!(want.need::<u16>("none").unwrap_err().code(), "want::missing");
        assert_eq!(want.need::<String>("url").unwrap_err().code(), "want::unbound");
    }
}
