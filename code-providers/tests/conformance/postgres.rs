//! PostgreSQL: clusters, and databases in one server that all cases share.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Live, Observed, Resource};
use code_core::{Ctx, Digest, Expr, Host, Provider, Want};
use code_providers::postgres::{DATA, DATABASE, Postgres, find_programs};
use tempfile::TempDir;

const SUPERUSER: &str = "sample/superuser";
const PASSWORD: &str = "a-superuser-0123456789";

/// Whether its programs are here; says so where they are not, which is a failure in CI.
pub(crate) fn is_here() -> bool {
    let found = runtime().block_on(find_programs(&LocalHost::new())).is_some();
    if !found {
        println!("skipped: PostgreSQL keeps the contract: no programs on this machine");
    }
    found
}

pub(crate) fn data() -> Suite {
    let sample = Sample::new(|scene| cluster(scene.address(), &scene.path("cluster")))
        .disturb(|_, scene, _| std::fs::remove_dir_all(scene.path("cluster")).unwrap())
        .patience(Duration::from_secs(300))
        .stops(1);
    conformance::provider(|| Arc::new(Postgres::default()), &sample).named("postgres.data")
}

fn cluster(address: code_core::Address, dir: &str) -> Resource {
    let want = Want::new().with("dir", dir).with("superuser_password", Expr::secret(SUPERUSER));
    Resource::new(address, DATA, want).retained()
}

pub(crate) fn database() -> Suite {
    let sample = Sample::new(database_of)
        .disturb(|_, scene, _| {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", name(scene));
            tokio::runtime::Handle::current().block_on(sql(&drop));
        })
        .secret(SUPERUSER, PASSWORD)
        .patience(Duration::from_secs(300))
        .stops(4);
    conformance::provider(|| Arc::new(Postgres::default()), &sample).named("postgres.database")
}

fn database_of(scene: &Scene) -> Resource {
    let (port, dir) = server();
    let programs = bin_dir();
    let want = Want::new()
        .with("host", "127.0.0.1")
        .with("port", port)
        .with("name", name(scene))
        .with("user", name(scene))
        .with("password", Expr::secret("sample/password"))
        .with("superuser_password", Expr::secret(SUPERUSER))
        .with("bin_dir", programs)
        .with("dir", dir);
    Resource::new(scene.address(), DATABASE, want).retained()
}

/// A database of the scene's own, in the server of all.
fn name(scene: &Scene) -> String {
    format!("s{}", &Digest::of(scene.dir().as_os_str().as_encoded_bytes()).to_string()[..16])
}

/// The server of all cases: it is started by the first that needs it.
struct Server {
    _dir: TempDir,
    child: Child,
    port: u16,
    cluster: PathBuf,
    bin_dir: String,
}

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

fn server() -> (u16, String) {
    let mut server = SERVER.lock().unwrap();
    let server = server.get_or_insert_with(|| {
        // A case may call from within a runtime, in which no other one can wait.
        std::thread::spawn(|| runtime().block_on(start())).join().unwrap()
    });
    (server.port, server.cluster.display().to_string())
}

fn bin_dir() -> String {
    SERVER.lock().unwrap().as_ref().map(|server| server.bin_dir.clone()).unwrap_or_default()
}

async fn start() -> Server {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let cluster_dir = dir.path().join("cluster");
    let secrets = MemorySecrets::new().with(SUPERUSER, PASSWORD);
    let ctx = Ctx::new(Arc::new(LocalHost::new()), Arc::new(secrets), dir.path());
    let resource = cluster("db/data".parse().unwrap(), cluster_dir.to_str().unwrap());
    let postgres = Postgres::default();
    let change = postgres.plan(&ctx, &resource, &Observed::Absent).await.unwrap();
    let live = postgres.apply(&ctx, &change).await.unwrap().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = serve(&live, &cluster_dir, port);
    let bin_dir = output(&live, "bin_dir");
    Server { _dir: dir, child, port, cluster: cluster_dir, bin_dir }
}

fn output(live: &Live, name: &str) -> String {
    live.outputs[name].known().unwrap().as_str().unwrap().to_owned()
}

fn serve(live: &Live, cluster: &std::path::Path, port: u16) -> Child {
    let mut command = Command::new(output(live, "program"));
    command.args(["-D", cluster.to_str().unwrap(), "-p", &port.to_string(), "-k", ""]);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let owner = std::fs::metadata(cluster).map(|meta| {
        use std::os::unix::fs::MetadataExt;
        (meta.uid(), meta.gid())
    });
    if let Ok((uid, gid)) = owner
        && LocalHost::new().user() == "root"
    {
        command.uid(uid).gid(gid);
    }
    command.spawn().unwrap()
}

async fn sql(statement: &str) {
    let (port, _) = server();
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
}

/// Stops the server, where one was started.
pub(crate) fn stop() {
    if let Some(mut server) = SERVER.lock().unwrap().take() {
        let pid = rustix::process::Pid::from_child(&server.child);
        // SIGINT is PostgreSQL's "fast shutdown".
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        server.child.wait().unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
