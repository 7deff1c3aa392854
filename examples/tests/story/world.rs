//! A project, a state directory and a home of their own for one story, and the real binary to run in it.
//!
//! Everything that a story starts listens on loopback only, and is stopped at its end, also when it fails:
//! the keeper and all processes of the state directory are ended by their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The longest that any wait of a story takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One story's world.
#[derive(Debug)]
pub(crate) struct World {
    dir: TempDir,
    commands: AtomicUsize,
    /// Variables that every command has beside those of all worlds.
    more: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The usual directories, and before them that of OpenTofu, which lies elsewhere where it was built for the tests.
pub(crate) fn path() -> String {
    let usual = "/usr/local/bin:/usr/bin:/bin";
    let ours = std::env::var("PATH").unwrap_or_default();
    match ours.split(':').find(|dir| Path::new(dir).join("tofu").is_file()) {
        Some(dir) => format!("{dir}:{usual}"),
        None => usual.to_owned(),
    }
}

impl World {
    pub(crate) fn new() -> World {
        let dir = tempfile::Builder::new().prefix("code-story-").tempdir().expect("a directory");
        // As root, PostgreSQL runs as another user, who has to be able to enter.
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("permissions");
        for name in ["shop", "home"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let world = World { dir, commands: AtomicUsize::new(0), more: Vec::new() };
        fs::create_dir(world.path("json")).expect("a directory");
        // Whoever runs a command writes there: some stories have another user.
        fs::set_permissions(world.path("json"), PermissionsExt::from_mode(0o1777)).expect("permissions");
        world.settings("");
        world
    }

    /// Writes the project's settings: ports of this story's own, and what else it needs.
    pub(crate) fn settings(&self, more: &str) {
        let (web, db) = (port(), port());
        let ports = format!("[components.web]\nport = {web}\n\n[components.db]\nport = {db}\n\n");
        self.write("code.toml", &(ports + more));
    }

    /// Gives the web app's address another port in the settings.
    pub(crate) fn move_to(&self, port: u16) {
        let settings = fs::read_to_string(self.project().join("code.toml")).expect("settings");
        let old = settings.lines().find(|line| line.starts_with("port = ")).expect("a port").to_owned();
        self.write("code.toml", &settings.replacen(&old, &format!("port = {port}"), 1));
    }

    /// Gives a variable to every command.
    #[cfg(feature = "container")]
    pub(crate) fn also(&mut self, name: &str, value: &str) {
        self.more.push((name.to_owned(), value.to_owned()));
    }

    /// The project's directory; its name is the application's.
    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.project().join(".code")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    /// An app in Python: when it has done `first`, it answers with what the expression `says` is.
    pub(crate) fn python_app(&self, first: &str, says: &str) {
        self.write("Procfile", "web: python3 app.py\n");
        let text = format!(
            "import http.server, os, sys, time\n\
             {first}\
             class App(http.server.BaseHTTPRequestHandler):\n\
             \x20   def do_GET(self):\n\
             \x20       said = {says}\n\
             \x20       self.send_response(200)\n\
             \x20       self.end_headers()\n\
             \x20       self.wfile.write(said.encode())\n\
             class Server(http.server.ThreadingHTTPServer):\n\
             \x20   request_queue_size = 128\n\
             Server(('127.0.0.1', int(os.environ['PORT'])), App).serve_forever()\n"
        );
        self.write("app.py", &text);
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(&binary(), args)
    }

    /// The same, of another program.
    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.project()).env_clear();
        command.env("HOME", self.path("home")).env("PATH", path());
        command.env("COLUMNS", "100").envs(self.more.iter().cloned());
        // Every command also writes JSON, which is held against the schema at the end of the story.
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        command.env("DEPLOY_JSON_INTO", self.path("json").join(format!("{number}.jsonl")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_of(&binary(), args)
    }

    /// Runs a command that must end well.
    pub(crate) fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{ended}");
        ended
    }

    /// Runs another program to its end.
    pub(crate) fn run_of(&self, program: &Path, args: &[&str]) -> Ended {
        Ended::of(args, self.command_of(program, args).output().expect("the program runs"))
    }

    /// Runs another program, which must end well.
    pub(crate) fn ok_of(&self, program: &Path, args: &[&str]) -> Ended {
        let ended = self.run_of(program, args);
        assert_eq!(ended.code, 0, "{}: {ended}", program.display());
        ended
    }

    /// Runs a command that must end with this code and say this.
    pub(crate) fn fails(&self, args: &[&str], code: i32, says: &str) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, code, "{ended}");
        assert!(ended.err.contains(says) || ended.out.contains(says), "`{says}` is not in {ended}");
        ended
    }

    /// The one answer of a query with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let ended = self.run(&args);
        let mut lines = ended.lines();
        assert_eq!(lines.len(), 1, "{ended}");
        lines.remove(0)
    }

    /// The resources of the only deployment, as `status --json` has them.
    pub(crate) fn resources(&self) -> Vec<Value> {
        self.json(&["status"])["data"][0]["resources"].as_array().cloned().unwrap_or_default()
    }

    /// The process ids of the running web processes.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .resources()
            .iter()
            .filter(|resource| {
                resource["kind"] == "process"
                    && resource["address"].as_str().is_some_and(|a| a.starts_with("web/"))
            })
            .map(|resource| resource["outputs"]["pid"].to_string())
            .collect();
        ids.sort();
        ids
    }

    /// The stable address of the web app.
    pub(crate) fn url(&self) -> String {
        Self::address(&self.resources())
    }

    /// The same, of one deployment of several.
    pub(crate) fn url_of(&self, environment: &str) -> String {
        let status = self.json(&["status", "-e", environment]);
        Self::address(status["data"][0]["resources"].as_array().expect("resources"))
    }

    fn address(resources: &[Value]) -> String {
        let route = resources.iter().find(|resource| resource["kind"] == "route").expect("a route");
        route["outputs"]["url"].as_str().expect("an address").to_owned()
    }

    /// What a reboot leaves: nothing that runs, and no number in use.
    pub(crate) fn reboot(&self) {
        let ended = self.end_all_processes();
        until("the system has let go of what ended", || {
            ended.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        });
    }

    /// Ends every process that runs in this world's directory or names it, by its number.
    fn end_all_processes(&self) -> BTreeSet<i32> {
        let mut ended = BTreeSet::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Another look finds what a keeper started meanwhile.
        loop {
            let found = self.own_processes();
            if found.is_empty() || Instant::now() > deadline {
                return ended;
            }
            for pid in found {
                ended.insert(pid);
                kill(pid);
            }
            std::thread::yield_now();
        }
    }

    /// Every process that runs in this world's directory or names it.
    pub(crate) fn own_processes(&self) -> Vec<i32> {
        let ours = self.dir.path().as_os_str().as_encoded_bytes().to_vec();
        let is_ours = |pid: &i32| {
            let of = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let names = |bytes: Vec<u8>| bytes.windows(ours.len()).any(|part| part == ours);
            // PostgreSQL's own children write over their command and environment.
            let inside =
                fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&self.dir));
            inside || names(of("cmdline")) || names(of("environ"))
        };
        let me = std::process::id().cast_signed();
        processes().into_iter().filter(|pid| *pid != me && is_ours(pid)).collect()
    }

    /// The keepers of this world.
    pub(crate) fn keepers(&self) -> Vec<i32> {
        self.own_processes().into_iter().filter(|pid| command_line(*pid).contains("__keeper")).collect()
    }

    /// What the keeper has written down of the processes that it keeps.
    pub(crate) fn table(&self) -> Value {
        let text = fs::read(self.state().join("keeper/table.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The processes of this world that no keeper knows, by number and command: there must be none.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let table = self.table();
        let kept: BTreeSet<i64> = table["processes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| p["identity"]["pid"].as_i64())
            .collect();
        // Whoever is kept, or was started by one that is; PostgreSQL's own children lead sessions of theirs.
        let belongs = |pid: &i32| {
            std::iter::successors(Some(*pid), |pid| Some(stat(*pid)?.0).filter(|parent| *parent > 1)).any(
                |pid| {
                    kept.contains(&i64::from(pid))
                        || stat(pid).is_some_and(|(_, session)| kept.contains(&i64::from(session)))
                },
            )
        };
        let keepers = self.keepers();
        let own = self.own_processes().into_iter().filter(|pid| !keepers.contains(pid) && !belongs(pid));
        own.map(|pid| format!("{pid} {}", command_line(pid))).collect()
    }

    /// Every byte of the state directory but the keeper's own, by path.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        collect(&self.state(), &mut all);
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_all_processes();
        // A story that fails already has its own reason.
        if std::thread::panicking() {
            return;
        }
        for file in fs::read_dir(self.path("json")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).expect("JSON that was written");
            // What was killed may have stopped in the middle of a line.
            crate::schema::check(text.rsplit_once('\n').map_or("", |(whole, _)| whole));
        }
    }
}

/// A port of this test's own: no two stories of one run share one.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let offset = (std::process::id() % 40) as u16 * 40;
    std::iter::repeat_with(|| 8200 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 1600)
        .find(free)
        .expect("a free port")
}

/// What a program in Python begins with that also listens on a port which is not its own; the first of several
/// has it.
pub(crate) fn listens_too(port: u16) -> String {
    format!(
        "import socket\n\
         try:\n\
         \x20   taken = socket.create_server(('127.0.0.1', {port}))\n\
         except OSError:\n\
         \x20   pass\n"
    )
}

fn processes() -> Vec<i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // One that is dead and not yet taken away by its parent has no command any more.
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()))
        .collect()
}

/// Ends a process that may be gone already.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The parent and the session of a process (proc_pid_stat(5): fields 4 and 6).
pub(crate) fn stat(pid: i32) -> Option<(i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// What a process was started with, for a person.
pub(crate) fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn collect(dir: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "keeper" || name == "logs") {
            continue;
        }
        if path.is_dir() {
            all.insert(path.clone(), Vec::new());
            collect(&path, all);
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
}

impl Ended {
    pub(crate) fn of(args: &[&str], output: Output) -> Ended {
        Ended {
            line: args.join(" "),
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{self}")))
            .collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "deploy {} ended with {}\n--- out\n{}\n--- err\n{}",
            self.line, self.code, self.out, self.err
        )
    }
}

/// The front that cargo built beside this test.
pub(crate) fn binary() -> PathBuf {
    example("deploy")
}

/// The example of this name that cargo built beside this test.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let target = test.parent().and_then(Path::parent).expect("a target directory");
    let binary = target.join("examples").join(name);
    assert!(
        binary.is_file(),
        "{} is missing: cargo builds it with `cargo test -p examples`",
        binary.display()
    );
    binary
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// An answer over HTTP: its status and its body.
pub(crate) fn http(url: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    try_http(url, method, path, body).unwrap_or_else(|error| panic!("{method} {url}{path}: {error}"))
}

/// The same, where nothing may answer.
pub(crate) fn try_http(url: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let host = url.strip_prefix("http://").expect("http").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let form = "application/x-www-form-urlencoded";
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: {host}\r\norigin: http://{host}\r\nconnection: close\r\n\
         content-type: {form}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// A child that is ended when the story ends.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already: that is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
