//! Whether what is recorded can be trusted: the chain of each deployment, from its requests to their effects.

use code_core::{Error, ErrorKind, Result};

use crate::exit::Exit;
use crate::render::verified;
use crate::session::Session;

/// Checks the chain of every deployment that is meant, and names the first break of each.
///
/// # Errors
/// `front::nothing-deployed`, and those of the store.
pub async fn verify(session: &Session) -> Result<Exit> {
    let chosen = session.chosen().await?;
    if chosen.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "front::nothing-deployed", "find a deployment")
            .help(format!("`{}` lists what is deployed", session.called.command("status")))
            .with("state", session.place.state.display().to_string()));
    }
    let mut all = Vec::new();
    for deployment in &chosen {
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
