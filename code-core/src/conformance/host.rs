//! The rules of [`Host`].
//!
//! Rules that need a real shell ask the sample for one: a machine in memory has none.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::suite::{At, Judged, Objection, Rule, Suite, at_wait, holds, rules, speaks_badly};
use crate::host::{Command, Output};
use crate::{ErrorKind, Host, Result, Secret};

/// The most that is kept of each output of a command, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// What the suite has to know of a machine.
#[derive(Clone)]
pub struct Sample {
    print: Command,
    fail: Command,
    shell: Option<PathBuf>,
    patience: Duration,
}

impl Sample {
    /// A machine with the programs of a Unix.
    pub fn unix() -> Sample {
        let sh = PathBuf::from("/bin/sh");
        Sample {
            print: Command::new("printf").arg("%s\\n"),
            fail: Command::new(&sh).args(["-c", "exit 3"]),
            shell: Some(sh),
            patience: Duration::from_secs(60),
        }
    }

    /// A machine without a shell: `print` writes each further argument as a line, `fail` ends with code 3.
    pub fn of(print: Command, fail: Command) -> Sample {
        Sample { print, fail, shell: None, patience: Duration::from_secs(60) }
    }

    /// How long a rule may take before it counts as broken; a minute by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Sample {
        self.patience = patience;
        self
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("print", &self.print).field("shell", &self.shell).finish()
    }
}

/// The rules of a machine, each held against a fresh one.
pub fn host<H: Host>(fresh: impl Fn() -> Arc<H> + Send + Sync + 'static, sample: &Sample) -> Suite {
    let (sample, patience) = (sample.clone(), sample.patience);
    let bench = move || {
        let dir = TempDir::with_prefix("conformance ");
        let dir = dir.map_err(|error| Objection::NotJudged(format!("no directory: {error}")))?;
        Ok(Arc::new(Bench { host: fresh(), sample: sample.clone(), dir }))
    };
    Suite::new(all(), bench, |_| Box::pin(async {}), patience)
}

fn all<H: Host>() -> Vec<Rule<Arc<Bench<H>>>> {
    rules![
        arguments as "arguments_arrive_as_they_are",
        lines as "each_line_is_told",
        code as "another_code_is_an_output",
        missing as "a_missing_program_is_told_with_help",
        which as "what_is_found_can_be_run",
        cancelled_before as "cancelled_before_it_begins_nothing_runs",
        cancelled as "cancelling_ends_the_whole_tree",
        limit as "its_time_limit_ends_the_whole_tree",
        gone as "without_its_caller_the_whole_tree_ends",
        environment as "a_child_has_only_the_environment_that_it_is_given",
        input as "what_is_given_is_read",
        place as "a_command_runs_in_its_directory",
        flood as "an_endless_output_is_cut",
        secret as "a_secret_is_not_in_what_is_told",
        written as "what_was_written_is_read_back",
        whole as "a_reader_sees_the_old_or_the_new",
        nothing as "a_file_that_is_not_there_is_nothing",
        sleep as "sleeping_takes_its_time",
        uptime as "the_uptime_never_goes_back",
    ]
}

struct Bench<H> {
    host: Arc<H>,
    sample: Sample,
    dir: TempDir,
}

impl<H: Host> Bench<H> {
    async fn run(&self, command: Command) -> Result<Output> {
        self.host.run(&CancellationToken::new(), command, &|_| {}).await
    }

    /// A script for the sample's shell, in the case's directory.
    fn script(&self, text: &str) -> Result<Command, Objection> {
        let none = || Objection::NotClaimed("the sample has no shell: nothing is really run".to_owned());
        let shell = self.sample.shell.as_ref().ok_or_else(none)?;
        Ok(Command::new(shell).args(["-c", text]).cwd(self.dir.path()))
    }

    /// A script with a grandchild: both write who they are, and would live for long.
    fn family(&self) -> Result<Command, Objection> {
        self.script("sh -c 'echo $$ > grandchild; exec sleep 1000' & echo $$ > child; wait")
    }

    /// Waits until both of a [`family`](Bench::family) have said who they are.
    async fn family_lives(&self) {
        let said = |name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        while !(said("child").ends_with('\n') && said("grandchild").ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until nobody of them lives; a rule that waits too long is broken.
    async fn family_is_gone(&self) {
        for name in ["child", "grandchild"] {
            let pid = std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
            let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
            // One that is dead and not yet taken away by its parent is gone.
            let lives = |text: String| text.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'));
            while std::fs::read_to_string(&stat).is_ok_and(lives) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// No shell stands in between.
async fn arguments<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let given = ["a b", "$HOME", "; rm -rf /", "*", "'\"`", "", "ä\u{1f600}", "-n", "--", "\\n"];
    let output = bench.run(bench.sample.print.clone().args(given)).await?;
    let text = output.text();
    let got: Vec<&str> = text.strip_suffix('\n').unwrap_or(&text).split('\n').collect();
    holds!(got == given, "{given:?} arrived as {got:?}");
    Ok(())
}

async fn lines<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let told = Mutex::new(Vec::new());
    let hear = |line: &str| told.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    let command = bench.sample.print.clone().args(["one", "two"]);
    bench.host.run(&CancellationToken::new(), command, &hear).await?;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    holds!(told == ["one", "two"], "of two lines it told {told:?}");
    Ok(())
}

async fn code<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let ended = bench.run(bench.sample.fail.clone()).await;
    holds!(ended.as_ref().is_ok_and(|output| output.code == Some(3)), "ending with 3 gave {ended:?}");
    Ok(())
}

async fn missing<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let ended = bench.run(Command::new("no-such-program-anywhere")).await;
    let Err(error) = ended else {
        return Err(Objection::Broken(format!("a program that is not there gave {ended:?}")));
    };
    holds!(error.kind() == ErrorKind::Missing, "it is told as {error:?}");
    let badly = speaks_badly(&error);
    holds!(badly.is_none(), "{}", badly.unwrap_or_default());
    Ok(())
}

async fn which<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let program = bench.sample.print.program.display().to_string();
    let Some(found) = bench.host.which(&program) else {
        return Err(Objection::Broken(format!("it runs `{program}` and does not find it")));
    };
    holds!(found.is_absolute(), "`{program}` is said to be at {}", found.display());
    holds!(bench.host.which("no-such-program-anywhere").is_none(), "it finds what is not there");
    Ok(())
}

async fn cancelled_before<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ended = bench.host.run(&cancel, bench.sample.print.clone().arg("x"), &|_| {}).await;
    let kind = ended.as_ref().err().map(crate::Error::kind);
    holds!(kind == Some(ErrorKind::Cancelled), "cancelled before it began, it gave {ended:?}");
    Ok(())
}

async fn cancelled<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let cancel = CancellationToken::new();
    let command = bench.family()?;
    let (ended, ()) = tokio::join!(bench.host.run(&cancel, command, &|_| {}), async {
        bench.family_lives().await;
        cancel.cancel();
    });
    holds!(ended.is_err(), "cancelled, it gave {ended:?}");
    bench.family_is_gone().await;
    Ok(())
}

async fn limit<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let ended = bench.run(bench.family()?.timeout(Duration::from_millis(500))).await;
    let kind = ended.as_ref().err().map(crate::Error::kind);
    holds!(kind == Some(ErrorKind::Timeout), "after its time it gave {ended:?}");
    bench.family_is_gone().await;
    Ok(())
}

/// A caller that drops the call is gone.
async fn gone<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let cancel = CancellationToken::new();
    let run = bench.host.run(&cancel, bench.family()?, &|_| {});
    tokio::select! {
        ended = run => return Err(Objection::NotJudged(format!("it ended with {ended:?}"))),
        () = bench.family_lives() => {}
    }
    bench.family_is_gone().await;
    Ok(())
}

async fn environment<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let output = bench.run(bench.script("env")?.env("GIVEN", "as it is")).await?;
    let text = output.text();
    holds!(text.lines().any(|line| line == "GIVEN=as it is"), "what was given is not in\n{text}");
    // The shell itself sets a few.
    let known = ["GIVEN", "PATH", "HOME", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"];
    let names = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let others: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
    // The pipe that ties a child to its caller has a name of its own.
    let others: Vec<&str> = others.into_iter().filter(|name| !name.starts_with("CODE_")).collect();
    holds!(others.is_empty(), "it also has {others:?}");
    Ok(())
}

async fn input<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let output = bench.run(bench.script("cat")?.stdin("one\ntwo")).await?;
    holds!(output.stdout == b"one\ntwo", "it read {:?}", output.text());
    let nothing = bench.run(bench.script("cat")?).await?;
    holds!(nothing.stdout.is_empty(), "given nothing, it read {:?}", nothing.text());
    Ok(())
}

async fn place<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let output = bench.run(bench.script("pwd -P")?).await?;
    let dir = bench.dir.path().canonicalize().unwrap_or_default();
    holds!(output.text().trim_end() == dir.to_string_lossy(), "it ran in {:?}", output.text());
    Ok(())
}

async fn flood<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let output = bench.run(bench.script("head -c 20000000 /dev/zero")?).await?;
    holds!(output.stdout.len() <= MOST, "it kept {} bytes", output.stdout.len());
    holds!(output.success(), "what writes much ended with {:?}", output.code);
    Ok(())
}

async fn secret<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    const CANARY: &str = "canary-5f1d9c";
    let command = Command::new("no-such-program-anywhere").secret_env("TOKEN", Secret::new(CANARY));
    let shown = format!("{command:?} {:?} {:?}", bench.run(command.clone()).await, bench.host);
    holds!(!shown.contains(CANARY), "the secret stands in {shown}");
    Ok(())
}

async fn written<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let path = bench.dir.path().join("deep/er/ä file");
    for bytes in [&b"first"[..], b"", b"\0\xff second"] {
        bench.host.write(&path, bytes, 0o600).await?;
        let read = bench.host.read(&path).await?;
        holds!(read.as_deref() == Some(bytes), "{bytes:?} was read back as {read:?}");
    }
    Ok(())
}

async fn whole<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let path = bench.dir.path().join("file");
    let (old, new) = (vec![b'a'; 300_000], vec![b'b'; 200_000]);
    bench.host.write(&path, &old, 0o644).await?;
    for nth in 0..20 {
        let bytes = if nth % 2 == 0 { &new } else { &old };
        // In the middle, as far as it has one, and at each of the first places where it has one.
        let step = at_wait(bench.host.write(&path, bytes, 0o644), 1 + nth % 3).await;
        let read = bench.host.read(&path).await?.unwrap_or_default();
        holds!(read == old || read == new, "in the middle of a write, {} bytes are there", read.len());
        match step {
            At::Ended(done) => done?,
            At::Waiting(call) => call.await?,
        }
    }
    Ok(())
}

async fn nothing<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let read = bench.host.read(&bench.dir.path().join("nowhere/nothing")).await;
    holds!(matches!(read, Ok(None)), "what is not there was read as {read:?}");
    Ok(())
}

async fn sleep<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let begin = bench.host.uptime();
    bench.host.sleep(Duration::from_millis(30)).await;
    let slept = bench.host.uptime().saturating_sub(begin).as_millis();
    holds!(slept >= 29, "30 ms took {slept} ms");
    Ok(())
}

/// Also seen by others, and while somebody sleeps.
async fn uptime<H: Host>(bench: Arc<Bench<H>>) -> Judged {
    let mut last = Duration::ZERO;
    for _ in 0..20 {
        let nap = bench.host.sleep(Duration::from_millis(1));
        let (seen, ()) = tokio::join!(async { bench.host.uptime() }, nap);
        for now in [seen, bench.host.uptime()] {
            holds!(now >= last, "the uptime went back from {last:?} to {now:?}");
            last = now;
        }
    }
    Ok(())
}
