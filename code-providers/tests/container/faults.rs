//! What goes wrong with a daemon and with containers: each time the error says what, nothing half made is left, and what
//! cannot be seen is not taken for gone.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod played;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Change, Failed, Live, Observed, Resource};
use code_core::{Ctx, Deployment, Digest, Expr, Key, Provider, Result, StepId, Want};
use code_providers::container::{CONTAINER, Containers, IMAGE};
use played::{Plays, Server};
use serde_json::json;
use tempfile::TempDir;
use test_daemon::{BUSYBOX, Daemon};
use tokio_util::sync::CancellationToken;

/// A place of a test's own, and the provider in it.
struct Place {
    provider: Containers,
    dir: TempDir,
    cancel: CancellationToken,
    /// No two tests of one daemon share a name.
    name: String,
}

impl Place {
    fn new(host: impl Into<String>) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fault-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let provider = Containers::at(host);
        Place { provider, dir: tempfile::tempdir().unwrap(), cancel: CancellationToken::new(), name }
    }

    fn ctx(&self) -> Ctx {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let step = StepId(NEXT.fetch_add(1, Ordering::Relaxed));
        let secrets = Arc::new(MemorySecrets::new().with("token", "a-token-0123456789"));
        Ctx::new(Arc::new(LocalHost::new()), secrets, self.dir.path())
            .for_deployment(&Deployment::new("faults", "test").unwrap())
            .for_step(Key::of(Digest::ZERO, step, false), [code_core::SecretRef("token".into())].into())
            .with_cancel(self.cancel.clone())
    }

    fn container(&self, script: &str, more: &[(&str, Expr)]) -> Resource {
        let want = Want::new()
            .with("name", self.name.clone())
            .with("image", BUSYBOX)
            .with("args", json!(["/bin/sh", "-c", script]))
            .with("health.timeout_seconds", 20)
            .with("grace_seconds", 1);
        let want = more.iter().fold(want, |want, (name, value)| want.with(name, value.clone()));
        Resource::new("web/app".parse().unwrap(), CONTAINER, want)
    }

    async fn observe(&self, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
        self.provider.observe(&self.ctx(), resource, last).await
    }

    async fn plan(&self, resource: &Resource, last: Option<&Live>) -> Result<Change> {
        let observed = self.observe(resource, last).await?;
        self.provider.plan(&self.ctx(), resource, &observed).await
    }

    async fn apply(&self, resource: &Resource, last: Option<&Live>) -> Result<Option<Live>, Failed> {
        let change = self.plan(resource, last).await?;
        self.provider.apply(&self.ctx(), &change).await
    }

    /// Applies what must fail in this way, and leave nothing.
    async fn fails(&self, resource: &Resource, code: &str) -> Failed {
        let failed = self.apply(resource, None).await.unwrap_err();
        assert_eq!(failed.error.code(), code, "{:?}", failed.error);
        assert!(failed.error.help_text().is_some_and(|help| !help.is_empty()), "{:?}", failed.error);
        assert_eq!(failed.left, Observed::Absent, "{:?}", failed.error);
        assert_eq!(self.observe(resource, None).await.unwrap(), Observed::Absent);
        failed
    }
}

#[tokio::test]
async fn containers_that_do_not_become_well_are_told_and_taken_away() {
    let Some(daemon) = Daemon::get("containers that fail") else { return };
    let place = Place::new(daemon.host());
    let failed = place.fails(&place.container("echo no luck; exit 3", &[]), "container::exited").await;
    assert!(format!("{:?}", failed.error).contains("no luck"), "{:?}", failed.error);
    place.fails(&place.container("sleep 100", &[("user", "nobody-here".into())]), "container::exited").await;
    let no_program = [("entrypoint", Expr::from(json!(["/bin/no-such-program"])))];
    place.fails(&place.container("true", &no_program), "container::exited").await;
    let unhealthy = [("health.command", Expr::from(json!(["false"]))), ("health.timeout_seconds", 4.into())];
    place.fails(&place.container("sleep 100", &unhealthy), "container::unhealthy").await;
    let hungry = [
        ("memory", "16Mi".into()),
        ("restart", "no".into()),
        ("health.command", Expr::from(json!(["false"]))),
    ];
    let eats = "x=0123456789abcdef; while true; do x=$x$x; done";
    place.fails(&place.container(eats, &hungry), "container::out-of-memory").await;
    place.fails(&place.container("true", &[("image", "test/none:1".into())]), "container::no-image").await;
    let secret = [("env.TOKEN", Expr::secret("token"))];
    let failed =
        place.fails(&place.container("echo it is $TOKEN; exit 1", &secret), "container::exited").await;
    let told = format!("{failed:?}");
    assert!(told.contains("it is [") && !told.contains("a-token-0123456789"), "{told}");
}

#[tokio::test]
async fn images_that_cannot_be_had_are_told() {
    let Some(daemon) = Daemon::get("images that fail") else { return };
    let place = Place::new(daemon.host());
    let of = |want: Want| {
        Resource::new("web/image".parse().unwrap(), IMAGE, want.with("name", place.name.clone()))
    };
    let registry = daemon.registry().unwrap();
    place
        .fails(&of(Want::new().with("reference", format!("{registry}/no/such:1"))), "container::no-image")
        .await;
    place.fails(&of(Want::new().with("reference", "127.0.0.1:9/no/such:1")), "container::pull").await;
    let context = place.dir.path().to_str().unwrap().to_owned();
    let built = |recipe: &str| {
        of(Want::new().with("context", context.clone()).with("digest", "1").with("recipe", recipe))
    };
    let broken = format!("FROM {BUSYBOX}\nRUN echo so much for that && false\n");
    let no_network = |resource: Resource| Resource {
        want: resource.want.map(|want| want.with("network", "none")),
        ..resource
    };
    let failed = place.fails(&no_network(built(&broken)), "container::build").await;
    assert!(format!("{:?}", failed.error).contains("returned a non-zero code"), "{:?}", failed.error);
    place.fails(&built("FROM\n"), "container::build").await;
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_left_alone() {
    let Some(daemon) = Daemon::get("containers of somebody else") else { return };
    let place = Place::new(daemon.host());
    let theirs = json!({"Image": BUSYBOX, "Cmd": ["sleep", "100"]}).to_string();
    daemon.ok("POST", &format!("/containers/create?name={}", place.name), &theirs);
    let resource = place.container("sleep 100", &[]);
    let observed = place.observe(&resource, None).await.unwrap();
    assert!(
        matches!(&observed, Observed::Unknown(why) if why.contains("nobody that CODE knows of")),
        "{observed:?}"
    );
    assert_eq!(place.plan(&resource, None).await.unwrap_err().code(), "container::unknown");
    let create = place.provider.plan(&place.ctx(), &resource, &Observed::Absent).await.unwrap();
    let failed = place.provider.apply(&place.ctx(), &create).await.unwrap_err();
    assert_eq!(failed.error.code(), "container::not-ours");
    assert!(
        daemon.read(&format!("/containers/{}/json", place.name)).contains("\"created\""),
        "it is as it was"
    );
}

#[tokio::test]
async fn a_daemon_that_is_killed_and_one_that_hangs_leave_doubt_and_nothing_else() {
    let daemon = match Daemon::start() {
        Ok(daemon) => daemon,
        Err(why) => return println!("skipped: a daemon that is killed: {why}"),
    };
    let place = Place::new(daemon.host());
    let resource = place.container("sleep 1000", &[]);
    let live = place.apply(&resource, None).await.unwrap().unwrap();

    daemon.freeze();
    let looking = place.observe(&resource, Some(&live));
    let cut = tokio::time::timeout(Duration::from_millis(300), looking).await;
    assert!(cut.is_err(), "a daemon that hangs has no answer yet: {cut:?}");
    daemon.thaw();
    assert_eq!(place.observe(&resource, Some(&live)).await.unwrap(), Observed::Present(live.clone()));

    daemon.kill();
    let unseen = || async { matches!(place.observe(&resource, Some(&live)).await, Ok(Observed::Unknown(_))) };
    let begun = std::time::Instant::now();
    while !unseen().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never unknown");
        tokio::task::yield_now().await;
    }
    let change = Change::create(&resource, code_core::provider::Effects::none());
    let failed = place.provider.apply(&place.ctx(), &change).await.unwrap_err();
    assert!(matches!(failed.left, Observed::Unknown(_)), "{failed:?}");
}

#[tokio::test]
async fn whatever_a_server_answers_is_told_and_never_believed() {
    let check = |plays: Plays, code: &'static str| async move {
        let server = Server::new(plays);
        let place = Place::new(server.host());
        let resource = place.container("true", &[]);
        let last = Live {
            id: "4711".into(),
            was: resource.wanted(),
            outputs: std::collections::BTreeMap::new(),
            drift: Vec::new(),
        };
        // What was there is not gone.
        let seen = place.observe(&resource, Some(&last)).await;
        assert!(matches!(&seen, Ok(Observed::Unknown(_)) | Err(_)), "{plays:?}: {seen:?}");
        let create = Change::create(&resource, code_core::provider::Effects::none());
        let failed = place.provider.apply(&place.ctx(), &create).await.unwrap_err();
        assert_eq!(failed.error.code(), code, "{plays:?}: {:?}", failed.error);
        assert!(failed.error.help_text().is_some_and(|help| !help.is_empty()));
        assert!(matches!(failed.left, Observed::Unknown(_)), "{plays:?}: {:?}", failed.left);
    };
    check(Plays::Failing, "container::daemon").await;
    check(Plays::Full, "container::disk-full").await;
    check(Plays::Rubbish, "container::rubbish").await;
    check(Plays::Endless, "container::rubbish").await;
    check(Plays::Closing, "container::gone").await;
    check(Plays::Words, "container::rubbish").await;
}

#[tokio::test]
async fn a_cancelled_wait_for_a_daemon_that_hangs_ends() {
    let server = Server::new(Plays::Hanging);
    let place = Place::new(server.host());
    let resource = place.container("true", &[]);
    let create = Change::create(&resource, code_core::provider::Effects::none());
    let ctx = place.ctx();
    let (failed, ()) = tokio::join!(place.provider.apply(&ctx, &create), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        place.cancel.cancel();
    });
    let failed = failed.unwrap_err();
    assert_eq!(failed.error.code(), "container::cancelled", "{:?}", failed.error);
    assert!(matches!(failed.left, Observed::Unknown(_)));
}

#[tokio::test]
async fn without_a_daemon_it_is_said_how_to_get_one() {
    let nowhere = tempfile::tempdir().unwrap();
    let place = Place::new(format!("unix://{}/none.sock", nowhere.path().display()));
    let resource = place.container("true", &[]);
    let error = place.plan(&resource, None).await.unwrap_err();
    assert_eq!(error.code(), "container::unreachable");
    assert_eq!(
        place.observe(&resource.gone(), None).await.unwrap(),
        Observed::Absent,
        "nothing was ever there"
    );
    let ssh = Place::new("ssh://me@there");
    assert_eq!(ssh.plan(&resource, None).await.unwrap_err().code(), "container::host");
}
