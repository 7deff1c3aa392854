//! What the API answers, as facts: pure, and lenient where engines and versions differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config::Limits;
use super::names;
use super::render::Start;

/// A container, as it was inspected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) labels: Value,
    pub(super) phase: Phase,
    pub(super) pid: u64,
    /// How often the engine started it again.
    pub(super) restarts: u64,
    /// What its own health command says; `None` where it has none.
    pub(super) health: Option<Fitness>,
    pub(super) limits: Limits,
    pub(super) networks: BTreeSet<String>,
    /// Where its port is published.
    pub(super) host_port: Option<u16>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Made, and never started.
    Created,
    Running,
    Paused,
    /// It ended, and the engine starts it again.
    Restarting {
        code: i64,
        out_of_memory: bool,
    },
    Ended {
        code: i64,
        out_of_memory: bool,
        why: String,
    },
    /// It is being taken away.
    Leaving,
}

/// What a container's health command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    Starting,
    Well,
    /// What it wrote last.
    Ill(String),
}

impl Facts {
    /// Reads an inspected container; `None` where it is none.
    pub(super) fn read(said: &Value) -> Option<Facts> {
        let state = &said["State"];
        let host = &said["HostConfig"];
        let id = said["Id"].as_str().filter(|id| !id.is_empty())?.to_owned();
        let word = state["Status"].as_str().unwrap_or_default();
        let code = state["ExitCode"].as_i64().unwrap_or_default();
        let flag = |name: &str| state[name].as_bool().unwrap_or(false);
        // Podman has words of its own: `configured`, `initialized`, `stopped`, `removing`.
        let phase = match word {
            "created" | "configured" | "initialized" => Phase::Created,
            "running" | "stopping" if flag("Running") || word == "running" => Phase::Running,
            "paused" => Phase::Paused,
            "restarting" => Phase::Restarting { code, out_of_memory: flag("OOMKilled") },
            "removing" | "dead" => Phase::Leaving,
            _ => Phase::Ended {
                code,
                out_of_memory: flag("OOMKilled"),
                why: state["Error"].as_str().unwrap_or_default().to_owned(),
            },
        };
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let restart = host["RestartPolicy"]["Name"].as_str().filter(|name| !name.is_empty()).unwrap_or("no");
        let cpu = match number(&host["NanoCpus"]) {
            // Podman gives the same as a quota of a period.
            0 => {
                let (quota, period) = (number(&host["CpuQuota"]), number(&host["CpuPeriod"]));
                quota.saturating_mul(1_000_000_000).checked_div(period).unwrap_or_default()
            }
            nano => nano,
        };
        Some(Facts {
            id,
            name: said["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
            labels: names::labels(&said["Config"]["Labels"]),
            phase,
            pid: number(&state["Pid"]),
            restarts: number(&said["RestartCount"]),
            health: fitness(state),
            limits: Limits { memory: number(&host["Memory"]), cpu, restart: restart.to_owned() },
            networks: said["NetworkSettings"]["Networks"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
            host_port: host_port(&host["PortBindings"]),
        })
    }

    /// Whether it runs, also where it does not answer.
    pub(super) fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused)
    }
}

fn fitness(state: &Value) -> Option<Fitness> {
    // Podman calls it by another name in some versions.
    let health = [&state["Health"], &state["Healthcheck"]].into_iter().find(|health| health.is_object())?;
    match health["Status"].as_str().unwrap_or_default() {
        "healthy" => Some(Fitness::Well),
        "starting" => Some(Fitness::Starting),
        "unhealthy" => {
            let log = health["Log"].as_array().and_then(|log| log.last());
            let said = log.and_then(|last| last["Output"].as_str()).unwrap_or_default();
            Some(Fitness::Ill(said.trim().to_owned()))
        }
        _ => None,
    }
}

fn host_port(bindings: &Value) -> Option<u16> {
    let (_, first) = bindings.as_object()?.iter().next()?;
    first[0]["HostPort"].as_str()?.parse().ok().filter(|port| *port != 0)
}

/// What an image is started with, and as whom.
pub(super) fn start(image: &Value) -> (Start, String) {
    let words = |name: &str| -> Vec<String> {
        let all = image["Config"][name].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let user = image["Config"]["User"].as_str().unwrap_or_default().to_owned();
    (Start { entrypoint: words("Entrypoint"), args: words("Cmd") }, user)
}

/// What is written in the logs of a container: each frame has its stream in byte 0 and its length in bytes 4 to 7
/// (Docker API, "Attach to a container", stream format); a container with a terminal has no frames.
pub(super) fn logs(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let mut rest = bytes;
    while let [0..=2, 0, 0, 0, a, b, c, d, more @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (frame, after) = more.split_at(length.min(more.len()));
        text.extend_from_slice(frame);
        rest = after;
    }
    text.extend_from_slice(rest);
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// A line that a pull or a build tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// So many bytes of so many of a layer.
    Layer {
        id: String,
        done: u64,
        total: u64,
    },
    /// What is done now.
    Says(String),
    /// It failed.
    Fails(String),
    Nothing,
}

/// Reads a line of a pull or a build.
pub(super) fn told(line: &Value) -> Told {
    let text =
        |value: &Value| value.as_str().map(|text| text.trim_end().to_owned()).filter(|text| !text.is_empty());
    if let Some(error) = text(&line["errorDetail"]["message"]).or_else(|| text(&line["error"])) {
        return Told::Fails(error);
    }
    let part = &line["progressDetail"];
    if let (Some(id), Some(done), Some(total)) =
        (text(&line["id"]), part["current"].as_u64(), part["total"].as_u64())
    {
        return Told::Layer { id, done, total };
    }
    match (text(&line["stream"]), text(&line["status"]), text(&line["id"])) {
        (Some(said), ..) => Told::Says(said),
        (_, Some(status), Some(id)) => Told::Says(format!("{id}: {status}")),
        (_, Some(status), None) => Told::Says(status),
        _ => Told::Nothing,
    }
}

/// The number of a user of a container, from its `/etc/passwd` (passwd(5)).
pub(super) fn user_number(passwd: &str, name: &str) -> Option<u64> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inspected(state: Value) -> Value {
        json!({
            "Id": "4711", "Name": "/shop", "State": state,
            "Config": {"Labels": {"a": "b"}},
            "HostConfig": {"Memory": 7, "NanoCpus": 0, "CpuQuota": 50_000, "CpuPeriod": 100_000,
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}]}},
            "NetworkSettings": {"Networks": {"front": {}}},
        })
    }

    #[test]
    fn a_container_is_read_in_the_words_of_both_engines() {
        let check = |state: Value, expect: Phase| {
            assert_eq!(Facts::read(&inspected(state.clone())).unwrap().phase, expect, "{state}");
        };
        check(json!({"Status": "running", "Running": true}), Phase::Running);
        check(json!({"Status": "created"}), Phase::Created);
        check(json!({"Status": "initialized"}), Phase::Created);
        check(
            json!({"Status": "restarting", "ExitCode": 3}),
            Phase::Restarting { code: 3, out_of_memory: false },
        );
        let ended = |code, out_of_memory| Phase::Ended { code, out_of_memory, why: String::new() };
        check(json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true}), ended(137, true));
        check(json!({"Status": "stopped", "ExitCode": 1}), ended(1, false));
        check(json!({"Status": "a new word"}), ended(0, false));
        let facts = Facts::read(&inspected(json!({"Status": "running"}))).unwrap();
        assert_eq!(
            (facts.limits.cpu, facts.host_port, facts.limits.restart.as_str()),
            (500_000_000, Some(20_001), "no")
        );
    }

    #[test]
    fn rubbish_is_no_container() {
        for said in [json!(null), json!([]), json!({}), json!({"Id": 7}), json!({"Id": ""})] {
            assert_eq!(Facts::read(&said), None, "{said}");
        }
        assert!(Facts::read(&json!({"Id": "x", "State": 7, "HostConfig": [], "Config": "?"})).is_some());
    }

    #[test]
    fn health_is_what_its_command_says() {
        let check = |health: Value, expect: Option<Fitness>| {
            assert_eq!(fitness(&json!({"Health": health})), expect);
        };
        check(json!({"Status": "healthy"}), Some(Fitness::Well));
        check(json!({"Status": "unhealthy", "Log": [{"Output": "no\n"}]}), Some(Fitness::Ill("no".into())));
        check(json!({"Status": "none"}), None);
        check(json!(null), None);
    }

    #[test]
    fn lines_of_a_pull_and_of_a_build_are_read() {
        let says = |text: &str| Told::Says(text.to_owned());
        for (line, expect) in [
            (json!({"stream": "Step 1/2 : FROM x\n"}), says("Step 1/2 : FROM x")),
            (json!({"status": "Pulling from x", "id": "1"}), says("1: Pulling from x")),
            (
                json!({"status": "Downloading", "id": "ab", "progressDetail": {"current": 1, "total": 3}}),
                Told::Layer { id: "ab".into(), done: 1, total: 3 },
            ),
            (
                json!({"errorDetail": {"message": "no space"}, "error": "no space"}),
                Told::Fails("no space".into()),
            ),
            (json!({"aux": {"ID": "sha256:1"}}), Told::Nothing),
            (json!(7), Told::Nothing),
        ] {
            assert_eq!(told(&line), expect, "{line}");
        }
    }

    #[test]
    fn logs_are_read_with_and_without_frames() {
        let framed = [&[1, 0, 0, 0, 0, 0, 0, 3][..], b"ab\n", &[2, 0, 0, 0, 0, 0, 0, 9], b"cut"].concat();
        assert_eq!(logs(&framed), "ab\ncut");
        assert_eq!(logs(b"plain\n"), "plain");
        assert_eq!(user_number("root:x:0:0::/:/bin/sh\napp:x:1001:1001::/:\n", "app"), Some(1001));
    }
}
