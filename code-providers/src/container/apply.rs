//! Makes a planned change, whatever of it is there already, and looks at what came of it.

use code_core::provider::{Action, Change, Failed, Live, Observed};
use code_core::{Error, ErrorKind, Result};

use super::api::{Api, GRACE};
use super::{CONTAINER, IMAGE, NETWORK, image, network, observe, run, volume};

/// Makes a change; `Ok(None)` where it is gone.
pub(super) async fn apply(api: Api<'_>, change: &Change) -> Result<Option<Live>, Failed> {
    if change.resource.want.is_none() {
        return match &change.prior {
            None => Ok(None),
            Some(prior) => delete(api, change, prior).await,
        };
    }
    if change.action == Action::Keep
        && let Some(prior) = &change.prior
    {
        return Ok(Some(prior.clone()));
    }
    if api.ctx.cancel().is_cancelled() {
        let left = change.prior.clone().map_or(Observed::Absent, Observed::Present);
        return Err(Failed { error: super::error::cancelled(), left });
    }
    let made = match change.resource.kind.as_str() {
        CONTAINER => run::make(api, change).await,
        IMAGE => image::make(api, change).await,
        NETWORK => network::make(api, change).await,
        _ => volume::make(api, change).await,
    };
    let last = change.prior.as_ref();
    let seen = look(api, change, last).await;
    match (made, seen) {
        (Ok(()), Ok(Observed::Present(live))) => Ok(Some(live)),
        (Ok(()), Ok(left)) => Err(Failed { error: vanished(change, &left), left }),
        (Ok(()), Err(error)) => Err(unseen(error)),
        // What was cut off may still come.
        (Err(error), Ok(Observed::Absent)) if observe::is_silence(&error) => Err(unseen(error)),
        (Err(error), Ok(left)) => Err(Failed { error, left }),
        (Err(error), Err(_)) => Err(unseen(error)),
    }
}

async fn delete(api: Api<'_>, change: &Change, prior: &Live) -> Result<Option<Live>, Failed> {
    let seen = observe::observe(api, &change.resource, Some(prior)).await.map_err(unseen)?;
    let there = match seen {
        Observed::Present(there) => there,
        Observed::Absent => return Ok(None),
        left => {
            return Err(Failed { error: super::error::unknown(&change.resource.address, &why(&left)), left });
        }
    };
    api.ctx.say(format!("removing {}", change.resource.address));
    let deleted = match change.resource.kind.as_str() {
        CONTAINER => run::delete(api, &there).await,
        IMAGE => image::delete(api, &there.id).await,
        NETWORK => network::delete(api, &there.id).await,
        _ => volume::delete(api, &there.id).await,
    };
    match deleted {
        Ok(()) => Ok(None),
        Err(error) => match look(api, change, Some(prior)).await {
            Ok(left) => Err(Failed { error, left }),
            Err(_) => Err(unseen(error)),
        },
    }
}

/// What is there now; of a cancelled step only where that is seen at once.
async fn look(api: Api<'_>, change: &Change, last: Option<&Live>) -> Result<Observed> {
    let looking = observe::observe(api.unhurried(), &change.resource, last);
    match api.ctx.cancel().is_cancelled() {
        true => tokio::time::timeout(GRACE, looking).await.unwrap_or_else(|_| Err(super::error::cancelled())),
        false => looking.await,
    }
}

fn vanished(change: &Change, left: &Observed) -> Error {
    let what = format!("find {} after it was made", change.resource.address);
    Error::new(ErrorKind::Failed, "container::not-found", what)
        .help("deploy again: somebody took it away meanwhile")
        .with("why", why(left))
}

fn why(left: &Observed) -> String {
    match left {
        Observed::Unknown(why) => why.clone(),
        _ => "it is not there".to_owned(),
    }
}

fn unseen(error: Error) -> Failed {
    Failed { left: Observed::Unknown(format!("failed to {}", error.message())), error }
}
