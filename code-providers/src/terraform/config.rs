//! What is set for all roots, and what is wanted of one, read once.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use code_core::{Digest, Expr, Result, SecretRef, Want};
use serde_json::Value;

use super::error;

/// How the tools are run on this machine, whatever the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A directory with provider plugins in the layout of a filesystem mirror (the tool's `providers mirror`
    /// makes one). With it, nothing is fetched from a registry.
    pub mirror: Option<PathBuf>,
    /// Where modules may come from that are none of a root's own files: what their sources begin with.
    pub modules: Vec<String>,
    /// The names of variables of this program's environment that the tool sees, for its providers' credentials.
    pub hand_on: Vec<String>,
    /// How long an apply waits for a lock that somebody else holds.
    pub lock_timeout: Duration,
    /// How long the tool has to finish what it is doing after it was asked to stop, before it is killed.
    pub grace: Duration,
    /// The longest that looking and planning may take.
    pub look_limit: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mirror: None,
            modules: Vec::new(),
            hand_on: Vec::new(),
            lock_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(90),
            look_limit: Duration::from_secs(280),
        }
    }
}

/// Which of the two tools, whose command lines are the same as far as they are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// OpenTofu, the program `tofu`.
    OpenTofu,
    /// Terraform, the program `terraform`.
    Terraform,
}

impl Flavour {
    /// Both, the preferred one first.
    pub const ALL: [Flavour; 2] = [Flavour::OpenTofu, Flavour::Terraform];

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Flavour::OpenTofu => "tofu",
            Flavour::Terraform => "terraform",
        }
    }

    /// The word for it in a spec: `opentofu`, `terraform`.
    pub fn engine(self) -> &'static str {
        match self {
            Flavour::OpenTofu => "opentofu",
            Flavour::Terraform => "terraform",
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Flavour::OpenTofu => "OpenTofu",
            Flavour::Terraform => "Terraform",
        }
    }

    /// The tool that a spec calls so.
    pub fn of(engine: &str) -> Option<Flavour> {
        Flavour::ALL.into_iter().find(|flavour| flavour.engine() == engine)
    }
}

/// A root, as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    pub(super) flavour: Flavour,
    /// Where its files are: the project's own directory.
    pub(super) source: PathBuf,
    /// Where the same files were put aside, once they were.
    pub(super) release: Option<PathBuf>,
    /// What the files are, wherever they are read.
    pub(super) digest: Digest,
    /// Where in them the root is.
    pub(super) path: PathBuf,
    pub(super) workspace: String,
    pub(super) variables: BTreeMap<String, Variable>,
    /// Variables of the tool's environment.
    pub(super) env: BTreeMap<String, String>,
    /// Where sensitive outputs are kept.
    pub(super) secret_outputs: BTreeMap<String, SecretRef>,
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Variable {
    Plain(Value),
    Secret(SecretRef),
}

impl Root {
    pub(super) fn read(want: &Want) -> Result<Root> {
        let engine: String = want.need("tool")?;
        let flavour =
            Flavour::of(&engine).ok_or_else(|| error::want("tool", "give `terraform` or `opentofu`"))?;
        let workspace: Option<String> = want.read("workspace")?;
        let workspace = workspace.unwrap_or_else(|| "default".to_owned());
        if !is_name(&workspace) {
            return Err(error::want("workspace", "use letters, digits, `-` and `_`"));
        }
        let path: Option<String> = want.read("path")?;
        let path = PathBuf::from(path.unwrap_or_default());
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !path.components().all(inside) || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(error::want("path", "give a directory inside of the files, relative to them"));
        }
        let mut variables = BTreeMap::new();
        for (name, value) in want.group("var") {
            check_name("var", name)?;
            variables.insert(name.to_owned(), variable(name, value)?);
        }
        let mut env = BTreeMap::new();
        for name in want.group("env").keys() {
            if name.starts_with("TF_CLI_ARGS") || ["TF_WORKSPACE", "TF_DATA_DIR", "TF_LOG"].contains(name) {
                return Err(error::want(
                    &format!("env.{name}"),
                    "leave it out: it would change how the tool is read",
                ));
            }
            env.insert((*name).to_owned(), want.need(&format!("env.{name}"))?);
        }
        let mut secret_outputs = BTreeMap::new();
        for (name, value) in want.group("secret_output") {
            let Expr::Secret(secret) = value else {
                return Err(error::want(&format!("secret_output.{name}"), "give the name of a secret"));
            };
            secret_outputs.insert(name.to_owned(), secret.clone());
        }
        Ok(Root {
            flavour,
            source: absolute(want, "source")?,
            release: match want.get("release") {
                Some(_) => Some(absolute(want, "release")?),
                None => None,
            },
            digest: want.need("digest")?,
            path,
            workspace,
            variables,
            env,
            secret_outputs,
        })
    }
}

fn absolute(want: &Want, name: &str) -> Result<PathBuf> {
    let path: String = want.need(name)?;
    let path = PathBuf::from(path);
    let good = path.is_absolute() && path.file_name().is_some();
    if good && !path.as_os_str().as_encoded_bytes().contains(&0) && is_straight(&path) {
        return Ok(path);
    }
    Err(error::want(name, "give an absolute path, without `..`"))
}

fn is_straight(path: &Path) -> bool {
    !path.components().any(|part| part == Component::ParentDir)
}

fn variable(name: &str, value: &Expr) -> Result<Variable> {
    match value {
        Expr::Secret(secret) => Ok(Variable::Secret(secret.clone())),
        other => match other.known() {
            Some(value) => Ok(Variable::Plain(value)),
            None => Err(error::want(
                &format!("var.{name}"),
                "give a value, or one secret alone: a text with a secret in it cannot be handed over",
            )),
        },
    }
}

fn check_name(group: &str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(error::want(&format!("{group}.{name}"), "a name is of letters, digits, `-` and `_`"))
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 90 && name.chars().all(good) && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(Want) -> Want, expect: Option<&str>) {
        let want = Want::new()
            .with("tool", "terraform")
            .with("source", "/project/infra")
            .with("digest", Digest::of(b"").to_string())
            .with("var.size", serde_json::json!(3))
            .with("var.password", Expr::secret("p"));
        let error = Root::read(&change(want)).err();
        assert_eq!(error.as_ref().map(code_core::Error::code), expect, "{error:?}");
    }

    #[test]
    fn what_is_wanted_is_checked() {
        check(|want| want, None);
        check(|want| want.with("path", "envs/prod").with("workspace", "blue"), None);
        check(|want| want.with("tool", "pulumi"), Some("terraform::want"));
        check(|want| want.with("source", "infra"), Some("terraform::want"));
        check(|want| want.with("release", "/state/../etc"), Some("terraform::want"));
        check(|want| want.with("path", "../other"), Some("terraform::want"));
        check(|want| want.with("path", "/etc"), Some("terraform::want"));
        check(|want| want.with("workspace", "-x"), Some("terraform::want"));
        check(|want| want.with("var.a b", "x"), Some("terraform::want"));
        check(|want| want.with("env.TF_CLI_ARGS_plan", "-destroy"), Some("terraform::want"));
        check(|want| want.with("secret_output.url", "postgres://x"), Some("terraform::want"));
        let text = Expr::Text(vec!["a".into(), Expr::secret("p")]);
        check(|want| want.with("var.url", text), Some("terraform::want"));
    }
}
