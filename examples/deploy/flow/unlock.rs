//! Breaking the lock of a Terraform root, by its id.

use code_core::{Address, Error, ErrorKind, Result};
use code_providers::terraform::{ROOT, Terraform};
use serde_json::json;

use crate::compose;
use crate::exit::Exit;
use crate::flow::consent::{self, Consent};
use crate::flow::propose::line;
use crate::session::Session;

/// Breaks the lock of this id on a component's state.
///
/// # Errors
/// `front::no-such-component`, `front::no-terminal`, `terraform::no-root`, `terraform::unlock`.
pub async fn unlock(session: &Session, component: &str, id: &str) -> Result<Exit> {
    let deployment = session.the_one().await?;
    let state = session.engine.state(&deployment).await?;
    let roots = state.inventory.iter().filter(|(_, recorded)| recorded.kind == ROOT);
    let roots: Vec<&Address> = roots.map(|(address, _)| address).collect();
    let Some(address) = roots.iter().find(|address| address.component() == component) else {
        let names: Vec<&str> = roots.iter().map(|address| address.component()).collect();
        let message = format!("find the Terraform root `{component}` in {deployment}");
        return Err(Error::new(ErrorKind::NotFound, "front::no-such-component", message)
            .help("name one of its components that are roots")
            .with("components", names.join(", ")));
    };
    if session.screen.dry_run {
        session.screen.page(&format!("would break the lock {id} of {address}\n"));
        return Ok(Exit::Done);
    }
    let question = format!("Break the lock {id} of {address}? Whoever works there loses it. [y/N] ");
    match consent::ordinary(session, &question).await {
        Consent::Given(_) => {}
        Consent::Declined => {
            session.screen.note("the lock was not broken\n");
            return Ok(Exit::Declined);
        }
        Consent::NobodyToAsk => {
            let message = "ask whether to break the lock";
            return Err(Error::new(ErrorKind::NeedsAnswer, "front::no-terminal", message)
                .help("`--yes` answers yes; `--dry-run` shows what would be done"));
        }
    }
    let terraform = Terraform::new(compose::terraform(&session.place.project, &session.settings));
    let ctx = session.engine.ctx().for_deployment(&deployment);
    terraform.unlock(&ctx, address, id).await?;
    let text = format!("broke the lock {id} of {address}");
    session.screen.page(&format!("{text}\n"));
    line(session, "unlock", &text, &json!({ "address": address, "lock": id }))?;
    Ok(Exit::Done)
}
