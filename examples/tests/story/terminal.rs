//! A person at a terminal: asked, answering, interrupting.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::world::{Running, World, until};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// A command on a terminal of its own, and all that it showed so far.
pub(crate) struct Terminal {
    child: Running,
    keys: File,
    shown: Arc<Mutex<String>>,
    closed: Arc<AtomicBool>,
}

impl Terminal {
    pub(crate) fn open(world: &World, args: &[&str]) -> Terminal {
        Terminal::of(world.command(args), 0)
    }

    /// A terminal of so many rows; 0: it does not say.
    pub(crate) fn of(command: Command, rows: u16) -> Terminal {
        Terminal::but(command, rows, |_| {})
    }

    /// The same, but for what goes elsewhere.
    pub(crate) fn but(mut command: Command, rows: u16, elsewhere: impl FnOnce(&mut Command)) -> Terminal {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).expect("a terminal");
        unlockpt(&controller).expect("a terminal");
        let name = ptsname(&controller, Vec::new()).expect("its name").into_string().expect("text");
        let side = || File::options().read(true).write(true).open(&name).expect("its other side");
        let size = Winsize { ws_row: rows, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).expect("a size");
        command.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side());
        elsewhere(&mut command);
        let child: Child = command.spawn().expect("the binary runs");
        drop(command);
        let shown = Arc::new(Mutex::new(String::new()));
        let mut reader = File::from(rustix::io::dup(&controller).expect("a second end"));
        let closed = Arc::new(AtomicBool::new(false));
        let (seen, end) = (Arc::clone(&shown), Arc::clone(&closed));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = reader.read(&mut bytes) {
                if n == 0 {
                    break;
                }
                let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
            end.store(true, Ordering::Release);
        });
        Terminal { child: Running(child), keys: File::from(controller), shown, closed }
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that was shown, once it has ended: also what was still on its way.
    pub(crate) fn shown_whole(&self) -> String {
        until("its terminal is closed", || self.closed.load(Ordering::Acquire));
        self.shown()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        until(&format!("`{text}` is shown"), || self.shown().contains(text));
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("keys");
    }

    pub(crate) fn interrupt(&self) {
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, Signal::INT).expect("it runs");
    }

    pub(crate) fn ends(&mut self) -> ExitStatus {
        let mut ended = None;
        until("it has ended", || {
            ended = self.child.0.try_wait().expect("a child");
            ended.is_some()
        });
        ended.expect("it has ended")
    }
}

#[test]
fn no_is_the_default_and_has_an_exit_code() {
    let world = World::new();
    let mut terminal = Terminal::open(&world, &[SENTENCE]);
    terminal.wait_for("[y/N]");
    terminal.types("\n");
    assert_eq!(terminal.ends().code(), Some(11), "{}", terminal.shown());
    assert!(world.resources().is_empty());
}

#[test]
fn yes_deploys_with_bars() {
    let world = World::new();
    let mut terminal = Terminal::open(&world, &[SENTENCE]);
    terminal.wait_for("[y/N]");
    terminal.types("y\n");
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    terminal.wait_for("Deployed");
    let shown = terminal.shown();
    assert!(shown.contains("\x1b["), "bars move the cursor: {shown}");
    assert!(shown.contains("web/endpoint done"), "{shown}");
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn data_goes_only_with_its_name_typed() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&["destroy", "--yes", "-q"]);
    let mut terminal = Terminal::open(&world, &["destroy", "--delete-data", "--yes"]);
    terminal.wait_for("shop/staging` to go on");
    terminal.types("yes\n");
    assert_eq!(terminal.ends().code(), Some(11), "{}", terminal.shown());
    let mut terminal = Terminal::open(&world, &["destroy", "--delete-data"]);
    terminal.wait_for("shop/staging` to go on");
    terminal.types("shop/staging\n");
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    assert!(world.resources().is_empty());
}

#[test]
fn a_person_is_there_where_input_and_errors_are_a_terminal() {
    let world = World::new();
    for (name, elsewhere, asked) in [
        ("output", (|command| drop(command.stdout(Stdio::null()).get_args())) as fn(&mut Command), true),
        ("input", |command| drop(command.stdin(Stdio::null()).get_args()), false),
        ("errors", |command| drop(command.stderr(Stdio::null()).get_args()), false),
    ] {
        let mut terminal = Terminal::but(world.command(&[SENTENCE]), 40, elsewhere);
        if asked {
            terminal.wait_for("[y/N]");
            terminal.types("\n");
        }
        let code = terminal.ends().code();
        let shown = terminal.shown_whole();
        assert_eq!(code, Some(if asked { 11 } else { 4 }), "{name}: {shown}");
        assert_eq!(shown.contains("[y/N]"), asked, "{name}: {shown}");
    }
    assert!(world.resources().is_empty());
}

#[test]
fn nothing_of_a_step_lives_on_after_two_interrupts() {
    let world = World::new();
    world.write("web/a", "");
    let build = "build = [\"sh\", \"-c\", \"trap '' INT TERM; sleep 600 & echo begun; sleep 600\"]\n";
    world.write(
        "code.toml",
        &format!("[components.web]\nsource = \"web\"\n{build}start = [\"sleep\", \"60\"]\n"),
    );
    let mut terminal = Terminal::open(&world, &["Deploy a web app to staging", "--yes"]);
    until("its build has begun", || world.run(&["logs", "web/release"]).out.contains("begun"));
    terminal.interrupt();
    terminal.wait_for("stopping");
    terminal.interrupt();
    assert_eq!(terminal.ends().code(), Some(130), "{}", terminal.shown());
    terminal.wait_for("resume");
    until("everything of it has ended", || world.strangers().is_empty());
    world.fails(&["resume", "--roll-back"], 5, "taken back");
    assert!(world.resources().is_empty());
}

#[test]
fn an_interrupt_stops_the_run_and_says_so() {
    let world = World::new();
    world.write("Procfile", "web: sleep 600\n");
    world.settings("[components.web.health]\ntimeout_seconds = 300\n");
    let mut terminal = Terminal::open(&world, &["Deploy a web app to staging", "--yes"]);
    terminal.wait_for("started: create process");
    terminal.interrupt();
    terminal.wait_for("stopping");
    assert_eq!(terminal.ends().code(), Some(130), "{}", terminal.shown());
    let resumed = world.run(&["status"]);
    assert!([0, 10].contains(&resumed.code), "{resumed}");
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let world = World::new();
    world.write("Procfile", "web: sleep 600\n");
    world.settings("[components.web.health]\ntimeout_seconds = 15\n");
    let mut terminal = Terminal::open(&world, &["Deploy a web app to staging", "--yes"]);
    terminal.wait_for("started: create process");
    terminal.interrupt();
    terminal.wait_for("stopping");
    // It may have ended by itself already.
    let pid = Pid::from_child(&terminal.child.0);
    let _ = kill_process(pid, Signal::INT);
    assert_eq!(terminal.ends().code(), Some(130), "{}", terminal.shown());
    // Whatever was left in the middle is gone on with, or there is nothing to do.
    let resumed = world.run(&["resume"]);
    assert!([0, 5, 6, 130].contains(&resumed.code), "{resumed}");
    let again = world.run(&["resume"]);
    assert!(again.out.contains("nothing to resume"), "{again}");
}

#[test]
fn logs_follow_until_interrupted() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let mut terminal = Terminal::open(&world, &["logs", "-f", "web"]);
    terminal.wait_for("listening on");
    assert_eq!(crate::world::http(&world.url(), "GET", "/?asked-while-followed", "").0, 200);
    terminal.wait_for("GET /");
    terminal.interrupt();
    assert_eq!(terminal.ends().code(), Some(130), "{}", terminal.shown());
}
