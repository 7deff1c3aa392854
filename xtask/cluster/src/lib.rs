//! A real cluster for tests: etcd, API server, controller manager and scheduler, and nodes that kwok plays.
//!
//! ```text
//! test program ── a thread that lives as long ── setpriv --pdeathsig ──▶ etcd, kube-apiserver, …
//!      │                                                                   each dies with that thread
//!      └── CODE_TEST_KUBECONFIG is set? then the cluster that it names is used, and nothing is started
//! ```
//!
//! Whatever ends the program, a kill included, ends its cluster: no process of it outlives its parent. It has only
//! the standard library, so that a chore of the project can use it as well. `cargo xtask test` starts one for all test
//! programs; each has a namespace of its own in it.
#![expect(clippy::disallowed_methods, reason = "it starts what tests need, outside of any engine")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The version of the control plane; `cargo xtask kubernetes` builds it.
pub const KUBERNETES: &str = "1.33.4";
/// The version of kwok.
pub const KWOK: &str = "0.8.0";
/// Names a kubeconfig of a cluster that is there already.
pub const JOIN: &str = "CODE_TEST_KUBECONFIG";

/// How long the API server may take on a busy machine.
const READY: Duration = Duration::from_secs(120);
/// How many nodes are played.
const NODES: u32 = 2;
/// The token of a user who may do everything.
const ADMIN: &str = "admin-token-of-a-test";
/// The token of a user who may do nothing.
const NOBODY: &str = "nobody-token-of-a-test";

/// A cluster that answers.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    address: String,
    begun_in: Option<Duration>,
}

impl Cluster {
    /// The cluster of this program, started by whoever asks first; `None`, and said so, where its programs are
    /// not here.
    pub fn get(what: &str) -> Option<&'static Cluster> {
        static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let first = || {
            let begun = joined().map_or_else(start, Ok);
            let figure = begun.as_ref().ok().and_then(Cluster::figure);
            figure.iter().for_each(|figure| println!("figure: {figure}"));
            begun
        };
        match CLUSTER.get_or_init(first) {
            Ok(cluster) => Some(cluster),
            Err(why) => {
                println!("skipped: {what}: {why}");
                None
            }
        }
    }

    /// How long it took, where it was started here.
    pub fn figure(&self) -> Option<String> {
        let seconds = self.begun_in?.as_secs_f64();
        Some(format!("a real cluster from nothing to {NODES} ready nodes: {seconds:.1} s"))
    }

    /// The kubeconfig of a user who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// A kubeconfig with another token and address, in a file of its own.
    pub fn kubeconfig_for(&self, name: &str, address: Option<&str>, token: &str) -> PathBuf {
        let path = self.dir.join(format!("kubeconfig-{name}"));
        let text = kubeconfig(&self.dir, address.unwrap_or(&self.address), token);
        assert!(fs::write(&path, text).is_ok(), "{} cannot be written", path.display());
        path
    }

    /// The kubeconfig of a user who may do nothing.
    pub fn nobody(&self) -> PathBuf {
        self.kubeconfig_for("nobody", None, NOBODY)
    }

    /// The token of the user who may do everything.
    pub fn admin_token(&self) -> &'static str {
        ADMIN
    }

    /// `https://127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate of who signed the server's.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// A namespace of a test's own; with `restricted`, pods that ask for more than that are refused in it.
    pub fn namespace(&self, name: &str, restricted: bool) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let level = if restricted { "restricted" } else { "privileged" };
        self.make(
            "/api/v1/namespaces",
            &format!(
                r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}","labels":{{"pod-security.kubernetes.io/enforce":"{level}"}}}}}}"#
            ),
        );
        name
    }

    /// What a path of the API answers, and its status.
    pub fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        call(&self.dir, &self.address, method, path, kind, body)
    }

    /// What a path of the API holds; empty where it holds nothing.
    pub fn read(&self, path: &str) -> String {
        match self.call("GET", path, "application/json", "") {
            (200, body) => body,
            _ => String::new(),
        }
    }

    /// Makes an object, behind everybody's back.
    pub fn make(&self, path: &str, object: &str) {
        let (status, body) = self.call("POST", path, "application/json", object);
        assert!(matches!(status, 201 | 409), "{path}: {status} {body}");
    }

    /// Changes an object, as somebody else would.
    pub fn patch(&self, path: &str, patch: &str) {
        let (status, body) = self.call(
            "PATCH",
            &format!("{path}?fieldManager=somebody"),
            "application/merge-patch+json",
            patch,
        );
        assert_eq!(status, 200, "{path}: {body}");
    }

    /// Deletes an object.
    pub fn delete(&self, path: &str) {
        let (status, body) = self.call("DELETE", path, "application/json", "");
        assert!(matches!(status, 200 | 202 | 404), "{path}: {status} {body}");
    }
}

fn joined() -> Option<Cluster> {
    let kubeconfig = PathBuf::from(std::env::var_os(JOIN)?);
    let text = fs::read_to_string(&kubeconfig).ok()?;
    let address = text.split("server: \"").nth(1)?.split('"').next()?.to_owned();
    Some(Cluster { dir: kubeconfig.parent()?.to_owned(), address, begun_in: None })
}

/// Where tools lie that take long to build: outside of the checkout, in a folder for each version.
pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map_or_else(home, PathBuf::from)
        .join("code-ci")
}

/// The program of a name in the cache or on the machine.
fn program(name: &str) -> Result<PathBuf, String> {
    let mut places =
        vec![cache().join(format!("kubernetes-{KUBERNETES}/bin")), cache().join(format!("kwok-{KWOK}/bin"))];
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.iter().map(|dir| dir.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        let built = name.starts_with("k");
        let brings = if built { "cargo xtask kubernetes" } else { "cargo xtask test` as root, or `apt-get" };
        format!("`{name}` is not here; `{brings}` brings it")
    })
}

/// The programs that a cluster is made of and with.
const PROGRAMS: [&str; 8] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "setpriv",
    "openssl",
    "curl",
];

/// Whether everything that a cluster needs is here.
///
/// # Errors
/// What is not, and how to get it.
pub fn is_here() -> Result<(), String> {
    PROGRAMS.iter().try_for_each(|name| program(name).map(drop))?;
    stages().map(drop)
}

/// Starts a cluster that lives as long as this program.
///
/// # Errors
/// What is missing, or did not answer in time.
pub fn start() -> Result<Cluster, String> {
    sweep();
    is_here()?;
    let begun = Instant::now();
    let dir = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let (tell, told) = channel();
    // The processes die with the thread that started them: it waits for the end of the program.
    let keeper = dir.clone();
    thread::spawn(move || {
        run(&keeper, &tell);
        loop {
            thread::park();
        }
    });
    let address = told.recv().map_err(|_| "the cluster could not be started".to_owned())??;
    Ok(Cluster { dir, address, begun_in: Some(begun.elapsed()) })
}

const PREFIX: &str = "code-test-cluster-";

/// Removes what killed programs left.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn run(dir: &Path, tell: &Sender<Result<String, String>>) {
    let _ = tell.send(bring_up(dir));
}

fn bring_up(dir: &Path) -> Result<String, String> {
    certificates(dir)?;
    let [etcd, peer, api, kwok] = free_ports().map_err(|error| error.to_string())?;
    let address = format!("https://127.0.0.1:{api}");
    write(dir, "tokens.csv", &format!("{ADMIN},admin,admin,\"system:masters\"\n{NOBODY},nobody,nobody\n"))?;
    write(dir, "kubeconfig", &kubeconfig(dir, &address, ADMIN))?;
    write(dir, "stages.yaml", &stages()?)?;
    let at = |port: u16| format!("http://127.0.0.1:{port}");
    spawn(
        dir,
        "etcd",
        &[
            "--data-dir=etcd".into(),
            "--unsafe-no-fsync".into(),
            format!("--listen-client-urls={}", at(etcd)),
            format!("--advertise-client-urls={}", at(etcd)),
            format!("--listen-peer-urls={}", at(peer)),
            format!("--initial-advertise-peer-urls={}", at(peer)),
            format!("--initial-cluster=default={}", at(peer)),
        ],
    )?;
    spawn(
        dir,
        "kube-apiserver",
        &[
            format!("--etcd-servers={}", at(etcd)),
            format!("--secure-port={api}"),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            "--tls-cert-file=api.crt".into(),
            "--tls-private-key-file=api.key".into(),
            "--token-auth-file=tokens.csv".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--service-account-key-file=sa.key".into(),
            "--service-account-signing-key-file=sa.key".into(),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--authorization-mode=RBAC".into(),
            "--profiling=false".into(),
        ],
    )?;
    let begun = Instant::now();
    while call(dir, &address, "GET", "/readyz", "application/json", "").0 != 200 {
        if begun.elapsed() > READY {
            let log = fs::read_to_string(dir.join("kube-apiserver.log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            return Err(format!("the API server is not ready: {}", last.join(" / ")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let common = [
        "--kubeconfig=kubeconfig",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
    .map(String::from);
    let mut manager = common.to_vec();
    manager.extend(["--service-account-private-key-file=sa.key".into(), "--root-ca-file=ca.crt".into()]);
    // A busy machine may be late with a lease, too.
    manager.push("--node-monitor-grace-period=10m".into());
    spawn(dir, "kube-controller-manager", &manager)?;
    spawn(dir, "kube-scheduler", &common)?;
    spawn(
        dir,
        "kwok",
        &[
            "--config=stages.yaml".into(),
            "--kubeconfig=kubeconfig".into(),
            "--manage-all-nodes=true".into(),
            // Without a lease of its own a node counts as gone after 50 seconds, and its pods are never ready again:
            // no kubelet says so.
            "--node-lease-duration-seconds=40".into(),
            format!("--server-address=127.0.0.1:{kwok}"),
        ],
    )?;
    let post = |path: &str, object: &str| match call(dir, &address, "POST", path, "application/json", object)
    {
        (201 | 409, _) => Ok(()),
        (status, body) => Err(format!("{path}: {status} {body}")),
    };
    for nth in 0..NODES {
        let node = format!(
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"kwok-{nth}","labels":{{"kubernetes.io/hostname":"kwok-{nth}","kubernetes.io/os":"linux","type":"kwok"}},"annotations":{{"kwok.x-k8s.io/node":"fake"}}}},"status":{{"allocatable":{{"cpu":"64","memory":"256Gi","pods":"1000"}},"capacity":{{"cpu":"64","memory":"256Gi","pods":"1000"}}}}}}"#
        );
        post("/api/v1/nodes", &node)?;
    }
    post(
        "/apis/storage.k8s.io/v1/storageclasses",
        r#"{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"kwok-volume","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"kwok.x-k8s.io/volume","reclaimPolicy":"Delete"}"#,
    )?;
    let begun = Instant::now();
    let ready = |nth: u32| {
        let (_, node) =
            call(dir, &address, "GET", &format!("/api/v1/nodes/kwok-{nth}"), "application/json", "");
        node.contains("\"KubeletReady\"") || node.contains("kubelet is posting ready status")
    };
    let account = || {
        call(
            dir,
            &address,
            "GET",
            "/api/v1/namespaces/default/serviceaccounts/default",
            "application/json",
            "",
        )
        .0 == 200
    };
    while !(0..NODES).all(ready) || !account() {
        if begun.elapsed() > READY {
            return Err("the nodes are not ready".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(address)
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), String> {
    fs::write(dir.join(name), text).map_err(|error| format!("{name}: {error}"))
}

/// Keys and certificates, all of them good for this directory only.
fn certificates(dir: &Path) -> Result<(), String> {
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default";
    write(dir, "names", names)?;
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let mut of_ca = vec![
        "req",
        "-x509",
        "-days",
        "30",
        "-subj",
        "/CN=code-test-ca",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    ];
    of_ca.extend(key);
    let mut of_api = vec!["req", "-subj", "/CN=kube-apiserver", "-keyout", "api.key", "-out", "api.csr"];
    of_api.extend(key);
    let sign = [
        "x509",
        "-req",
        "-in",
        "api.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-out",
        "api.crt",
        "-extfile",
        "names",
    ];
    for args in [
        &["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "sa.key"][..],
        &of_ca,
        &of_api,
        &sign,
    ] {
        let done = Command::new("openssl")
            .args(args)
            .current_dir(dir)
            .output()
            .map_err(|error| error.to_string())?;
        if !done.status.success() {
            return Err(format!("openssl {}: {}", args[0], String::from_utf8_lossy(&done.stderr)));
        }
    }
    Ok(())
}

fn kubeconfig(dir: &Path, address: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: t, cluster: {{server: \"{address}\", certificate-authority: \"{}\"}}}}]\nusers: [{{name: u, user: {{token: \"{token}\"}}}}]\ncontexts: [{{name: t, context: {{cluster: t, user: u}}}}]\ncurrent-context: t\n",
        dir.join("ca.crt").display()
    )
}

/// What kwok plays: nodes that are ready, pods that run at once, volumes that are there; and an image whose tag is
/// `bad` is never pulled.
fn stages() -> Result<String, String> {
    const FILES: [&str; 9] = [
        "node/fast/node-initialize.yaml",
        "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
        "pod/fast/pod-ready.yaml",
        "pod/fast/pod-complete.yaml",
        "pod/fast/pod-delete.yaml",
        "volume/fast/pvc-provision.yaml",
        "volume/fast/pv-bind.yaml",
        "volume/fast/pvc-delete.yaml",
        "volume/fast/pv-delete.yaml",
    ];
    let dir = cache().join(format!("kwok-{KWOK}/stage"));
    let mut all = String::new();
    for file in FILES {
        let text = fs::read_to_string(dir.join(file))
            .map_err(|error| format!("{file}: {error}; `cargo xtask kubernetes` brings it"))?;
        let text = match file.ends_with("pod-ready.yaml") {
            true => text.replacen("matchExpressions:\n", "matchExpressions:\n    - {key: '.spec.containers.[] | select( .image | endswith(\":bad\") ) | .name', operator: DoesNotExist}\n", 1),
            false => text,
        };
        all.push_str("---\n");
        all.push_str(&text);
        all.push('\n');
    }
    all.push_str(BAD_IMAGE);
    Ok(all)
}

const BAD_IMAGE: &str = r#"---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-image-pull-backoff}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Pending]}
    - {key: '.spec.containers.[] | select( .image | endswith(":bad") ) | .name', operator: Exists}
    - {key: '.status.containerStatuses', operator: DoesNotExist}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: PodScheduled}
      - {lastTransitionTime: {{ $now | Quote }}, status: "False", type: Ready, reason: ContainersNotReady}
      - {lastTransitionTime: {{ $now | Quote }}, status: "False", type: ContainersReady, reason: ContainersNotReady}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        state: {waiting: {reason: ImagePullBackOff, message: "Back-off pulling image"}}
      {{ end }}
      phase: Pending
      startTime: {{ $now | Quote }}
"#;

fn free_ports() -> std::io::Result<[u16; 4]> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    // All are held at once, so that no two are the same.
    let held = [bind()?, bind()?, bind()?, bind()?];
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Starts a program that is killed when the thread that started it ends.
fn spawn(dir: &Path, name: &str, args: &[String]) -> Result<(), String> {
    let log = File::create(dir.join(format!("{name}.log"))).map_err(|error| error.to_string())?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program(name)?).args(args).current_dir(dir);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().map(drop).map_err(|error| format!("{name}: {error}"))
}

/// One call of the API, by a user who may do everything: the status, 0 where nobody answers, and the body.
fn call(dir: &Path, address: &str, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--max-time",
        "30",
        "--write-out",
        "\n%{http_code}",
        "--request",
        method,
        "--cacert",
        "ca.crt",
    ]);
    curl.args([
        "--header",
        &format!("Authorization: Bearer {ADMIN}"),
        "--header",
        &format!("Content-Type: {kind}"),
    ]);
    if !body.is_empty() {
        curl.args(["--data-binary", body]);
    }
    let Ok(done) = curl.arg(format!("{address}{path}")).current_dir(dir).output() else {
        return (0, String::new());
    };
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (status.parse().unwrap_or(0), body.to_owned())
}
