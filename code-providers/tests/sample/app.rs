//! The app as a child process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use code_providers::sample::ARGUMENT;

/// Long enough for a slow machine; nothing waits for it but a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct App {
    child: Mutex<Child>,
    pub(crate) port: u16,
    /// Held open, so that the app can go on writing its log.
    _log: BufReader<ChildStdout>,
}

fn command(env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(ARGUMENT).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs the app to its end: its exit code and its log.
pub(crate) fn run(env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = command(env).spawn().unwrap();
    let mut log = String::new();
    child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    (child.wait().unwrap().code(), log)
}

impl App {
    /// Starts the app on a port of the system's choice, which it says in its first line.
    pub(crate) fn start(env: &[(&str, &str)]) -> App {
        let mut child = command(env).env("PORT", "0").spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(',').next());
        let port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"));
        App { child: Mutex::new(child), port, _log: log }
    }

    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child.lock().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    pub(crate) fn wait_until(&self, what: &str, is: impl Fn(&App) -> bool) {
        let begun = Instant::now();
        while !is(self) {
            assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end: its exit code.
    pub(crate) fn ended(&self) -> Option<i32> {
        self.wait_until("it ends", |app| app.child.lock().unwrap().try_wait().unwrap().is_some());
        self.child.lock().unwrap().wait().unwrap().code()
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn end(self) -> Option<i32> {
        self.terminate();
        self.ended()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        drop(child.kill());
        drop(child.wait());
    }
}
