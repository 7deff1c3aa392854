//! Whether something may be done, in three tiers: the more is at stake, the more an answer has to say.
//!
//! ```text
//!             --yes        --confirm NAME     at a terminal       nobody there
//!  nothing    is not asked: reading, and what was reviewed before (`apply`, `resume`)
//!  ordinary   answers it   does not           [y/N]               exit 4, and names --yes
//!  severe     does not     answers it         type the name       exit 4, and names --confirm
//! ```
//!
//! Severe is what takes away for good: data that is deleted, a change that destroys and cannot be taken back,
//! recorded events that are given up. Whatever the tier, a `--confirm` that names another deployment stops
//! everything that would change this one.

use code_core::checks::How;
use code_core::plan::Plan;
use code_core::provider::Reversal;
use code_core::{Deployment, Error, ErrorKind, Result};

use crate::session::Session;

/// Whether a person agreed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    Given(How),
    /// No, at the terminal.
    Declined,
    /// No option answers, and there is no terminal to ask at.
    NobodyToAsk,
}

/// Asks an ordinary question, which ends in `[y/N] `: `--yes` answers it beforehand.
pub async fn ordinary(session: &Session, question: &str) -> Consent {
    if session.options.yes {
        return Consent::Given(How::Option);
    }
    if !session.screen.interactive {
        return Consent::NobodyToAsk;
    }
    let answer = session.screen.ask(question).await.unwrap_or_default();
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Consent::Given(How::Prompt),
        _ => Consent::Declined,
    }
}

/// Asks for the name of the deployment: `--confirm` gives it beforehand, and `--yes` is no answer.
///
/// # Errors
/// `unconfirmed` where another name is given, or none and there is no terminal to ask at.
pub async fn severe(
    session: &Session,
    deployment: &Deployment,
    question: &str,
    unconfirmed: Error,
) -> Result<Consent> {
    if session.options.confirm.is_some() || !session.screen.interactive {
        return confirmed(session, deployment, unconfirmed);
    }
    let answer = session.screen.ask(question).await.unwrap_or_default();
    let same = answer.trim() == deployment.to_string();
    Ok(if same { Consent::Given(How::Prompt) } else { Consent::Declined })
}

/// The same where nobody is asked, because what is done was reviewed before.
///
/// # Errors
/// `unconfirmed` where another name is given, or none.
pub fn confirmed(session: &Session, deployment: &Deployment, unconfirmed: Error) -> Result<Consent> {
    match &session.options.confirm {
        Some(given) if *given == deployment.to_string() => Ok(Consent::Given(How::Option)),
        Some(given) => Err(unconfirmed.with("given", given.clone())),
        None => Err(unconfirmed),
    }
}

/// Stops where `--confirm` names another deployment than the one that would be changed.
///
/// # Errors
/// `front::confirm`.
pub fn fits(session: &Session, deployment: &Deployment) -> Result<()> {
    match &session.options.confirm {
        Some(given) if *given != deployment.to_string() => {
            let message = format!("change {deployment} under the confirmation of another deployment");
            Err(Error::new(ErrorKind::NeedsAnswer, "front::confirm", message)
                .help("say which is meant with `-e ENVIRONMENT` and `--application NAME`, or leave `--confirm` out")
                .with("given", given.clone()))
        }
        _ => Ok(()),
    }
}

/// Stops where this deployment may not be changed: its environment is read-only, or another one was confirmed. A dry
/// run changes nothing anywhere.
///
/// # Errors
/// `resolve::read-only`, `front::confirm`.
pub fn may_change(session: &Session, deployment: &Deployment) -> Result<()> {
    fits(session, deployment)?;
    if session.screen.dry_run { Ok(()) } else { session.settings.check_writable(deployment) }
}

/// Whether a plan takes something away for good: by its steps, whatever it was asked as.
pub fn is_severe(plan: &Plan) -> bool {
    let for_good = |reversal: &Reversal| matches!(reversal, Reversal::Irreversible(_));
    plan.delete_data
        || plan.steps.iter().any(|step| for_good(&step.change.reversal) && step.change.effects.may_destroy())
}

/// That what a severe plan takes away goes only with its name.
pub fn unconfirmed(plan: &Plan) -> Error {
    let deployment = &plan.deployment;
    let what = if plan.delete_data { "delete the data" } else { "destroy for good a part" };
    let message = format!("{what} of {deployment} without its name as confirmation");
    Error::new(ErrorKind::NeedsAnswer, "front::confirm", message)
        .help(format!("if it shall be gone for good: `--confirm {deployment}`"))
}
