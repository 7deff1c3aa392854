//! A real Docker daemon for tests: private, and gone with them.
//!
//! ```text
//! test program ── a thread that lives as long ── setpriv --pdeathsig ──▶ unshare --pid --mount ──▶ dockerd
//!                                                                        its whole world ends with it: containers,
//!                                                                        their processes, all that it mounted
//! ```
//!
//! Its socket, its data and its images are its own; it filters no packets, and its networks are ordinary bridges. It has
//! no way to a registry but [`Daemon::registry`], so that tests make their images here.
#![expect(clippy::disallowed_methods, reason = "it starts what tests need, outside of any engine")]

mod postgres;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a daemon may take on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// How the folders of daemons are called, before the number of their program.
const PREFIX: &str = "code-test-daemon-";
/// Names the socket of a daemon that is there already.
pub const JOIN: &str = "CODE_TEST_DOCKER";
/// The image that every daemon has: busybox, nothing else.
pub const BUSYBOX: &str = "test/busybox:1";

/// A daemon that answers.
#[derive(Debug)]
pub struct Daemon {
    dir: PathBuf,
    socket: PathBuf,
    pid: u32,
    registry: Mutex<Option<u16>>,
}

impl Daemon {
    /// The daemon of this program, started by whoever asks first; `None`, and said so, where its programs are not
    /// here.
    pub fn get(what: &str) -> Option<&'static Daemon> {
        static DAEMON: OnceLock<Result<Daemon, String>> = OnceLock::new();
        match DAEMON.get_or_init(|| Daemon::joined().unwrap_or_else(Daemon::start)) {
            Ok(daemon) => Some(daemon),
            Err(why) => {
                println!("skipped: {what}: {why}");
                None
            }
        }
    }

    /// The daemon that [`JOIN`] names: Podman, for example.
    fn joined() -> Option<Result<Daemon, String>> {
        let socket = PathBuf::from(std::env::var_os(JOIN)?);
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}-joined", std::process::id()));
        let daemon = Daemon { dir, socket, pid: std::process::id(), registry: Mutex::default() };
        let made = fs::create_dir_all(&daemon.dir).map_err(|error| error.to_string());
        let image = made.and_then(|()| daemon.import(BUSYBOX, &busybox(&daemon.dir)?, "[]"));
        Some(image.map(|()| daemon))
    }

    /// Another daemon, for a test that stops or breaks it. It lives as long as this program.
    ///
    /// # Errors
    /// What is missing, or did not answer in time.
    pub fn start() -> Result<Daemon, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        is_here()?;
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}-{nth}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        let (tell, told) = channel();
        // The daemon dies with the thread that started it: it waits for the end of the program.
        let place = dir.clone();
        thread::spawn(move || {
            let _ = tell.send(spawn(&place).map(|child| child.id()));
            loop {
                thread::park();
            }
        });
        let pid = told.recv().map_err(|_| "the daemon could not be started".to_owned())??;
        let socket = dir.join("d.sock");
        let daemon = Daemon { dir, socket, pid, registry: Mutex::default() };
        daemon.wait()?;
        daemon.import(BUSYBOX, &busybox(&daemon.dir)?, "[]")?;
        Ok(daemon)
    }

    /// Its address, as DOCKER_HOST takes it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// A folder of its own, which goes with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it answers, with its status; 0 where it does not.
    pub fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut curl = self.curl(method, path);
        curl.args(["--header", "Content-Type: application/json"]);
        if !body.is_empty() {
            curl.args(["--data-binary", body]);
        }
        answer(curl)
    }

    /// What there is at a path; empty where there is nothing.
    pub fn read(&self, path: &str) -> String {
        match self.call("GET", path, "") {
            (200, body) => body,
            _ => String::new(),
        }
    }

    /// Asks for something that must go well.
    ///
    /// # Panics
    /// Where it does not.
    pub fn ok(&self, method: &str, path: &str, body: &str) -> String {
        let (status, said) = self.call(method, path, body);
        assert!((200..400).contains(&status) || status == 404, "{method} {path}: {status} {said}");
        said
    }

    /// Makes an image of the files below `root`, started with `cmd` (a JSON list).
    ///
    /// # Errors
    /// What the daemon or `tar` objects.
    pub fn import(&self, name: &str, root: &Path, cmd: &str) -> Result<(), String> {
        let archive = self.dir.join("image.tar");
        let packed = Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg(".").status();
        if !packed.is_ok_and(|status| status.success()) {
            return Err(format!("{} cannot be packed", root.display()));
        }
        let mut path = format!("/images/create?fromSrc=-&repo={name}");
        if cmd != "[]" {
            path += &format!(
                "&changes=CMD%20{}",
                cmd.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D")
            );
        }
        let mut curl = self.curl("POST", &path);
        curl.args(["--header", "Content-Type: application/x-tar"]).arg("--upload-file").arg(&archive);
        let (status, said) = answer(curl);
        let _ = fs::remove_file(&archive);
        if status == 200 && !said.contains("\"error\"") { Ok(()) } else { Err(format!("{status} {said}")) }
    }

    /// The address of a registry (`127.0.0.1:PORT`) that this daemon may use, started when it is first asked for.
    ///
    /// # Errors
    /// Where it is not on this machine, or did not answer in time.
    pub fn registry(&self) -> Result<String, String> {
        let mut port = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = *port {
            return Ok(format!("127.0.0.1:{port}"));
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let free = free.map_err(|error| error.to_string())?.port();
        let settings = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{free}\n",
            self.dir.join("registry").display()
        );
        let file = self.dir.join("registry.yml");
        fs::write(&file, settings).map_err(|error| error.to_string())?;
        let log = File::create(self.dir.join("registry.log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        thread::spawn(move || {
            let mut command = dying(Command::new("docker-registry"));
            let started = command.arg("serve").arg(file).stdout(log).stderr(errors).spawn();
            let _kept = started;
            loop {
                thread::park();
            }
        });
        let address = format!("127.0.0.1:{free}");
        let begun = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            if begun.elapsed() > READY {
                return Err(
                    "the registry does not answer; `apt-get install docker-registry` brings it".to_owned()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        *port = Some(free);
        Ok(address)
    }

    /// An image with this machine's PostgreSQL, which is started as the official one is: by `PGDATA`, `POSTGRES_USER`,
    /// `POSTGRES_DB` and `POSTGRES_PASSWORD_FILE`.
    ///
    /// # Errors
    /// Where PostgreSQL is not here, or cannot be copied.
    pub fn postgres(&self) -> Result<&'static str, String> {
        const NAME: &str = "test/postgres:1";
        // Who comes second waits for the first.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let root = self.dir.join("postgres");
        if root.exists() {
            return Ok(NAME);
        }
        postgres::root(&busybox(&self.dir)?, &root)?;
        self.import(NAME, &root, "[\"/entry\"]").map(|()| NAME)
    }

    /// Pushes an image that is here to a registry under another name, which is not here afterwards.
    ///
    /// # Errors
    /// What the daemon objects.
    pub fn push(&self, image: &str, to: &str) -> Result<(), String> {
        let (name, tag) = to.rsplit_once(':').unwrap_or((to, "latest"));
        self.ok("POST", &format!("/images/{image}/tag?repo={name}&tag={tag}"), "");
        let mut curl = self.curl("POST", &format!("/images/{name}/push?tag={tag}"));
        // A push needs a header for who pushes, also where nobody is asked.
        curl.args(["--header", "X-Registry-Auth: e30="]);
        let (status, said) = answer(curl);
        self.ok("DELETE", &format!("/images/{to}"), "");
        if status == 200 && said.contains("digest:") { Ok(()) } else { Err(format!("{status} {said}")) }
    }

    /// Takes all containers and networks away: bridges of this machine would stay.
    pub fn clear(&self) {
        for (list, one) in [
            ("/containers/json?all=1", "/containers/ID?force=1"),
            ("/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D", "/networks/ID"),
        ] {
            for part in self.read(list).split("\"Id\":\"").skip(1) {
                let id = part.split('"').next().unwrap_or_default();
                let _ = self.call("DELETE", &one.replace("ID", id), "");
            }
        }
    }

    /// Stops answering, and keeps connections open; until [`Daemon::thaw`].
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Answers again.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Ends it at once, with everything that runs in it.
    pub fn kill(&self) {
        let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
    }

    fn signal(&self, name: &str) {
        // The daemon is the child of what made its namespaces.
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        for pid in fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").args([&format!("-{name}"), pid]).status();
        }
    }

    fn curl(&self, method: &str, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "120", "--write-out", "\n%{http_code}", "--unix-socket"]);
        curl.arg(self.socket()).args(["--request", method]).arg(format!("http://docker{path}"));
        curl
    }

    fn wait(&self) -> Result<(), String> {
        let begun = Instant::now();
        while self.call("GET", "/_ping", "").0 != 200 {
            let gone = !Path::new("/proc").join(self.pid.to_string()).join("exe").exists();
            if gone || begun.elapsed() > READY {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                return Err(format!("dockerd does not answer: {}", last.join(" / ")));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Whether everything that a daemon needs is here, and may be used.
///
/// # Errors
/// What is not, and how to get it.
pub fn is_here() -> Result<(), String> {
    programs_are_here()?;
    let id = Command::new("id").arg("-u").output().map_err(|error| error.to_string())?;
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return Err("a private dockerd needs root".to_owned());
    }
    Ok(())
}

/// Whether the programs of [`PROGRAMS`] are here.
///
/// # Errors
/// Which is not, and what brings it.
pub fn programs_are_here() -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect();
    for (program, package) in PROGRAMS {
        if !places.iter().any(|dir| dir.join(program).is_file()) {
            return Err(format!("`{program}` is not here; `apt-get install {package}` brings it"));
        }
    }
    Ok(())
}

/// What a daemon is made of and with, and the Debian packages that bring it.
pub const PROGRAMS: [(&str, &str); 8] = [
    ("dockerd", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("busybox", "busybox-static"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("curl", "curl"),
    ("tar", "tar"),
    ("ip", "iproute2"),
];

/// A command that is killed when the thread that starts it ends.
fn dying(command: Command) -> Command {
    let mut dying = Command::new("setpriv");
    dying.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    dying.stdin(Stdio::null());
    dying
}

fn spawn(dir: &Path) -> Result<Child, String> {
    let log = File::create(dir.join("log")).map_err(|error| error.to_string())?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--", "/usr/sbin/dockerd"]);
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        command.arg(option).arg(dir.join(name));
    }
    command.arg("--host").arg(format!("unix://{}", dir.join("d.sock").display()));
    dying(command).stdout(log).stderr(errors).spawn().map_err(|error| format!("dockerd: {error}"))
}

/// The file system of an image that has busybox, and a page.
fn busybox(dir: &Path) -> Result<PathBuf, String> {
    let root = dir.join("busybox");
    let make = || -> std::io::Result<()> {
        for folder in ["bin", "etc", "tmp", "www", "proc", "sys", "dev"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let program = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).is_file());
        fs::copy(program.unwrap_or(&"/bin/busybox"), root.join("bin/busybox"))?;
        let names = Command::new("busybox").arg("--list").output()?.stdout;
        for name in String::from_utf8_lossy(&names).lines().filter(|name| *name != "busybox") {
            let link = root.join("bin").join(name);
            if !link.exists() {
                std::os::unix::fs::symlink("busybox", link)?;
            }
        }
        fs::write(root.join("www/index.html"), "ok\n")?;
        let mut users = File::create(root.join("etc/passwd"))?;
        users.write_all(b"root:x:0:0:root:/:/bin/sh\napp:x:1001:1001:app:/:/bin/sh\n")
    };
    make().map(|()| root.clone()).map_err(|error| format!("busybox: {error}"))
}

fn answer(mut curl: Command) -> (u16, String) {
    let Ok(done) = curl.output() else { return (0, String::new()) };
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    match text.rsplit_once('\n') {
        Some((body, status)) => (status.trim().parse().unwrap_or(0), body.to_owned()),
        None => (0, text),
    }
}

/// Removes what killed programs left.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
