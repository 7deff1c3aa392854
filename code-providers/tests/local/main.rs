//! From a spec to a running deployment and back: recipes, engine and providers together, with real
//! processes, real databases and real requests.
//!
//! This program is also the keeper and the sample app: with their hidden arguments it is those, without them
//! the tests are run.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "../sample/http.rs"]
mod http;
mod place;

use std::process::ExitCode;

use code_core::event::Outcome;
use code_core::local::LocalHost;
use code_core::spec::{HealthCheck, Replicas};
use code_core::{Host, Secrets};
use code_providers::postgres::find_programs;
use libtest_mimic::{Arguments, Trial};

use place::{Place, eventually};

fn main() -> ExitCode {
    if let Some(code) = code_providers::sample::sample_main().or_else(code_providers::keeper_main) {
        return code;
    }
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut trials = vec![trial("a_web_app_with_sqlite_lives_and_keeps_its_data", || a_life("sqlite"))];
    if runtime.block_on(has_postgres()) {
        trials.push(trial("a_web_app_with_postgresql_lives_and_keeps_its_data", || a_life("postgresql")));
        trials.push(trial("a_server_that_is_killed_comes_back", a_server_that_is_killed_comes_back));
        trials.push(trial(
            "a_first_deployment_that_fails_is_taken_back",
            a_first_deployment_that_fails_is_taken_back,
        ));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(test());
        Ok(())
    })
}

async fn has_postgres() -> bool {
    let host = LocalHost::new();
    let found = find_programs(&host).await.is_some();
    assert!(found || host.env("CI").is_none(), "PostgreSQL is needed: `apt-get install postgresql`");
    if !found {
        eprintln!("SKIPPED: no PostgreSQL on this machine: `apt-get install postgresql`");
    }
    found
}

/// Deployed, scaled, restarted, stopped, started, taken down, deployed again: what was written stays until
/// its deletion is asked for.
async fn a_life(engine: &'static str) {
    let mut place = Place::new(engine);
    place.deploy().await;
    place.write("bread & milk").await;
    assert!(place.page().contains("bread &amp; milk"));
    assert_eq!(http::get(place.port, "/notes").header("content-type"), Some("application/json"));
    assert_eq!(place.plan().await.plan.steps, [], "the same again is nothing to do");

    let first = place.pid("web/process.r1.0").await;
    place.web().replicas = Replicas { min: 3, max: 3 };
    place.deploy().await;
    assert_eq!(place.processes("web").await, ["web/process.r1.0", "web/process.r1.1", "web/process.r1.2"]);
    assert_eq!(place.pid("web/process.r1.0").await, first, "one that runs is left alone");
    let all: Vec<String> = (0..3).map(|replica| format!("replica <b>{replica}</b>")).collect();
    eventually("every replica answers", || {
        let pages: Vec<String> = (0..6).map(|_| place.page()).collect();
        all.iter().all(|replica| pages.iter().any(|page| page.contains(replica)))
    })
    .await;

    place.web().replicas = Replicas { min: 1, max: 1 };
    place.web().restarts = 1;
    place.deploy().await;
    assert_eq!(place.processes("web").await, ["web/process.r3.0"]);
    assert!(place.page().contains("bread &amp; milk"), "the address and the data stay the same");

    place.stop(true);
    place.deploy().await;
    assert_eq!(place.processes("web").await, [] as [&str; 0]);
    place.stop(false);
    place.deploy().await;
    assert!(place.page().contains("bread &amp; milk"));

    place.destroy(false).await;
    assert!(place.database_dir().exists(), "data is kept");
    place.deploy().await;
    assert!(place.page().contains("bread &amp; milk"), "kept data is adopted");

    place.stop(true);
    place.deploy().await;
    place.destroy(true).await;
    assert!(
        !place.database_dir().join("cluster").exists() && !place.database_dir().join("db.sqlite3").exists()
    );
    assert_eq!(place.secrets.names(), [], "its secrets go with the data");
}

async fn a_server_that_is_killed_comes_back() {
    let place = Place::new("postgresql");
    place.deploy().await;
    place.write("before").await;
    let server = place.pid("db/server").await;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    // Until then the old server's sessions may still answer.
    place.wait_for_another("db/server", server).await;
    eventually("notes are kept again", || http::post_form(place.port, "text=after").status == 303).await;
    let page = place.page();
    assert!(page.contains("before") && page.contains("after"), "{page}");
    place.destroy(true).await;
}

async fn a_first_deployment_that_fails_is_taken_back() {
    let mut place = Place::new("postgresql");
    place.web().health = Some(HealthCheck { path: Some("/nothing".into()), timeout_seconds: 1 });
    let finished = place.try_deploy().await;
    assert_eq!(finished.outcome, Outcome::RolledBack, "{:?}", finished.error);
    assert_eq!(place.processes("web").await, [] as [&str; 0]);
    assert_eq!(place.processes("db").await, [] as [&str; 0]);
    assert!(place.database_dir().join("cluster/PG_VERSION").exists(), "data is kept");

    place.web().health = Some(HealthCheck { path: Some("/health".into()), timeout_seconds: 60 });
    place.deploy().await;
    place.write("all is well").await;
    place.destroy(true).await;
    assert!(!place.database_dir().join("cluster").exists());
    let password = code_core::SecretRef("shop/staging/db/password".into());
    assert!(place.secrets.get(&password).await.unwrap().is_none());
}
