//! What can go wrong, and what a person can do about it.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use code_core::{Address, Error, ErrorKind};

use super::way::Way;

/// What to do where no daemon is found.
pub(super) const INSTALL: &str = "install Docker (Debian, Ubuntu: `apt install docker.io`) or Podman (`apt install podman`, \
    then `systemctl --user start podman.socket`), or name its socket in DOCKER_HOST (`unix:///run/docker.sock`)";

/// How much of what a daemon said is told, in letters.
const SHOWN: usize = 300;

pub(super) fn no_daemon(places: &[PathBuf]) -> Error {
    let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    Error::new(ErrorKind::Missing, "container::missing", "find Docker or Podman: no socket of theirs is here")
        .help(INSTALL)
        .with("looked-at", places.join(", "))
}

pub(super) fn host(named: &str) -> Error {
    let message = format!("use `{}` as the address of Docker or Podman", cut(named));
    Error::new(ErrorKind::Invalid, "container::host", message).help(
        "name a Unix socket (`unix:///run/docker.sock`) or a plain address (`tcp://127.0.0.1:2375`) in DOCKER_HOST; \
         for a daemon behind TLS or SSH, bring its socket here: `ssh -L /tmp/docker.sock:/run/docker.sock HOST`",
    )
}

pub(super) fn unreachable(way: &Way, cause: io::Error) -> Error {
    if cause.kind() == io::ErrorKind::PermissionDenied {
        return Error::new(ErrorKind::Denied, "container::denied", format!("connect to {way}"))
            .help("add your user to the group of the socket (`sudo usermod -aG docker $USER`, then log in again), or use Podman without root")
            .because(cause);
    }
    Error::new(ErrorKind::Missing, "container::unreachable", format!("connect to {way}"))
        .help("start the daemon (`sudo systemctl start docker`, or `systemctl --user start podman.socket`)")
        .transient()
        .because(cause)
}

pub(super) fn no_answer(path: &str) -> Error {
    Error::new(ErrorKind::Timeout, "container::no-answer", format!("get an answer of the daemon to {path}"))
        .help("see whether it hangs: `docker ps`, and its log (`journalctl -u docker`)")
        .transient()
}

pub(super) fn gone(path: &str, cause: hyper::Error) -> Error {
    Error::new(ErrorKind::Failed, "container::gone", format!("hear the daemon's answer to {path} to its end"))
        .help("see whether it was restarted, and try again: what is there is looked at first")
        .transient()
        .because(cause)
}

pub(super) fn rubbish(path: &str, said: &str) -> Error {
    Error::new(ErrorKind::Failed, "container::rubbish", format!("understand the daemon's answer to {path}"))
        .help("see whether DOCKER_HOST leads to Docker or Podman, and not to something else")
        .with("said", cut(said))
}

pub(super) fn too_new(least: &str) -> Error {
    let message = format!("talk to a daemon that takes no version of its API below {least}");
    Error::new(ErrorKind::Unsupported, "container::too-new", message).help(format!(
        "allow version {} of the API in its settings (`min-api-version` of dockerd), or use a newer CODE",
        super::api::NEWEST
    ))
}

/// What a daemon objects.
pub(super) fn refused(doing: &str, status: u16, said: &str) -> Error {
    let lower = said.to_lowercase();
    if lower.contains("no space left on device") {
        return Error::new(
            ErrorKind::Failed,
            "container::disk-full",
            format!("{doing}: the daemon's disk is full"),
        )
        .help("free some space where the daemon keeps its data (`docker system df`, `docker image prune`)")
        .with("said", cut(said));
    }
    if lower.contains("address pool") {
        return Error::new(ErrorKind::Refused, "container::no-addresses", format!("{doing}: no addresses are left for it"))
            .help("remove networks that nobody uses (`docker network prune`), or give the daemon more (`default-address-pools`)")
            .with("said", cut(said));
    }
    let (kind, code, help) = match status {
        404 => (ErrorKind::NotFound, "container::not-found", "deploy again: somebody took it away meanwhile"),
        409 => (
            ErrorKind::Refused,
            "container::in-use",
            "see who uses it (`docker ps -a`), and take that away first",
        ),
        500.. => (
            ErrorKind::Failed,
            "container::daemon",
            "see the daemon's log (`journalctl -u docker`), and try again",
        ),
        _ => (ErrorKind::Refused, "container::refused", "see what it says, and correct what is wanted"),
    };
    let error = Error::new(kind, code, doing.to_owned()).help(help).with("said", cut(said));
    if status >= 500 { error.transient() } else { error }
}

pub(super) fn want(name: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "container::want", format!("use `{}` as it is wanted", cut(name)))
        .help(help)
}

pub(super) fn unknown(address: &Address, why: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        "container::unknown",
        format!("plan {address} without knowing what is there"),
    )
    .help("mend what keeps it from being seen, and plan again")
    .with("why", why)
}

pub(super) fn not_ours(name: &str, whose: &str) -> Error {
    Error::new(ErrorKind::Refused, "container::not-ours", format!("take over {name}: it is {whose}"))
        .help("rename or remove it, or give yours another `name`")
}

pub(super) fn volume_changed(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Refused, "container::volume-changed", format!("change the volume {name}: {why}"))
        .help("leave it as it is: another volume would be an empty one. Copy the data yourself, then destroy with `--delete-data`")
}

pub(super) fn no_image(reference: &str, said: &str) -> Error {
    let message = format!("find the image {}", cut(reference));
    Error::new(ErrorKind::NotFound, "container::no-image", message)
        .help("see whether its name and tag are right, whether it was pushed, and whether you may pull it (`docker login`)")
        .with("said", cut(said))
}

pub(super) fn pull(reference: &str, said: &str) -> Error {
    let lower = said.to_lowercase();
    let missing = ["not found", "manifest unknown", "does not exist", "denied", "unauthorized"];
    if missing.iter().any(|word| lower.contains(word)) {
        return no_image(reference, said);
    }
    if lower.contains("no space left on device") {
        return refused(&format!("pull {}", cut(reference)), 507, said);
    }
    Error::new(ErrorKind::Failed, "container::pull", format!("pull the image {}", cut(reference)))
        .help("see whether its registry can be reached from the daemon, and try again")
        .transient()
        .with("said", cut(said))
}

pub(super) fn build(said: &str) -> Error {
    if said.to_lowercase().contains("no space left on device") {
        return refused("build the image", 507, said);
    }
    Error::new(ErrorKind::Failed, "container::build", "build the image")
        .help("see the step's log: what failed stands at its end; try `docker build` by hand")
        .with("said", cut(said))
}

pub(super) fn context(what: &str, path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Failed, "container::context", format!("{what} {}", path.display()))
        .help("see whether it is there and whether you may read it")
        .with("path", path.display().to_string())
        .because(cause)
}

pub(super) fn no_dockerfile(name: &str, context: &str) -> Error {
    let message = format!("find {} in {}", cut(name), cut(context));
    Error::new(ErrorKind::NotFound, "container::no-dockerfile", message)
        .help("write a Dockerfile there, or name it with `dockerfile`")
}

/// Why a container did not become well.
pub(super) fn exited(name: &str, code: i64, why: &str) -> Error {
    let message = format!("keep the container {name} running: it ended with {code}");
    let error = Error::new(ErrorKind::Failed, "container::exited", message)
        .help("see the last lines that it wrote; try its image by hand (`docker run`)");
    if why.is_empty() { error } else { error.with("why", cut(why)) }
}

pub(super) fn out_of_memory(name: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        "container::out-of-memory",
        format!("keep the container {name} running: its memory was not enough"),
    )
    .help("give the component more `memory`, or let it use less")
}

pub(super) fn unhealthy(name: &str, seconds: u64, why: &str) -> Error {
    Error::new(ErrorKind::Timeout, "container::unhealthy", format!("see the container {name} healthy within {seconds} s"))
        .help("see what it wrote; it must listen on 0.0.0.0 and not only on 127.0.0.1, at its `port`. Give it more time with `health.timeout_seconds`")
        .with("why", cut(why))
}

pub(super) fn no_port() -> Error {
    Error::new(ErrorKind::Failed, "container::no-port", "find a free port on this machine")
        .help("end what holds the ports from 20000 to 29999")
}

pub(super) fn port_taken(port: u16, said: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        "container::port-taken",
        format!("publish port {port}: somebody listens there"),
    )
    .help(format!("end what listens on {port} (`ss -ltnp`), or choose another one with `publish`"))
    .with("said", cut(said))
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "container::cancelled", "wait for the daemon: the run was cancelled")
        .help("`resume` goes on from here")
}

fn cut(text: &(impl Display + ?Sized)) -> String {
    text.to_string().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_objects_is_told_apart() {
        let check = |status, said: &str, code: &str| assert_eq!(refused("do it", status, said).code(), code);
        check(404, "No such container: x", "container::not-found");
        check(409, "conflict", "container::in-use");
        check(500, "oops", "container::daemon");
        check(500, "write /var/lib: no space left on device", "container::disk-full");
        check(400, "invalid", "container::refused");
        check(
            403,
            "could not find an available, non-overlapping IPv4 address pool",
            "container::no-addresses",
        );
        assert_eq!(pull("x", "manifest for x not found").code(), "container::no-image");
        assert_eq!(pull("x", "dial tcp: i/o timeout").code(), "container::pull");
    }
}
