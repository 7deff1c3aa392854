//! What can go wrong, and what a person can do about it.

use std::path::Path;

use code_core::host::Output;
use code_core::{Error, ErrorKind};
use jiff::Timestamp;

use super::config::Flavour;
use super::parse::{Diagnostic, LockInfo, lock_info};

/// How many lines of output are shown of a failure, and how many of its messages.
const SHOWN: usize = 10;

/// How to get a tool.
pub(super) fn install(flavour: Flavour) -> String {
    match flavour {
        Flavour::OpenTofu => "install OpenTofu (https://opentofu.org/docs/intro/install/), and put `tofu` in PATH".to_owned(),
        Flavour::Terraform => "install OpenTofu or Terraform (https://opentofu.org/docs/intro/install/), and put `terraform` in PATH, or write `engine: opentofu` where you have `tofu`".to_owned(),
    }
}

pub(super) fn missing(flavour: Flavour) -> Error {
    let message = format!("find the program `{}`", flavour.program());
    Error::new(ErrorKind::Missing, "terraform::missing", message).help(install(flavour))
}

pub(super) fn too_old(flavour: Flavour, version: &str, oldest: (u32, u32)) -> Error {
    let (name, (major, minor)) = (flavour.name(), oldest);
    Error::new(ErrorKind::Unsupported, "terraform::too-old", format!("use {name} {version}")).help(format!(
        "install {name} {major}.{minor} or newer: older ones do not say in full what they would do"
    ))
}

pub(super) fn want(name: &str, help: &str) -> Error {
    Error::new(ErrorKind::Invalid, "terraform::want", format!("use `{name}` of a Terraform root")).help(help)
}

pub(super) fn no_source(source: &Path) -> Error {
    Error::new(ErrorKind::NotFound, "terraform::no-source", format!("find the root's files in {}", source.display()))
        .help("name the directory of the `*.tf` files as `source`; what was deployed from it keeps a copy in the state directory, until that is pruned")
}

pub(super) fn not_a_root(dir: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "terraform::not-a-root",
        format!("find a `*.tf` or `*.tf.json` file in {}", dir.display()),
    )
    .help("name the directory that has them: as `source`, or as `path` inside of it")
}

pub(super) fn changed(source: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "terraform::changed",
        format!("use {} as it was planned: its files changed since", source.display()),
    )
    .help("plan again: what is applied is what was looked at")
}

pub(super) fn own_state(file: &Path, to: &Path) -> Error {
    Error::new(
        ErrorKind::Refused,
        "terraform::own-state",
        "make anew what a state file in the root's directory says is there already",
    )
    .help(format!(
        "to let CODE take over what it describes: mkdir -p -m 700 '{}' && mv '{}' '{}'",
        to.parent().unwrap_or(to).display(),
        file.display(),
        to.display()
    ))
    .with("state", file.display().to_string())
}

pub(super) fn undeclared(name: &str, declared: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "terraform::undeclared",
        format!("set the variable `{name}`: the root declares none of that name"),
    )
    .help("correct its name, or declare it in the root")
    .with("declared", declared)
}

pub(super) fn lost(address: &str, id: &str, done: &Path) -> Error {
    let import = match id {
        "" => "by an `import` block".to_owned(),
        id => format!("by `import {{ to = {address}, id = \"{id}\" }}` in the root, on lines of their own"),
    };
    Error::new(
        ErrorKind::Failed,
        "terraform::lost",
        format!(
            "go on with the root: `{address}` was made, and the tool was killed before it wrote that down"
        ),
    )
    .help(format!(
        "have it taken over {import}; or remove it where it is, and then the note of it: rm '{}'",
        done.display()
    ))
    .with("id", id.to_owned())
}

pub(super) fn stale_plan() -> Error {
    Error::new(
        ErrorKind::Refused,
        "terraform::stale-plan",
        "apply the plan: it would do something else now than when it was approved",
    )
    .help("plan again: the state, or what it describes, was changed in between")
}

pub(super) fn state_damaged(file: &Path) -> Error {
    let backup = format!("{}.backup", file.display());
    Error::new(
        ErrorKind::Failed,
        "terraform::state-damaged",
        format!("read the state {}: it is cut off, or no state", file.display()),
    )
    .help(format!(
        "the tool keeps the one before it: look at it, and put it back with cp '{backup}' '{}'",
        file.display()
    ))
}

pub(super) fn too_much(what: &str) -> Error {
    Error::new(ErrorKind::Failed, "terraform::too-much", format!("take in {what}: it has more than 16 MiB"))
        .help("split the root into several: one that says so much is slow in every other way, too")
}

pub(super) fn files(path: &Path, error: std::io::Error) -> Error {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    if full {
        return disk_full().with("path", path.display().to_string());
    }
    Error::new(ErrorKind::Failed, "terraform::files", format!("write {}", path.display()))
        .help("give your user the right to it, or choose another state directory with `--state`")
        .because(error)
}

fn disk_full() -> Error {
    Error::new(ErrorKind::Failed, "terraform::disk-full", "write the root's files: the disk is full").help(
        "free some space, and run it again: what was done is in the state, as far as it could be written",
    )
}

/// What a call of the tool was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Init,
    Plan,
    Show,
    Apply,
    State,
    Unlock,
}

/// Why a call of the tool failed.
pub(super) fn failed(
    call: Call,
    flavour: Flavour,
    output: &Output,
    said: &[Diagnostic],
    now: Timestamp,
) -> Error {
    let text = said.iter().map(Diagnostic::text).collect::<Vec<_>>().join("\n") + &output.tail(SHOWN);
    let locked = said.iter().find(|one| one.summary.contains("acquiring the state lock"));
    if let Some(locked) = locked {
        return held(lock_info(&locked.detail), now, &locked.text());
    }
    if text.contains("no space left on device") || text.contains("disk quota exceeded") {
        return disk_full();
    }
    if said.iter().any(|one| one.summary.contains("plan is stale")) {
        return stale_plan();
    }
    let errors: Vec<&Diagnostic> = said.iter().filter(|one| one.is_error()).collect();
    let Some(first) = errors.first() else {
        return wordless(call, flavour, output);
    };
    let variable = first.summary.contains("No value for required variable");
    let error = match call {
        _ if variable => {
            Error::new(ErrorKind::Invalid, "terraform::variable", format!("plan the root: {}", first.text()))
                .help("give it under `terraform.variables` of the component")
        }
        Call::Init => Error::new(
            ErrorKind::Failed,
            "terraform::init",
            format!("make the root ready: {}", first.text()),
        )
        .help(
            "without a network, name a mirror of the providers in code.toml: `[terraform] mirror = \"DIR\"`",
        ),
        Call::Apply => Error::new(
            ErrorKind::Failed,
            "terraform::apply",
            format!("apply the root: {}", first.text()),
        )
        .help("mend what it says, and run it again: what was done is in the state, and is not done twice"),
        Call::Unlock => unlock(&first.text()),
        _ => Error::new(ErrorKind::Invalid, "terraform::plan", format!("plan the root: {}", first.text()))
            .help("mend the root as it says; `terraform validate` in its directory says the same"),
    };
    let more = errors.iter().skip(1).take(SHOWN).map(|one| one.text()).collect::<Vec<_>>();
    let error = match &first.address {
        Some(address) => error.with("resource", address.clone()),
        None => error,
    };
    if more.is_empty() { error } else { error.with("and", more.join("; ")) }
}

/// The tool ended without saying why.
pub(super) fn wordless(call: Call, flavour: Flavour, output: &Output) -> Error {
    let program = flavour.program();
    let Some(code) = output.code else {
        return Error::new(
            ErrorKind::Failed,
            "terraform::killed",
            format!("finish `{program}`: it was killed"),
        )
        .help("see who ended it (the kernel's log names a lack of memory), and run it again")
        .transient();
    };
    // These two answer in words, and not in JSON.
    if call == Call::Unlock && code != 0 {
        return unlock(&output.tail(SHOWN));
    }
    if call == Call::State && code != 0 {
        let message = format!("read the root's state: {}", output.tail(SHOWN));
        return Error::new(ErrorKind::Failed, "terraform::state", message)
            .help("see whether the root's backend can be reached, with the rights that it takes");
    }
    let shown: String = output.tail(SHOWN).chars().take(2000).collect();
    Error::new(
        ErrorKind::Failed,
        "terraform::rubbish",
        format!("understand `{program}` ({call:?}): it ended with code {code}, and not with what it should have said"),
    )
    .help("see whether the program of that name in PATH is the real one, and not a wrapper that writes by itself")
    .with("said", shown)
}

fn unlock(why: &str) -> Error {
    Error::new(ErrorKind::Failed, "terraform::unlock", format!("break the lock: {}", why.trim_end_matches('.')))
        .help("the id must be that of the lock, as `terraform::lock-held` names it; the lock of a local state goes with its process")
}

fn held(info: Option<LockInfo>, now: Timestamp, text: &str) -> Error {
    let (who, help) = match &info {
        None => (text.to_owned(), "wait for whoever holds it, and run it again".to_owned()),
        Some(LockInfo { id, who, created, .. }) => {
            let who = if who.is_empty() { "somebody" } else { who };
            let age = age(created, now).map_or_else(String::new, |age| format!(", for {age}"));
            let help = format!(
                "wait for it, and run it again; where you are certain that nobody works there any more, break it by its \
                 id: `deploy unlock COMPONENT {id}`"
            );
            (format!("{who} holds it{age}"), help)
        }
    };
    let message = format!("take the lock of the root's state: {who}");
    let error = Error::new(ErrorKind::Failed, "terraform::lock-held", message).transient().help(help);
    match info {
        None => error,
        Some(LockInfo { id, operation, created, .. }) => {
            error.with("lock", id).with("operation", operation).with("since", created)
        }
    }
}

/// How long ago a lock was taken.
pub(super) fn age(created: &str, now: Timestamp) -> Option<String> {
    let mut words = created.split(' ');
    let (day, time, zone) = (words.next()?, words.next()?, words.next()?);
    let created: Timestamp = format!("{day}T{time}{zone}").parse().ok()?;
    let seconds = now.duration_since(created).as_secs().max(0);
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    })
}

pub(super) fn rubbish(call: Call, flavour: Flavour) -> Error {
    wordless(call, flavour, &Output { code: Some(0), ..Output::default() })
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "host::cancelled", "copy the root's files: it was cancelled")
        .help("run it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_with_its_holder_and_its_age() {
        let detail = "Error message: resource temporarily unavailable\nLock Info:\n  ID:        92f3feac-97c5\n  \
                      Path:      terraform.tfstate\n  Operation: OperationTypeApply\n  Who:       ann@vm\n  Version:   \
                      1.11.4\n  Created:   2026-11-23 23:44:16.985175599 +0000 UTC\n  Info:      \n";
        let said = serde_json::json!({
            "severity": "error", "summary": "Error acquiring the state lock", "detail": detail,
        });
        let said: Diagnostic = serde_json::from_value(said).unwrap();
        let now = "2026-11-24T02:45:00Z".parse().unwrap();
        let error = failed(Call::Apply, Flavour::OpenTofu, &Output::default(), &[said], now);
        insta::assert_snapshot!(format!("{error:?}"), @r"
        [terraform::lock-held] failed to take the lock of the root's state: ann@vm holds it, for 3 h
          lock: 92f3feac-97c5
          operation: OperationTypeApply
          since: 2026-11-23 23:44:16.985175599 +0000 UTC
          help: wait for it, and run it again; where you are certain that nobody works there any more, break it by its id: `deploy unlock COMPONENT 92f3feac-97c5`
        ");
    }

    #[test]
    fn what_ends_without_a_word_is_told_as_such() {
        let output =
            |code, said: &str| Output { code, stderr: said.as_bytes().to_vec(), ..Output::default() };
        let check = |call, output, code: &str| {
            let error = failed(call, Flavour::Terraform, &output, &[], Timestamp::UNIX_EPOCH);
            assert!(error.code() == code && error.help_text().is_some(), "{error:?}");
        };
        check(Call::Plan, output(None, ""), "terraform::killed");
        check(Call::Plan, output(Some(0), "hello"), "terraform::rubbish");
        check(Call::Apply, output(Some(1), "write /x: no space left on device"), "terraform::disk-full");
        check(Call::Unlock, output(Some(1), "Failed to unlock state"), "terraform::unlock");
        check(Call::State, output(Some(1), "AccessDenied"), "terraform::state");
    }
}
