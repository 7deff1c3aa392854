//! With the real PostgreSQL: clusters and servers in temporary directories, on ports of their own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Promise, Reversal};
use code_core::{Expr, Host, Secret, SecretRef, Secrets, Want};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::*;

/// A place for one cluster, and the surroundings of a call.
struct Place {
    dir: TempDir,
    ctx: Ctx,
    secrets: Arc<MemorySecrets>,
    port: u16,
}

impl Place {
    /// `None`, told aloud, where this machine has no PostgreSQL; in CI that is a failure.
    async fn new() -> Option<Place> {
        let host = LocalHost::new();
        if find_programs(&host).await.is_none() {
            assert!(host.env("CI").is_none(), "PostgreSQL is needed: {}", error::INSTALL);
            // `cargo xtask test` counts these lines.
            println!("skipped: PostgreSQL: no programs on this machine; {}", error::INSTALL);
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let secrets = Arc::new(MemorySecrets::new());
        let ctx = Ctx::new(Arc::new(host), Arc::clone(&secrets) as Arc<dyn Secrets>, dir.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Place { dir, ctx, secrets, port })
    }

    fn cluster(&self) -> PathBuf {
        self.dir.path().join("data/shop@staging/my db/cluster")
    }

    fn data(&self) -> Resource {
        let want = Want::new()
            .with("dir", self.cluster().to_str().unwrap())
            .with("superuser_password", Expr::secret("db/superuser"));
        Resource::new("db/data".parse().unwrap(), DATA, want).retained()
    }

    async fn database(&self) -> Resource {
        let programs = find_programs(self.ctx.host()).await.unwrap();
        let want = Want::new()
            .with("host", "127.0.0.1")
            .with("port", self.port)
            .with("name", "my_shop")
            .with("user", "shop")
            .with("password", Expr::secret("db/password"))
            .with("superuser_password", Expr::secret("db/superuser"))
            .with("bin_dir", programs.bin_dir.to_str().unwrap())
            .with("dir", self.cluster().to_str().unwrap());
        Resource::new("db/endpoint".parse().unwrap(), DATABASE, want).retained()
    }

    async fn observe(&self, resource: &Resource, last: Option<&Live>) -> Observed {
        Postgres::default().observe(&self.ctx, resource, last).await.unwrap()
    }

    async fn plan(&self, resource: &Resource, last: Option<&Live>) -> Result<Change> {
        let observed = Postgres::default().observe(&self.ctx, resource, last).await?;
        // As the planner does where the server is about to be started.
        let observed = match observed {
            Observed::Unknown(_) if resource.kind == DATABASE => {
                Observed::NotYet("db/server".parse().unwrap())
            }
            observed => observed,
        };
        Postgres::default().plan(&self.ctx, resource, &observed).await
    }

    /// Plans and applies, and checks that afterwards nothing is left to do.
    async fn converge(&self, resource: &Resource, last: Option<&Live>) -> Result<(Change, Option<Live>)> {
        let change = self.plan(resource, last).await?;
        let live = Postgres::default().apply(&self.ctx, &change).await.map_err(|failed| failed.error)?;
        match &live {
            Some(live) => assert_eq!(self.plan(resource, Some(live)).await?.action, Action::Keep),
            None => assert_eq!(self.observe(resource, change.prior.as_ref()).await, Observed::Absent),
        }
        Ok((change, live))
    }

    /// The cluster, made, and its server, started.
    async fn server(&self) -> (Live, Server) {
        let (_, live) = self.converge(&self.data(), None).await.unwrap();
        let live = live.unwrap();
        let server = Server::start(&live, &self.cluster(), self.port, self.dir.path()).await;
        (live, server)
    }

    async fn secret(&self, name: &str) -> Secret {
        self.secrets.get(&SecretRef(name.into())).await.unwrap().unwrap()
    }

    /// The address with its password put in, as an app gets it.
    async fn url(&self, live: &Live) -> String {
        let Expr::Text(parts) = &live.outputs["url"] else { panic!("{:?}", live.outputs["url"]) };
        let mut url = String::new();
        for part in parts {
            match part {
                Expr::Secret(name) => url += self.secret(&name.0).await.expose(),
                known => url += known.known().unwrap().as_str().unwrap(),
            }
        }
        url
    }
}

/// A server, as the keeper would start it; it is interrupted when it is dropped.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    async fn start(data: &Live, dir: &Path, port: u16, logs: &Path) -> Server {
        let output = |name: &str| data.outputs[name].known().unwrap().as_str().unwrap().to_owned();
        let log = logs.join("server.log");
        let file = fs::File::create(&log).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test starts what the keeper would")]
        let mut command = std::process::Command::new(output("program"));
        command.args(["-D", dir.to_str().unwrap(), "-p", &port.to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        if let Some((uid, gid)) = owner::of_files(&LocalHost::new(), dir).unwrap().ids {
            command.uid(uid).gid(gid);
        }
        Server { child: command.spawn().unwrap(), log }
    }

    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // SIGINT is PostgreSQL's "fast shutdown".
        let told = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        assert!(told.is_ok() || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn sql(url: &str, statement: &str) -> std::result::Result<Vec<String>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    let rows = client.simple_query(statement).await?;
    let cell = |row: &tokio_postgres::SimpleQueryMessage| match row {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(rows.iter().filter_map(cell).collect())
}

#[tokio::test]
async fn a_database_is_made_used_kept_and_deleted() {
    let Some(place) = Place::new().await else { return };
    let database = place.database().await;
    let first = place.plan(&database, None).await.unwrap();
    assert_eq!(first.action, Action::Create, "it can be planned before there is a server");
    assert!(matches!(&first.outputs["url"], Promise::Stays(Expr::Text(_))));

    let (data, mut server) = place.server().await;
    let (made, live) = place.converge(&database, None).await.unwrap();
    assert!(made.within(&first), "{:?} within {:?}", made.effects, first.effects);
    let live = live.unwrap();
    let url = place.url(&live).await;
    sql(&url, "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('kept')").await.unwrap();
    assert!(sql(&url, "SHOW password_encryption").await.unwrap() == ["scram-sha-256"]);

    for (change, last) in [(&made, &live), (&place.plan(&place.data(), None).await.unwrap(), &data)] {
        let back = change.reversal.to().unwrap();
        assert_eq!(
            place.plan(back, Some(last)).await.unwrap().action,
            Action::Keep,
            "an undo keeps the data"
        );
    }

    server.stop();
    assert!(
        matches!(place.observe(&database, Some(&live)).await, Observed::Unknown(why) if why.contains("answers"))
    );
    let mut server = Server::start(&data, &place.cluster(), place.port, place.dir.path()).await;
    // A server that is starting is waited for.
    Postgres::default().apply(&place.ctx, &first).await.unwrap();
    assert_eq!(sql(&url, "SELECT text FROM notes").await.unwrap(), ["kept"]);

    let (change, _) = place.converge(&database.gone(), Some(&live)).await.unwrap();
    assert!(matches!(change.reversal, Reversal::Irreversible(_)) && change.effects.may_destroy());
    let superuser = place.secret("db/superuser").await;
    let superuser = format!("postgres://postgres:{}@127.0.0.1:{}/postgres", superuser.expose(), place.port);
    let left = "SELECT rolname FROM pg_roles WHERE rolname = 'shop' UNION SELECT datname FROM pg_database WHERE datname = 'my_shop'";
    assert_eq!(sql(&superuser, left).await.unwrap(), [] as [&str; 0]);
    assert!(place.secrets.get(&SecretRef("db/password".into())).await.unwrap().is_none());
    server.stop();
    let (change, _) = place.converge(&place.data().gone(), Some(&data)).await.unwrap();
    assert!(matches!(change.reversal, Reversal::Irreversible(_)));
    assert!(!place.cluster().exists());
    assert_eq!(place.secrets.names(), []);
}

#[tokio::test]
async fn a_password_that_was_changed_is_seen_and_set_again() {
    let Some(place) = Place::new().await else { return };
    let (_, server) = place.server().await;
    let database = place.database().await;
    let (_, live) = place.converge(&database, None).await.unwrap();
    let live = live.unwrap();
    let old = place.url(&live).await;
    place.secrets.put(&SecretRef("db/password".into()), Secret::new("another-one.123")).await.unwrap();
    let (change, _) = place.converge(&database, Some(&live)).await.unwrap();
    assert_eq!(change.action, Action::Update);
    assert!(change.why.contains("password"), "{}", change.why);
    assert!(sql(&old, "SELECT 1").await.is_err());
    assert!(sql(&place.url(&live).await, "SELECT 1").await.is_ok());

    place.secrets.put(&SecretRef("db/password".into()), Secret::new("no good/in a url")).await.unwrap();
    assert_eq!(place.converge(&database, Some(&live)).await.unwrap_err().code(), "postgres::password");

    let log = server.log();
    let shown = serde_json::to_string(&(&change, &live)).unwrap();
    for secret in ["another-one.123", "no good/in a url", place.secret("db/superuser").await.expose()] {
        assert!(!log.contains(secret) && !shown.contains(secret), "a secret was shown");
    }
}

#[tokio::test]
async fn a_database_is_deleted_while_its_server_is_stopped() {
    let Some(place) = Place::new().await else { return };
    let (data, mut server) = place.server().await;
    let database = place.database().await;
    let (_, live) = place.converge(&database, None).await.unwrap();
    let live = live.unwrap();
    let url = place.url(&live).await;
    server.stop();
    let (change, _) = place.converge(&database.gone(), Some(&live)).await.unwrap();
    assert_eq!(change.action, Action::Delete);
    let _server = Server::start(&data, &place.cluster(), place.port, place.dir.path()).await;
    let (_, again) = place.converge(&database, None).await.unwrap();
    assert_eq!(sql(&place.url(&again.unwrap()).await, "SELECT to_regclass('notes')").await.unwrap().len(), 0);
    assert!(sql(&url, "SELECT 1").await.is_err(), "the role of before is gone, and its password");
}

#[tokio::test]
async fn another_server_on_the_port_is_not_taken_for_ours() {
    let (Some(ours), Some(theirs)) = (Place::new().await, Place::new().await) else { return };
    let (_, _server) = theirs.server().await;
    theirs.converge(&theirs.database().await, None).await.unwrap();
    let ours = Place { port: theirs.port, ..ours };
    ours.secrets.put(&SecretRef("db/superuser".into()), Secret::new("of-another-cluster")).await.unwrap();
    let database = ours.database().await;
    assert!(matches!(ours.observe(&database, None).await, Observed::Unknown(why) if why.contains("another")));
    assert_eq!(ours.converge(&database, None).await.unwrap_err().code(), "postgres::stranger");
}

#[tokio::test]
async fn what_a_crash_left_is_made_anew_and_nothing_secret_stays_behind() {
    let Some(place) = Place::new().await else { return };
    let half = place.cluster().with_file_name("cluster.new-7");
    fs::create_dir_all(half.join("base")).unwrap();
    fs::write(half.join("PG_VERSION"), "15").unwrap();
    fs::write(place.cluster().with_file_name("cluster.password"), "old").unwrap();
    place.converge(&place.data(), None).await.unwrap();
    let names = fs::read_dir(place.cluster().parent().unwrap()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["cluster"]);
    let hba = fs::read_to_string(place.cluster().join("pg_hba.conf")).unwrap();
    assert_eq!(hba, render::HBA);
    assert!(fs::read_to_string(place.cluster().join("postgresql.conf")).unwrap().ends_with(render::CONF));
}

#[tokio::test]
async fn what_somebody_still_writes_to_is_in_nobodys_way() {
    let Some(place) = Place::new().await else { return };
    let left = place.cluster().with_file_name("cluster.new-1");
    fs::create_dir_all(&left).unwrap();
    fs::create_dir_all(place.cluster().with_file_name("cluster.news")).unwrap();
    let writer = std::thread::spawn({
        let left = left.clone();
        // Until the directory is gone.
        move || (0..100_000).take_while(|n| fs::write(left.join(n.to_string()), "").is_ok()).count()
    });
    place.converge(&place.data(), None).await.unwrap();
    fs::remove_dir_all(left.with_file_name("cluster.news")).expect("it is none of ours");
    // Removed already, or not: then the writer ends here.
    let _ = fs::rename(&left, left.with_extension("gone"));
    writer.join().unwrap();
}

#[tokio::test]
async fn what_is_there_decides() {
    let Some(place) = Place::new().await else { return };
    let data = place.data();
    assert_eq!(place.observe(&data, None).await, Observed::Absent);
    fs::create_dir_all(place.cluster()).unwrap();
    assert_eq!(place.observe(&data, None).await, Observed::Absent, "an empty directory is nothing");
    fs::write(place.cluster().join("precious"), "x").unwrap();
    assert!(
        matches!(place.observe(&data, None).await, Observed::Unknown(why) if why.contains("no PostgreSQL"))
    );
    fs::write(place.cluster().join("PG_VERSION"), "9\n").unwrap();
    let Observed::Present(old) = place.observe(&data, None).await else { panic!("it is there") };
    assert!(old.drift[0].contains("PostgreSQL 9"), "{:?}", old.drift);
    assert_eq!(place.plan(&data, None).await.unwrap_err().code(), "postgres::missing");

    let elsewhere = Resource {
        want: data
            .want
            .clone()
            .map(|want| want.with("dir", place.dir.path().join("other").to_str().unwrap())),
        ..data.clone()
    };
    let seen = place.observe(&elsewhere, Some(&old)).await;
    assert!(matches!(seen, Observed::Unknown(why) if why.contains("its data is in")));
    fs::remove_dir_all(place.cluster()).unwrap();
    assert_eq!(place.observe(&data, Some(&old)).await, Observed::Absent, "a deleted directory is seen");
}

#[tokio::test]
async fn another_major_version_is_refused_and_never_made_over() {
    let Some(place) = Place::new().await else { return };
    let (change, _) = place.converge(&place.data(), None).await.unwrap();
    let programs = find_programs(place.ctx.host()).await.unwrap();
    assert_eq!(change.outputs["bin_dir"], Promise::Stays(programs.bin_dir.to_str().unwrap().into()));
    let of = |major: u32| Resource {
        want: place.data().want.map(|want| want.with("major", major.to_string())),
        ..place.data()
    };
    assert_eq!(place.plan(&of(programs.major), None).await.unwrap().action, Action::Keep);
    assert_eq!(place.plan(&of(programs.major + 1), None).await.unwrap_err().code(), "postgres::major");
    fs::remove_dir_all(place.cluster()).unwrap();
    assert_eq!(place.plan(&of(99), None).await.unwrap_err().code(), "postgres::missing");
}

#[tokio::test]
async fn a_person_gets_the_databases_own_shell() {
    let Some(place) = Place::new().await else { return };
    let (_, _server) = place.server().await;
    let (_, live) = place.converge(&place.database().await, None).await.unwrap();
    let command = connect_command(&place.ctx, &live.unwrap()).await.unwrap();
    let password = place.secret("db/password").await;
    assert!(!format!("{command:?}").contains(password.expose()));
    let command = command.args(["-Atc", "SELECT current_user || ' in ' || current_database()"]);
    let output = place.ctx.host().run(place.ctx.cancel(), command, &|_| {}).await.unwrap();
    assert_eq!(output.text().trim(), "shop in my_shop", "{}", output.tail(5));
}

#[tokio::test]
async fn a_server_that_never_comes_is_waited_for_until_the_run_is_cancelled() {
    let Some(place) = Place::new().await else { return };
    let superuser = SecretRef("db/superuser".into());
    place.secrets.put(&superuser, Secret::new("a-password")).await.unwrap();
    let change = place.plan(&place.database().await, None).await.unwrap();
    let late = place.ctx.clone().with_deadline(place.ctx.host().now());
    let failed = Postgres::default().apply(&late, &change).await.unwrap_err();
    assert_eq!(failed.error.code(), "postgres::no-answer");
    let cancelled = place.ctx.clone();
    cancelled.cancel().cancel();
    let failed = Postgres::default().apply(&cancelled, &change).await.unwrap_err();
    assert_eq!(failed.error.code(), "postgres::cancelled");
}
