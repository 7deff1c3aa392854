//! What resources want, read and checked.

use std::collections::BTreeMap;

use code_core::{Expr, Result, Want};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error;
use crate::process::probe::Probe;

/// How long a container may take to be healthy where nothing is said, in seconds.
const READY_SECONDS: u64 = 60;
/// How long a container may take to end where nothing is said, in seconds.
const GRACE_SECONDS: u64 = 10;
/// The least memory that the engines give a container, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// The names that each kind takes; a name that ends with a dot begins a group.
const CONTAINER: &[&str] = &[
    "name",
    "image",
    "entrypoint",
    "args",
    "workdir",
    "user",
    "env.",
    "hand_over",
    "memory",
    "cpu",
    "restart",
    "network.",
    "alias",
    "volume.",
    "port",
    "publish",
    "health.path",
    "health.tcp",
    "health.command",
    "health.timeout_seconds",
    "stop_signal",
    "grace_seconds",
    "fingerprint",
    "output.",
];
const IMAGE: &[&str] =
    &["name", "reference", "context", "dockerfile", "recipe", "digest", "arg.", "network", "libraries"];
const NETWORK: &[&str] = &["name", "internal"];
const VOLUME: &[&str] = &["name"];

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Container {
    pub(super) image: String,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) args: Option<Vec<String>>,
    pub(super) workdir: Option<String>,
    pub(super) user: Option<String>,
    /// Variables without a secret.
    pub(super) env: BTreeMap<String, Expr>,
    /// Variables with one: files in the container.
    pub(super) secrets: BTreeMap<String, Expr>,
    pub(super) hand: Hand,
    pub(super) limits: Limits,
    pub(super) networks: Vec<String>,
    pub(super) alias: Option<String>,
    /// Paths in the container, and the volumes at them.
    pub(super) volumes: BTreeMap<String, String>,
    /// Where it listens.
    pub(super) port: Option<u16>,
    pub(super) publish: Publish,
    pub(super) command: Option<Vec<String>>,
    pub(super) probe: Probe,
    pub(super) ready_seconds: u64,
    pub(super) stop_signal: Option<String>,
    pub(super) grace_seconds: u64,
}

/// How a secret gets to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// As a file that `NAME_FILE` names, and, where the image has a shell, as the variable `NAME` of the program.
    Variable,
    /// As a file that `NAME_FILE` names.
    File,
}

/// What changes while a container runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    /// In bytes; 0 for no limit.
    pub(super) memory: u64,
    /// In billionths of a core; 0 for no limit.
    pub(super) cpu: u64,
    pub(super) restart: String,
}

/// Where a container's port is reached on this machine's loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publish {
    No,
    Auto,
    At(u16),
}

impl Container {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// `container::want` and those of [`Want::need`].
    pub(super) fn read(want: &Want) -> Result<Container> {
        known(want, CONTAINER)?;
        let (mut env, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for (name, expr) in want.group("env") {
            check_variable(name)?;
            let into = if crate::process::holds_secret(expr) { &mut secrets } else { &mut env };
            into.insert(name.to_owned(), expr.clone());
        }
        if let Some(name) = secrets.keys().find(|name| env.contains_key(&format!("{name}_FILE"))) {
            return Err(error::want(
                &format!("env.{name}_FILE"),
                "leave it out: it names the file of the secret",
            ));
        }
        let hand = match want.read::<String>("hand_over")?.as_deref() {
            None | Some("variable") => Hand::Variable,
            Some("file") => Hand::File,
            Some(_) => return Err(error::want("hand_over", "use `variable` or `file`")),
        };
        let port = port(want, "port")?;
        let read = Container {
            image: text(want, "image")?,
            entrypoint: want.read("entrypoint")?,
            args: want.read("args")?,
            workdir: some_text(want, "workdir")?,
            user: some_text(want, "user")?,
            env,
            secrets,
            hand,
            limits: Limits::read(want)?,
            networks: networks(want)?,
            alias: some_text(want, "alias")?,
            volumes: volumes(want)?,
            port,
            publish: publish(want, port)?,
            command: want.read("health.command")?,
            probe: probe(want, port)?,
            ready_seconds: seconds(want, "health.timeout_seconds", READY_SECONDS)?,
            stop_signal: some_text(want, "stop_signal")?,
            grace_seconds: seconds(want, "grace_seconds", GRACE_SECONDS)?,
        };
        if read.command.as_ref().is_some_and(Vec::is_empty) {
            return Err(error::want("health.command", "give a program and its arguments"));
        }
        Ok(read)
    }
}

impl Limits {
    pub(super) fn read(want: &Want) -> Result<Limits> {
        let memory = match want.read::<Value>("memory")? {
            None => 0,
            Some(value) => memory(&code_core::expr::plain(&value))
                .ok_or_else(|| error::want("memory", "give at least `6Mi`, such as `256Mi` or `1Gi`"))?,
        };
        let cpu = match want.read::<f64>("cpu")? {
            None => 0,
            Some(cpu) if (0.01..=10_000.0).contains(&cpu) => nano(cpu),
            Some(_) => return Err(error::want("cpu", "give a number of cores from 0.01")),
        };
        let restart = some_text(want, "restart")?.unwrap_or_else(|| "unless-stopped".to_owned());
        match restart.as_str() {
            "no" | "always" | "on-failure" | "unless-stopped" => Ok(Limits { memory, cpu, restart }),
            _ => Err(error::want("restart", "use `no`, `always`, `on-failure` or `unless-stopped`")),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0.01 and 10,000 cores there is nothing to lose"
)]
fn nano(cpu: f64) -> u64 {
    (cpu * 1e9).round() as u64
}

/// An amount of memory in bytes: `512Mi`, `1Gi`, `100M`, `1000000`. None where it is not one that is given.
pub(super) fn memory(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (LEAST_MEMORY..=i64::MAX as u64).contains(&bytes).then_some(bytes)
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// A registry.
    Pull { reference: String },
    /// A directory with a Dockerfile, or with the one that is given as text.
    Build {
        context: String,
        dockerfile: Dockerfile,
        args: BTreeMap<String, String>,
        network: Option<String>,
        /// Whether the libraries of this very program come along.
        libraries: bool,
    },
}

/// What says how an image is built: a file of this name, or else this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dockerfile {
    pub(super) name: String,
    pub(super) or: Option<String>,
}

impl Image {
    /// Reads what is wanted.
    ///
    /// # Errors
    /// `container::want` and those of [`Want::need`].
    pub(super) fn read(want: &Want) -> Result<Image> {
        known(want, IMAGE)?;
        match (some_text(want, "reference")?, some_text(want, "context")?) {
            (Some(reference), None) if is_reference(&reference) => Ok(Image::Pull { reference }),
            (Some(_), None) => {
                Err(error::want("reference", "name an image, such as `docker.io/library/postgres:17`"))
            }
            (None, Some(context)) => {
                // It is a part of what names the image; whoever hands the files over has held it against them.
                text(want, "digest")?;
                let names = want.group("arg");
                let args =
                    names.keys().map(|name| Ok(((*name).to_owned(), text(want, &format!("arg.{name}"))?)));
                Ok(Image::Build {
                    context,
                    dockerfile: Dockerfile {
                        name: some_text(want, "dockerfile")?.unwrap_or_else(|| "Dockerfile".to_owned()),
                        or: some_text(want, "recipe")?,
                    },
                    args: args.collect::<Result<_>>()?,
                    network: some_text(want, "network")?,
                    libraries: want.read("libraries")?.unwrap_or(false),
                })
            }
            _ => Err(error::want("reference", "give either `reference` or `context`")),
        }
    }
}

/// A name with an optional tag or digest, as `docker pull` takes it.
fn is_reference(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(good)
        && !text.ends_with([':', '/', '@'])
}

/// A network: whether it leads nowhere else.
pub(super) fn network(want: &Want) -> Result<bool> {
    known(want, NETWORK)?;
    Ok(want.read("internal")?.unwrap_or(false))
}

/// A volume takes nothing but a name.
pub(super) fn volume(want: &Want) -> Result<()> {
    known(want, VOLUME)
}

fn known(want: &Want, names: &[&str]) -> Result<()> {
    let is = |name: &str| {
        names.iter().any(|known| match known.strip_suffix('.') {
            Some(group) => {
                name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
            }
            None => name == *known,
        })
    };
    match want.0.keys().find(|name| !is(name)) {
        None => Ok(()),
        Some(name) => Err(error::want(name, &format!("leave it out; there is {}", names.join(", ")))),
    }
}

fn check_variable(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(good) {
        true => Ok(()),
        false => {
            Err(error::want(&format!("env.{name}"), "use letters, digits and `_` in the name of a variable"))
        }
    }
}

fn some_text(want: &Want, name: &str) -> Result<Option<String>> {
    match checked::<String>(want, name)? {
        Some(text) if text.is_empty() || text.contains('\0') => {
            Err(error::want(name, "give a text that is not empty"))
        }
        text => Ok(text),
    }
}

fn text(want: &Want, name: &str) -> Result<String> {
    match some_text(want, name)? {
        Some(text) => Ok(text),
        None => want.need(name),
    }
}

/// A value; an explicit null is a mistake and not "nothing wanted".
fn checked<T: DeserializeOwned>(want: &Want, name: &str) -> Result<Option<T>> {
    want.read(name)
}

fn seconds(want: &Want, name: &str, else_: u64) -> Result<u64> {
    match want.read::<u64>(name)? {
        None => Ok(else_),
        Some(seconds) if (1..=86_400).contains(&seconds) => Ok(seconds),
        Some(_) => Err(error::want(name, "give a number of seconds from 1 to 86400")),
    }
}

fn port(want: &Want, name: &str) -> Result<Option<u16>> {
    match want.read::<u16>(name)? {
        Some(0) => Err(error::want(name, "give a port from 1 to 65535")),
        port => Ok(port),
    }
}

fn publish(want: &Want, port: Option<u16>) -> Result<Publish> {
    let wrong =
        || error::want("publish", "give a port from 1 to 65535 or `auto`, and the `port` of the container");
    let publish = match want.read::<Value>("publish")? {
        None => return Ok(Publish::No),
        Some(Value::String(text)) if text == "auto" => Publish::Auto,
        Some(value) => {
            let number = code_core::expr::plain(&value).parse().ok().filter(|port| *port != 0);
            Publish::At(number.ok_or_else(wrong)?)
        }
    };
    port.map(|_| publish).ok_or_else(wrong)
}

/// How it is looked at from this machine; only what is published can be.
fn probe(want: &Want, port: Option<u16>) -> Result<Probe> {
    let path = some_text(want, "health.path")?;
    let published = publish(want, port)? != Publish::No;
    let tcp = want.read::<bool>("health.tcp")?;
    match (path, published) {
        (Some(_), false) => {
            Err(error::want("health.path", "`publish` the port that is looked at, or use `health.command`"))
        }
        (Some(path), true) if path.starts_with('/') => Ok(Probe::Http(path)),
        (Some(_), true) => Err(error::want("health.path", "begin it with `/`")),
        (None, false) if tcp == Some(true) => {
            Err(error::want("health.tcp", "`publish` the port that is looked at, or use `health.command`"))
        }
        (None, true) if tcp.unwrap_or(true) => Ok(Probe::Tcp),
        (None, _) => Ok(Probe::Alive),
    }
}

/// `network.0` is the one in which it is created.
fn networks(want: &Want) -> Result<Vec<String>> {
    let mut named: Vec<(usize, String)> = Vec::new();
    for nth in want.group("network").keys() {
        let at = nth.parse().map_err(|_| error::want("network", "number them from 0: `network.0`"))?;
        named.push((at, text(want, &format!("network.{nth}"))?));
    }
    named.sort();
    Ok(named.into_iter().map(|(_, name)| name).collect())
}

fn volumes(want: &Want) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for path in want.group("volume").keys() {
        let name = format!("volume.{path}");
        let volume = text(want, &name)?;
        let bad = volume.starts_with(['/', '.', '~']) || volume.contains([':', '/']) || path.contains(':');
        if bad || !path.starts_with('/') {
            return Err(error::want(&name, "name a volume, at an absolute path: `volume./var/lib/data`"));
        }
        all.insert((*path).to_owned(), volume);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn web() -> Want {
        Want::new().with("image", "shop:1").with("port", 8080).with("publish", "auto")
    }

    #[test]
    fn a_container_has_defaults() {
        let read = Container::read(&web()).unwrap();
        assert_eq!(read.limits, Limits { memory: 0, cpu: 0, restart: "unless-stopped".into() });
        assert_eq!((read.publish, read.probe, read.ready_seconds), (Publish::Auto, Probe::Tcp, 60));
    }

    #[test]
    fn secrets_are_told_from_other_variables() {
        let url = Expr::Text(vec!["postgres://a:".into(), Expr::secret("p"), "@db".into()]);
        let want = web().with("env.LEVEL", "debug").with("env.DATABASE_URL", url);
        let read = Container::read(&want).unwrap();
        assert!(read.env.contains_key("LEVEL") && read.secrets.contains_key("DATABASE_URL"));
        let twice = want.with("env.DATABASE_URL_FILE", "/x");
        assert_eq!(Container::read(&twice).unwrap_err().code(), "container::want");
    }

    #[test]
    fn mistakes_are_told_by_the_name_that_they_are_in() {
        let check = |name: &str, value: Value| {
            let error = Container::read(&web().with(name, Expr::Known(value))).unwrap_err();
            assert!(error.code() == "container::want" || error.code() == "want::type", "{error:?}");
            assert!(error.message().contains(name), "{error}");
        };
        check("memory", json!("lots"));
        check("memory", json!("1Ki"));
        check("cpu", json!(-1));
        check("restart", json!("often"));
        check("publish", json!(0));
        check("port", json!(70000));
        check("health.path", json!("health"));
        check("health.timeout_seconds", json!(0));
        check("health.command", json!([]));
        check("volume./data", json!("/etc"));
        check("hand_over", json!("somehow"));
        check("env.a b", json!("x"));
        check("privileged", json!(true));
        check("image", json!(""));
    }

    #[test]
    fn amounts_of_memory_are_read() {
        for (text, bytes) in [
            ("512Mi", Some(512 << 20)),
            ("1Gi", Some(1 << 30)),
            ("10M", Some(10_000_000)),
            ("8388608", Some(8 << 20)),
            ("1", None),
            ("Mi", None),
            ("1Ti", None),
            ("99999999999Gi", None),
        ] {
            assert_eq!(memory(text), bytes, "{text}");
        }
    }

    #[test]
    fn an_image_comes_from_one_place() {
        let check = |want: Want, expect: Option<&str>| {
            assert_eq!(Image::read(&want).err().as_ref().map(code_core::Error::code), expect, "{want:?}");
        };
        let pull = Want::new().with("reference", "localhost:5000/team/shop:1@sha256:00");
        check(pull.clone(), None);
        check(pull.with("context", "/x"), Some("container::want"));
        check(Want::new(), Some("container::want"));
        check(Want::new().with("reference", "--privileged"), Some("container::want"));
        check(Want::new().with("context", "/x"), Some("want::missing"));
        check(Want::new().with("context", "/x").with("digest", "d").with("arg.A", "1"), None);
    }
}
