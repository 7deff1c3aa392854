//! Whether what is recorded can be trusted, and the way out where it cannot: `verify` and `journal repair`.

use code_core::local::{Repaired, Trouble};
use code_core::store::Seq;
use code_core::verify::Link;
use code_core::{Deployment, Error, ErrorKind, Result};
use serde_json::json;

use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::render::verified;
use crate::session::Session;
use crate::style::{Tone, paragraph};

/// Checks the chain of every deployment that is meant, and names the first break of each.
///
/// # Errors
/// `front::nothing-deployed`, and those of the store.
pub async fn verify(session: &Session) -> Result<Exit> {
    let mut all = Vec::new();
    for deployment in &chosen(session).await? {
        all.push(session.engine.verify(deployment).await?);
    }
    let repair = session.called.command("journal repair");
    let page: String = all.iter().map(|one| verified::page(&session.screen.style, one, &repair)).collect();
    let broken = all.iter().filter(|one| one.broken.is_some()).count();
    let message = match broken {
        0 => format!("{} chains hold", all.len()),
        broken => format!("{broken} of {} chains are broken", all.len()),
    };
    session.screen.answer("verify", &message, &page, &all)?;
    Ok(if broken == 0 { Exit::Done } else { Exit::Broken })
}

/// Keeps everything before the break of a journal, puts the rest beside it, and says what may not be as it is
/// recorded now.
///
/// # Errors
/// `front::confirm-repair` where nobody confirmed it by name, `front::which-deployment` where several are
/// broken, `store::locked` while somebody holds it, and those of the store.
pub async fn repair(session: &Session) -> Result<Exit> {
    let mut broken = Vec::new();
    for deployment in &chosen(session).await? {
        let before = first_untrusted(session, deployment).await?;
        if let Some(trouble) = session.store.trouble(&deployment.to_string(), before).await? {
            broken.push((deployment.clone(), before, trouble));
        }
    }
    let (deployment, before, trouble) = match broken.len() {
        0 => {
            session.screen.answer("repaired", "nothing to repair", "nothing to repair\n", &json!(null))?;
            return Ok(Exit::Done);
        }
        1 => broken.remove(0),
        _ => {
            let names: Vec<String> = broken.iter().map(|(deployment, ..)| deployment.to_string()).collect();
            return Err(Error::new(
                ErrorKind::NeedsAnswer,
                "front::which-deployment",
                "tell which journal to repair",
            )
            .help("name it: `--environment NAME`, and `--application NAME` where there are several")
            .with("deployments", names.join(", ")));
        }
    };
    session.screen.page(&verified::trouble(&session.screen.style, &trouble));
    if session.screen.dry_run {
        return answer(session, &Repaired { trouble, aside: Vec::new() }, "would repair");
    }
    if !matches!(agreed(session, &deployment, &trouble).await?, Consent::Given(_)) {
        session.screen.note("nothing was changed\n");
        return Ok(Exit::Declined);
    }
    let holder = format!("{} (process {})", session.user(), std::process::id());
    let ctx = session.engine.ctx();
    let repaired = session.store.repair(&ctx, &deployment.to_string(), &holder, before).await?;
    let Some(repaired) = repaired else {
        return Err(Error::new(
            ErrorKind::Stale,
            "front::ended-meanwhile",
            "repair a journal that is whole by now",
        )
        .help("`verify` shows how it is"));
    };
    let open = session.engine.state(&deployment).await?.open_run().is_some();
    let next = if open { "resume" } else { "status" };
    let next = session.called.command(next);
    session.screen.page(&verified::repaired(&session.screen.style, &repaired, &next));
    answer(session, &repaired, "repaired")
}

/// Tells of every torn write that was cut off the end of a journal, and where its bytes are.
pub fn tell_cuts(session: &Session) {
    for cut in session.store.cuts() {
        let text = format!(
            "the journal of {} ended in the middle of a write: {} bytes after record {} were cut off and saved \
             in {}",
            cut.deployment,
            cut.bytes,
            cut.after,
            cut.saved.display()
        );
        session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, &text));
    }
}

fn answer(session: &Session, repaired: &Repaired, message: &str) -> Result<Exit> {
    session.screen.answer("repaired", message, "", repaired)?;
    Ok(Exit::Done)
}

/// The deployments that are meant, also those whose journal is broken or gone.
async fn chosen(session: &Session) -> Result<Vec<Deployment>> {
    let chosen = session.chosen().await?;
    if chosen.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "front::nothing-deployed", "find a deployment")
            .help(format!("`{}` lists what is deployed", session.called.command("status")))
            .with("state", session.place.state.display().to_string()));
    }
    Ok(chosen)
}

/// The first event that does not follow from those before it, although its bytes are whole.
async fn first_untrusted(session: &Session, deployment: &Deployment) -> Result<Option<Seq>> {
    match session.engine.verify(deployment).await {
        Ok(verified) => Ok(verified
            .broken
            .filter(|broken| !matches!(broken.link, Link::Records | Link::Releases))
            .map(|broken| broken.record)),
        Err(error) if error.code() == "engine::no-deployment" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks for the name of the deployment: events that are lost do not come back.
async fn agreed(session: &Session, deployment: &Deployment, trouble: &Trouble) -> Result<Consent> {
    let message =
        format!("give up {} events of {deployment} without its name as confirmation", trouble.lost());
    let unconfirmed = Error::new(ErrorKind::NeedsAnswer, "front::confirm-repair", message).help(format!(
        "bring the journal back from a backup, or go on without them: `--confirm {deployment}`"
    ));
    let question = verified::question(&session.screen.notes, &deployment.to_string());
    consent::severe(session, deployment, &question, unconfirmed).await
}
