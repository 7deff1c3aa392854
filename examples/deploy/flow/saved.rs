//! Saved plans: approve one for somebody else, and do exactly what one says.
//!
//! In a protected environment, whoever asked may not approve. Who approved is the owner of the approval's
//! file, which the system vouches for; what stands in the file only has to name the plan.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use code_core::checks::{Approval, How};
use code_core::engine::Planned;
use code_core::plan::PLAN_VERSION;
use code_core::{Digest, Error, ErrorKind, Result};
use serde_json::json;

use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::flow::propose::{line, run};
use crate::flow::{last, resume};
use crate::render::{plan, summary, verdicts};
use crate::session::Session;

/// The largest plan file that is read, in bytes.
const MAX_PLAN_BYTES: u64 = 64 * 1024 * 1024;

/// Does what a saved plan says. It never prompts: the plan was reviewed before.
///
/// # Errors
/// `front::plan-file`, `plan::edited`, `plan::stale`, `front::not-approved`, `front::confirm` where something would
/// go for good and `--confirm` does not name it, and those of the engine.
pub async fn apply(session: &Session, path: &Path) -> Result<Exit> {
    let mut planned = read(path)?;
    planned.plan.check()?;
    consent::may_change(session, &planned.plan.deployment)?;
    if !session.screen.dry_run
        && let Some(exit) = resume::same_plan(session, &planned.plan).await?
    {
        return Ok(exit);
    }
    if let Some(policy) = session.options.on_failure {
        planned.proposal.on_failure = Some(policy.into());
    }
    let scene = summary::Scene {
        deployment: planned.plan.deployment.clone(),
        platform: planned.plan.spec.as_ref().map_or("local", |spec| spec.target.platform.as_str()).to_owned(),
        user: session.user(),
        state: session.place.state.display().to_string(),
        run: session.engine.state(&planned.plan.deployment).await?.runs + 1,
    };
    session.screen.page(&summary::scene(&session.screen.style, &scene));
    last::warn(session, &planned.plan.deployment);
    session.screen.page(&plan::plan(&session.screen.style, &planned.plan));
    if session.screen.dry_run {
        return Ok(Exit::Done);
    }
    if consent::is_severe(&planned.plan) {
        consent::confirmed(session, &planned.plan.deployment, consent::unconfirmed(&planned.plan))?;
    }
    let approval = if planned.plan.protected {
        approved(session, &planned)?
    } else {
        let (by, at) = (session.user(), session.host.now());
        Approval { plan: planned.plan.id, by, at, how: How::Option }
    };
    run(session, &planned, approval).await
}

/// Approves a saved plan for somebody else.
///
/// # Errors
/// `front::plan-file`, `plan::edited`, `front::approval-write`.
pub async fn approve(session: &Session, path: &Path) -> Result<Exit> {
    let planned = read(path)?;
    planned.plan.check()?;
    consent::fits(session, &planned.plan.deployment)?;
    let style = &session.screen.style;
    session.screen.page(&plan::plan(style, &planned.plan));
    session.screen.detail(&verdicts::verdicts(style, "plan", &planned.plan_reports, &planned.accepted));
    if session.screen.dry_run {
        return Ok(Exit::Done);
    }
    match consent::ordinary(session, "Approve this plan for whoever asked? [y/N] ").await {
        Consent::Given(_) => {}
        Consent::Declined => {
            session.screen.note("nothing was approved\n");
            return Ok(Exit::Declined);
        }
        Consent::NobodyToAsk => {
            return Err(Error::new(
                ErrorKind::NeedsAnswer,
                "front::no-terminal",
                "ask whether to approve the plan",
            )
            .help("approve it with `--yes`, when you have read it"));
        }
    }
    let approval =
        Approval { plan: planned.plan.id, by: session.user(), at: session.host.now(), how: How::Person };
    write(session, &approval)?;
    let command =
        session.called.command(&format!("apply {}", crate::session::quoted(&path.display().to_string())));
    session.screen.page(&format!("approved plan {}\napply  {command}\n", planned.plan.id.short()));
    line(session, "approved", "approved the plan", &json!({ "approval": approval }))?;
    Ok(Exit::Done)
}

/// A plan file.
///
/// # Errors
/// `front::plan-file` where it is none.
pub fn read(path: &Path) -> Result<Planned> {
    let bad = |error: &dyn std::error::Error| {
        let text = error.to_string();
        Error::new(ErrorKind::Invalid, "front::plan-file", "read the plan file")
            .help("save one with `plan --out FILE`, and do not edit it: change the request or the spec, and plan again")
            .with("path", path.display().to_string())
            .because(io::Error::other(text))
    };
    let file = File::open(path).map_err(|error| bad(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_PLAN_BYTES + 1).read_to_end(&mut bytes).map_err(|error| bad(&error))?;
    if bytes.len() as u64 > MAX_PLAN_BYTES {
        return Err(bad(&io::Error::other(format!("it is larger than {} MiB", MAX_PLAN_BYTES >> 20))));
    }
    serde_json::from_slice(&bytes).map_err(|error| match other_version(&bytes) {
        // A plan of another version has other fields: which, only its own build knows.
        Some(version) => code_core::plan::other_version(version).with("path", path.display().to_string()),
        None if error.is_eof() => bad(&io::Error::other(format!("it ends in the middle: {error}"))),
        None => bad(&error),
    })
}

/// The version of a plan of another version.
fn other_version(bytes: &[u8]) -> Option<u64> {
    let file: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    file.pointer("/plan/version")?.as_u64().filter(|version| *version != u64::from(PLAN_VERSION))
}

/// Makes the directory of approvals, into which every user of the machine may put one and none may take out
/// that of another.
///
/// # Errors
/// `front::approval-write`.
pub fn open_approvals(session: &Session) -> Result<()> {
    let dir = session.layout.approval(Digest::ZERO);
    let Some(dir) = dir.parent() else { return Ok(()) };
    let made = std::fs::create_dir_all(dir).and_then(|()| dir.metadata()).and_then(|meta| {
        match meta.permissions().mode() & 0o7777 {
            0o1777 => Ok(()),
            _ => std::fs::set_permissions(dir, PermissionsExt::from_mode(0o1777)),
        }
    });
    made.map_err(|error| unwritable(dir, &error))
}

fn write(session: &Session, approval: &Approval) -> Result<()> {
    let path = session.layout.approval(approval.plan);
    let text = crate::json::to_value(approval)?.to_string() + "\n";
    if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
        std::fs::create_dir_all(dir).map_err(|error| unwritable(&path, &error))?;
        open_approvals(session)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o644);
    match options.open(&path) {
        Ok(mut file) => file.write_all(text.as_bytes()).and_then(|()| file.sync_all()),
        // Approved before, by this user: the time begins anew. Somebody else's stays theirs.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => std::fs::remove_file(&path)
            .and_then(|()| options.open(&path))
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())),
        Err(error) => Err(error),
    }
    .map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Denied, "front::approval-write", "write the approval")
        .help("whoever asked must make the plan first: that opens the directory of approvals to other users")
        .with("path", path.display().to_string())
        .because(io::Error::other(error.to_string()))
}

/// The approval of another user of this machine.
fn approved(session: &Session, planned: &Planned) -> Result<Approval> {
    let path = session.layout.approval(planned.plan.id);
    let none = |why: &str| {
        Error::new(
            ErrorKind::NeedsAnswer,
            "front::not-approved",
            format!(
                "begin in the protected {} without the approval of another user",
                planned.plan.deployment
            ),
        )
        .help(format!("have another user of this machine run `{}`", session.called.command("approve FILE")))
        .with("why", why)
        .with("path", path.display().to_string())
    };
    // Neither a link to somebody's file nor a second name of one is their approval.
    let opened = OpenOptions::new().read(true).custom_flags(no_follow()).open(&path);
    let file = opened.map_err(|error| none(&format!("there is no approval: {error}")))?;
    let meta = file.metadata().map_err(|error| none(&error.to_string()))?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(none("the approval is not a file of its own"));
    }
    if meta.uid() == rustix::process::getuid().as_raw() {
        return Err(none("it was approved by you"));
    }
    let mut bytes = Vec::new();
    file.take(64 * 1024).read_to_end(&mut bytes).map_err(|error| none(&error.to_string()))?;
    let approval: Approval = serde_json::from_slice(&bytes).map_err(|error| none(&error.to_string()))?;
    Ok(Approval { by: user_name(meta.uid()), how: How::Person, ..approval })
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// The name of a user, as `/etc/passwd` has it; else the number.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).unwrap_or_else(|| uid.to_string())
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbad\nalice:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(name_in(passwd, 7), None);
    }

    #[test]
    fn what_is_no_plan_is_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan");
        for bytes in [b"".as_slice(), b"{}", b"\xff\xfe", b"[1,2"] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.code(), "front::plan-file");
        }
        assert_eq!(read(&dir.path().join("none")).unwrap_err().code(), "front::plan-file");
        std::fs::write(&path, r#"{"plan": {"version": 7, "new": 1}}"#).unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "plan::version");
        let huge = std::fs::File::create(&path).unwrap();
        huge.set_len(MAX_PLAN_BYTES + 1).unwrap();
        assert!(read(&path).unwrap_err().causes()[0].contains("larger than 64 MiB"));
    }
}
