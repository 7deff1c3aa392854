//! What is asked of the API, as JSON: pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::config::{Container, Limits, Publish};

/// Where secrets lie in a container, as files.
pub(super) const SECRETS: &str = "/run/secrets";

/// Puts each file of a secret into the variable of its name, and becomes the program.
const SHIM: &str =
    "for file in /run/secrets/*; do export \"${file##*/}=$(cat \"$file\")\"; done; exec \"$@\"";

/// How often a health command is run, and how long it may take, in nanoseconds.
const INTERVAL: u64 = 2_000_000_000;
const TIMEOUT: u64 = 10_000_000_000;

/// What an image says of how it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) entrypoint: Vec<String>,
    pub(super) args: Vec<String>,
}

/// A container to create. `env` are its variables without a secret, `host_port` is where its port is published,
/// `shell` whether its secrets go through the image's shell into its variables.
pub(super) fn container(
    wanted: &Container,
    labels: Value,
    env: &BTreeMap<String, String>,
    start: &Start,
    host_port: Option<u16>,
    shell: bool,
) -> Value {
    let mut env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    env.extend(wanted.secrets.keys().map(|name| format!("{name}_FILE={SECRETS}/{name}")));
    let entrypoint = wanted.entrypoint.as_ref().unwrap_or(&start.entrypoint);
    // A container with an entrypoint of its own has none of the image's arguments, as `docker run` has it.
    let args = match (&wanted.args, &wanted.entrypoint) {
        (Some(args), _) => args.clone(),
        (None, Some(_)) => Vec::new(),
        (None, None) => start.args.clone(),
    };
    let mut body = json!({
        "Image": wanted.image,
        "Labels": labels,
        "Env": env,
        "StopTimeout": wanted.grace_seconds,
        "HostConfig": host(wanted, host_port),
    });
    let Some(body_of) = body.as_object_mut() else { return body };
    if shell {
        let shim = ["/bin/sh", "-c", SHIM, "secrets"].map(str::to_owned);
        body_of.insert("Entrypoint".into(), shim.iter().chain(entrypoint).chain(&args).cloned().collect());
        body_of.insert("Cmd".into(), json!([]));
    } else {
        if wanted.entrypoint.is_some() {
            body_of.insert("Entrypoint".into(), json!(entrypoint));
        }
        if wanted.args.is_some() || wanted.entrypoint.is_some() {
            body_of.insert("Cmd".into(), json!(args));
        }
    }
    for (name, value) in
        [("WorkingDir", &wanted.workdir), ("User", &wanted.user), ("StopSignal", &wanted.stop_signal)]
    {
        if let Some(value) = value {
            body_of.insert(name.into(), json!(value));
        }
    }
    if let Some(port) = wanted.port {
        body_of.insert("ExposedPorts".into(), json!({format!("{port}/tcp"): {}}));
    }
    if let Some(command) = &wanted.command {
        let test: Vec<&str> = ["CMD"].into_iter().chain(command.iter().map(String::as_str)).collect();
        // While it starts, a failure is none: how long that may take is the provider's to watch.
        let start = wanted.ready_seconds * 1_000_000_000;
        body_of.insert(
            "Healthcheck".into(),
            json!({"Test": test, "Interval": INTERVAL, "Timeout": TIMEOUT, "Retries": 3, "StartPeriod": start}),
        );
    }
    if let Some(first) = wanted.networks.first() {
        body_of.insert("NetworkingConfig".into(), json!({"EndpointsConfig": {first: endpoint(wanted)}}));
    }
    body
}

fn host(wanted: &Container, host_port: Option<u16>) -> Value {
    let mut host = limits(&wanted.limits);
    let Some(of) = host.as_object_mut() else { return host };
    // No program in it gains rights by a file's mode, and no log of it fills the disk.
    of.insert("SecurityOpt".into(), json!(["no-new-privileges"]));
    of.insert(
        "LogConfig".into(),
        json!({"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}),
    );
    of.insert("NetworkMode".into(), json!(network_mode(wanted)));
    let mounts = wanted
        .volumes
        .iter()
        .map(|(path, volume)| json!({"Type": "volume", "Source": volume, "Target": path}));
    of.insert("Mounts".into(), mounts.collect());
    if let (Some(port), Some(host_port)) = (wanted.port, host_port) {
        let binding = json!([{"HostIp": "127.0.0.1", "HostPort": host_port.to_string()}]);
        of.insert("PortBindings".into(), json!({format!("{port}/tcp"): binding}));
    }
    host
}

/// Where no network is named, what publishes a port is in that of the engine, and anything else in none.
fn network_mode(wanted: &Container) -> &str {
    let else_ = if wanted.publish == Publish::No { "none" } else { "bridge" };
    wanted.networks.first().map_or(else_, String::as_str)
}

/// What is changed in place, as it is wanted.
pub(super) fn limits(limits: &Limits) -> Value {
    json!({
        "Memory": limits.memory,
        // Swap would only hide that the memory is full.
        "MemorySwap": limits.memory,
        "NanoCpus": limits.cpu,
        "RestartPolicy": {"Name": limits.restart, "MaximumRetryCount": 0},
    })
}

/// How it is known in a network.
pub(super) fn endpoint(wanted: &Container) -> Value {
    json!({"Aliases": wanted.alias.iter().collect::<Vec<_>>()})
}

/// A part of a path or of a query, with what is not plain percent-encoded (RFC 3986).
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                quoted.push(char::from(byte))
            }
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

/// A query of these values.
pub(super) fn query(values: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = values.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use code_core::{Expr, Want};

    use super::*;

    fn rendered(want: Want, shell: bool) -> String {
        let wanted = Container::read(&want).unwrap();
        let env = BTreeMap::from([("LEVEL".to_owned(), "debug".to_owned())]);
        let start = Start { entrypoint: vec!["/entry".into()], args: vec!["serve".into()] };
        let body = container(&wanted, json!({"l": "1"}), &env, &start, Some(20_001), shell);
        serde_json::to_string_pretty(&body).unwrap()
    }

    fn web() -> Want {
        Want::new()
            .with("image", "sha256:1")
            .with("port", 8080)
            .with("publish", "auto")
            .with("memory", "256Mi")
            .with("cpu", json!(0.5))
            .with("network.0", "front")
            .with("network.1", "db")
            .with("alias", "web")
            .with("env.DATABASE_URL", Expr::secret("url"))
    }

    #[test]
    fn a_web_app_that_has_a_shell() {
        insta::assert_snapshot!(rendered(web(), true));
    }

    #[test]
    fn a_database_with_its_volume() {
        let want = Want::new()
            .with("image", "postgres:17")
            .with("args", json!(["-c", "fsync=on"]))
            .with("volume./var/lib/postgresql/data", "shop_data")
            .with("network.0", "db")
            .with("env.POSTGRES_PASSWORD", Expr::secret("password"))
            .with("hand_over", "file")
            .with("health.command", json!(["pg_isready"]))
            .with("stop_signal", "SIGINT");
        insta::assert_snapshot!(rendered(want, false));
    }

    #[test]
    fn what_is_not_plain_is_quoted() {
        assert_eq!(query(&[("t", "a/b:c"), ("x", "ü &")]), "t=a%2Fb%3Ac&x=%C3%BC%20%26");
    }
}
