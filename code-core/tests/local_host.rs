//! The host of this machine, on real processes.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use code_core::host::{Command, Output, Tie};
use code_core::local::LocalHost;
use code_core::{Error, Host, Secret};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs a command that nobody cancels.
async fn run(command: Command) -> Result<Output, Error> {
    LocalHost::new().run(&CancellationToken::new(), command, &|_| {}).await
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// Whether a process runs: a dead one that nobody has reaped yet does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A host that does not wait long for what ignores its interrupt, as background jobs of a shell do.
fn impatient() -> LocalHost {
    LocalHost::new().with_grace(Duration::from_millis(200))
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_gets_its_arguments_its_input_and_nothing_else() {
    let output = run(Command::new("printf").args(["%s|", "a b", "$(id)", "-n"])).await.unwrap();
    assert_eq!((output.code, output.text().as_str()), (Some(0), "a b|$(id)|-n|"));
    let output = run(Command::new("env").env("A", "1").secret_env("S", Secret::new("x y"))).await.unwrap();
    let mut names: Vec<String> =
        output.text().lines().map(|l| l.split('=').next().unwrap().to_owned()).collect();
    names.retain(|name| !["PATH", "HOME", "LANG", "TMPDIR"].contains(&name.as_str()));
    assert_eq!(names, ["A", "S"]);
    assert!(output.text().contains("S=x y"));
    let output = run(Command::new("cat").stdin("in\0put")).await.unwrap();
    assert_eq!(output.stdout, b"in\0put");
    let output = run(Command::new("cat")).await.unwrap();
    assert_eq!(output.stdout, b"", "nothing to read is the end of the input");
    let output = run(Command::new("true").stdin(vec![0; 1 << 20])).await.unwrap();
    assert_eq!(output.code, Some(0), "a child need not read its input");
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("mit Größe 日本");
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(run(Command::new("pwd").cwd(&dir)).await.unwrap().text().trim_end(), dir.to_str().unwrap());
}

#[tokio::test]
async fn an_end_is_told_as_it_was() {
    assert_eq!(run(sh("exit 7")).await.unwrap().code, Some(7));
    assert_eq!(run(sh("kill -9 $$")).await.unwrap().code, None);
    let output = run(sh("echo out; echo err >&2; exit 1")).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn lines_come_one_by_one_whatever_their_bytes() {
    let lines = Mutex::new(Vec::new());
    let script = r"printf 'one\r\n\377\376 two\n\nlast'; printf 'error\n' >&2; head -c 70000 /dev/zero | tr '\0' x >&2";
    let output = LocalHost::new()
        .run(&CancellationToken::new(), sh(script), &|line| lines.lock().unwrap().push(line.to_owned()))
        .await
        .unwrap();
    let lines = lines.into_inner().unwrap();
    let short: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.len() < 100).collect();
    for expected in ["one", "\u{fffd}\u{fffd} two", "", "last", "error"] {
        assert!(short.contains(&expected), "{expected:?} in {short:?}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("xxx")).count(), 2, "a long line comes in parts");
    assert!(output.stdout.starts_with(b"one\r\n\xff\xfe two"), "what is kept is what was written");
}

#[tokio::test]
async fn a_flood_is_read_and_not_kept() {
    let output = run(sh("head -c 20000000 /dev/zero; echo done >&2")).await.unwrap();
    assert_eq!((output.stdout.len(), output.code), (16 << 20, Some(0)));
    assert_eq!(output.stderr, b"done\n");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let check = async |command: Command, code: &str| {
        let error = run(command).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.help_text().is_some());
    };
    check(Command::new("no-such-program"), "host::no-program").await;
    check(Command::new("/no/such/program"), "host::no-program").await;
    check(Command::new(""), "host::no-program").await;
    check(Command::new("sh").env("PATH", "/nowhere"), "host::no-program").await;
    check(Command::new("true").cwd("/no/such/dir"), "host::no-directory").await;
    check(Command::new(&script), "host::spawn").await;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    check(Command::new(&script), "host::spawn").await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let error = LocalHost::new().run(&cancelled, sh("true"), &|_| {}).await.unwrap_err();
    assert_eq!(error.code(), "host::cancelled");
}

/// A command that starts grandchildren, and the processes that it said it has.
struct Family {
    pids: Arc<Mutex<Vec<u32>>>,
}

impl Family {
    const SCRIPT: &str =
        r#"sh -c 'echo $$; sleep 600' & sh -c 'echo $$; sleep 600 & echo $!; wait' & echo $$; wait"#;

    fn new() -> Family {
        Family { pids: Arc::default() }
    }

    fn note(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let pids = Arc::clone(&self.pids);
        move |line| pids.lock().unwrap().extend(line.parse::<u32>())
    }

    fn pids(&self) -> Vec<u32> {
        self.pids.lock().unwrap().clone()
    }

    async fn are_there(&self) {
        until("the family is there", || self.pids().len() == 4).await;
        assert!(self.pids().into_iter().all(runs));
    }

    async fn are_gone(&self) {
        until("the family is gone", || !self.pids().into_iter().any(runs)).await;
    }
}

#[tokio::test]
async fn cancelling_ends_the_whole_family() {
    let (family, cancel) = (Family::new(), CancellationToken::new());
    let (host, note) = (impatient(), family.note());
    let run = host.run(&cancel, sh(Family::SCRIPT), &note);
    let (result, ()) = tokio::join!(run, async {
        family.are_there().await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().code(), "host::cancelled");
    family.are_gone().await;
}

/// The command that is interrupted: not a shell, which may lose a signal.
#[tokio::test]
async fn other_process_waits_for_the_interrupt() {
    if LocalHost::new().env("CODE_TEST_WAITS").is_none() {
        return;
    }
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    println!("\nready");
    interrupt.recv().await.unwrap();
    println!("unlocking");
}

#[tokio::test]
async fn an_interrupt_comes_before_the_end() {
    let (seen, cancel) = (Mutex::new(Vec::new()), CancellationToken::new());
    let waits = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process_waits_for_the_interrupt", "--nocapture"])
        .env("CODE_TEST_WAITS", "1");
    let result = LocalHost::new()
        .run(&cancel, waits, &|line| {
            if line == "ready" {
                cancel.cancel();
            }
            if ["ready", "unlocking"].contains(&line) {
                seen.lock().unwrap().push(line.to_owned());
            }
        })
        .await;
    assert_eq!(result.unwrap_err().code(), "host::cancelled");
    assert_eq!(seen.into_inner().unwrap(), ["ready", "unlocking"]);
}

#[tokio::test]
async fn what_ignores_the_interrupt_is_killed_after_the_grace() {
    let pid = Mutex::new(0);
    let script = "trap '' INT TERM; echo $$; while :; do sleep 0.01; done";
    let command = sh(script).timeout(Duration::from_millis(300));
    let result = impatient()
        .run(&CancellationToken::new(), command, &|line| *pid.lock().unwrap() = line.parse().unwrap())
        .await;
    assert_eq!(result.unwrap_err().code(), "host::timeout");
    let pid = pid.into_inner().unwrap();
    assert!(pid > 0);
    until("it is gone", || !runs(pid)).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_the_family_with_it() {
    let family = Family::new();
    let (host, note, cancel) = (impatient(), family.note(), CancellationToken::new());
    tokio::select! {
        _ = host.run(&cancel, sh(Family::SCRIPT), &note) => unreachable!("it sleeps for minutes"),
        () = family.are_there() => {}
    }
    family.are_gone().await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let family = Family::new();
    let script = format!("{} & exit 0", Family::SCRIPT.trim_end_matches("; wait"));
    let note = family.note();
    let output = LocalHost::new().run(&CancellationToken::new(), sh(&script), &note).await.unwrap();
    assert_eq!(output.code, Some(0));
    family.are_gone().await;
}

/// The part of the process that dies: it runs a command and says what it started.
#[tokio::test]
async fn other_process_runs_a_command() {
    let host = LocalHost::new().with_grace(Duration::from_secs(1));
    if host.env("CODE_TEST_RUNS").is_none() {
        return;
    }
    let says = |line: &str| println!("pid {line}");
    let mut command = sh(&host.env("CODE_TEST_RUNS").unwrap());
    let lock = host.env("CODE_TEST_LOCK").map(|path| Arc::new(locked(&path).unwrap()));
    if let Some(lock) = &lock {
        command = command.tied_to(Tie::to(lock));
    }
    host.run(&CancellationToken::new(), command, &says).await.unwrap();
}

/// A file that is locked for as long as it is open, or nothing where somebody else has it locked.
fn locked(path: &str) -> Option<std::fs::File> {
    let file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    file.try_lock().is_ok().then_some(file)
}

/// Kills a process that runs this script, tied to a lock, and sees that the lock is free when nothing of it is left.
async fn keeps_its_lock(script: &str) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock").to_str().unwrap().to_owned();
    let mut engine = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process_runs_a_command", "--nocapture"])
        .env("CODE_TEST_RUNS", script)
        .env("CODE_TEST_LOCK", &path)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    let pid = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, pid)) = line.rsplit_once("pid ") {
            break pid.parse::<u32>().unwrap();
        }
    };
    assert!(locked(&path).is_none() && runs(pid));
    engine.kill().await.unwrap();
    until("the lock is free", || {
        let free = locked(&path).is_some();
        assert!(!free || !runs(pid), "the lock is free, and the command is there");
        free
    })
    .await;
    assert_eq!(std::fs::read(&path).unwrap(), b"", "nobody wrote into it");
}

#[tokio::test]
async fn what_a_command_is_tied_to_outlives_its_engine_as_long_as_it() {
    // One that ends when it is ready, and one that never does.
    keeps_its_lock("trap 'sleep 0.5; exit' INT; echo $$; while :; do sleep 0.01; done").await;
    keeps_its_lock("trap '' INT TERM HUP; echo $$; while :; do sleep 0.01; done").await;
    // What left the group is no part of it.
    keeps_its_lock("setsid sleep 60 & echo $$; sleep 60").await;
}

#[tokio::test]
async fn a_tie_to_what_is_closed_holds_nothing() {
    let file = Arc::new(tempfile::tempfile().unwrap());
    let tie = Tie::to(&file);
    assert!(tie.open().is_some() && tie == Tie::to(&file));
    drop(file);
    assert!(tie.open().is_none());
    assert_eq!(run(sh("exit 0").tied_to(tie)).await.unwrap().code, Some(0));
}

#[tokio::test]
async fn tools_die_with_a_killed_engine() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut engine = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process_runs_a_command", "--nocapture"])
        .env("CODE_TEST_RUNS", Family::SCRIPT)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let family = Family::new();
    let mut lines = BufReader::new(engine.stdout.take().unwrap()).lines();
    while family.pids().len() < 4 {
        let line = lines.next_line().await.unwrap().unwrap();
        family.note()(line.rsplit_once("pid ").map_or("", |(_, pid)| pid));
    }
    family.are_there().await;
    engine.kill().await.unwrap();
    family.are_gone().await;
}

#[tokio::test]
async fn another_user_can_be_named_by_root() {
    let host = LocalHost::new();
    let output = run(Command::new("id").arg("-u").cwd("/").user(Some((65534, 65534)))).await;
    if host.user() == "root" {
        assert_eq!(output.unwrap().text().trim_end(), "65534");
        let groups = run(Command::new("id").arg("-G").cwd("/").user(Some((65534, 65534)))).await.unwrap();
        assert_eq!(groups.text().trim_end(), "65534", "no group of root is left");
    } else {
        assert_eq!(output.unwrap_err().code(), "host::spawn");
    }
    let me = run(Command::new("id").arg("-un")).await.unwrap();
    assert_eq!(host.user(), me.text().trim_end());
    assert_eq!(host.which("sh").as_deref().map(Path::is_absolute), Some(true));
}
