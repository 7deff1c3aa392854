//! What becomes of runs while the API server does not answer as it should: they go on, or are taken back, and the next
//! one finds everything once.

use std::collections::BTreeSet;

use code_core::engine::Proposal;
use code_core::event::Outcome;
use code_core::provider::Observed;
use code_core::spec::Origins;
use test_cluster::Cluster;

use crate::place::{APPS, Place, shop};
use crate::proxy::{Fault, Proxy, dice};

/// `None`, and said so, where there is no cluster.
async fn behind_a_proxy(name: &str) -> Option<(Place, Proxy)> {
    let cluster = Cluster::get("Kubernetes in trouble")?;
    let proxy = Proxy::new(cluster, name).await;
    Some((Place::by(name, shop(), cluster, &proxy.kubeconfig), proxy))
}

/// Whether a call changes something.
fn writes(method: &str, path: &str) -> bool {
    method != "GET" && !path.contains("dryRun=All")
}

/// Once everything answers again, a deploy ends with all of it there: once, recorded, and nothing beside it.
async fn converges(place: &Place, proxy: &Proxy) {
    proxy.faults(|_, _| Fault::None);
    place.engine.resume(&place.spec.deployment().unwrap(), &Default::default()).await.unwrap();
    place.deploy().await;
    let found = place.found();
    assert_eq!(found, place.recorded().await);
    assert_eq!(found.len(), 11, "nothing is there twice: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_gone_in_the_middle_of_a_run() {
    let Some((place, proxy)) = behind_a_proxy("gone").await else { return };
    let mut written = 0;
    proxy.faults(move |method, path| {
        written += usize::from(writes(method, path));
        match written {
            0..5 => Fault::None,
            // The last word is done, and nobody hears of it.
            5 if writes(method, path) => Fault::Unheard,
            _ => Fault::Cut,
        }
    });
    let (_, finished) = place.try_deploy().await;
    assert_ne!(finished.outcome, Outcome::Succeeded);
    let error = finished.error.unwrap();
    assert!(error.help_text().is_some(), "{error:?}");
    // What nobody can look at is not taken for taken back.
    let state = place.engine.state(&place.spec.deployment().unwrap()).await.unwrap();
    let known = state.inventory.len() + state.doubts.len();
    assert!(known > place.found().len(), "{:?} {:?}", state.inventory.keys(), state.doubts.keys());
    converges(&place, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_ends() {
    let Some((place, proxy)) = behind_a_proxy("storm").await else { return };
    let mut dice = dice(7);
    proxy.faults(move |_, _| match dice(4) {
        0 => match dice(8) {
            0 => Fault::Cut,
            1 => Fault::Unheard,
            n => Fault::Status([409, 429, 500, 502, 503, 504][n as usize - 2]),
        },
        _ => Fault::None,
    });
    // Planning gives up at the first refusal that the client does not try again: nothing is guessed.
    for _ in 0..30 {
        let proposal = Proposal::of(place.spec.clone(), Origins::new()).unwrap();
        match place.engine.plan(&proposal, &BTreeSet::new()).await {
            Ok(_) => break,
            Err(error) => assert!(error.help_text().is_some(), "{error:?}"),
        }
    }
    let mut dice = self::dice(8);
    proxy.faults(move |method, path| match writes(method, path) && dice(3) == 0 {
        true if dice(2) == 0 => Fault::Unheard,
        true => Fault::Status([409, 429, 500, 503][dice(4) as usize]),
        false => Fault::None,
    });
    let (_, finished) = place.try_deploy().await;
    let (calls, faults) = proxy.counts();
    assert!(faults > 5, "{faults} faults in {calls} calls");
    println!("figure: a storm of refusals: {faults} faults in {calls} calls, then {:?}", finished.outcome);
    converges(&place, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_renewed_while_the_run_waits() {
    let Some((place, proxy)) = behind_a_proxy("expired").await else { return };
    let (mut written, mut refused) = (0, 0);
    proxy.faults(move |method, path| {
        written += usize::from(writes(method, path));
        match written > 4 && refused < 4 {
            true => {
                refused += 1;
                Fault::Status(401)
            }
            false => Fault::None,
        }
    });
    let (_, finished) = place.try_deploy().await;
    assert_eq!(finished.outcome, Outcome::Succeeded, "{:?}", finished.error);
    assert_eq!(proxy.counts().1, 4);
    converges(&place, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_permission_is_no_deletion() {
    let Some((mut place, proxy)) = behind_a_proxy("lost").await else { return };
    place.deploy().await;
    let before = place.found();
    proxy.faults(|method, path| match method == "GET" && path.contains("deployments") {
        true => Fault::Status(403),
        false => Fault::None,
    });
    let deployment = place.spec.deployment().unwrap();
    let status = place.engine.status(&deployment).await.unwrap();
    let web = status.resources.iter().find(|r| r.address.to_string() == "web/deployment").unwrap();
    assert!(matches!(&web.observed, Observed::Unknown(why) if why.contains("403")), "{web:?}");

    // Neither the same again nor its end is planned on a guess.
    let again = Proposal::of(place.spec.clone(), Origins::new()).unwrap();
    let without = place.spec.components.split_off(1);
    place.spec.components = without;
    let gone = Proposal::of(place.spec.clone(), Origins::new()).unwrap();
    let destroy = place.engine.destroy(&deployment, false).await.unwrap();
    for proposal in [again, gone, destroy] {
        let error = place.engine.plan(&proposal, &BTreeSet::new()).await.unwrap_err();
        assert_eq!(error.code(), "plan::unknown", "{error:?}");
    }
    assert_eq!(place.found(), before);
    assert_eq!(place.read(APPS, "deployments/web")["status"]["availableReplicas"], 1);
}
