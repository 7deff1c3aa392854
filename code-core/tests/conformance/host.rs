//! The liars of the host's contract: this machine, and one lie.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::host::Sample;
use code_core::conformance::{self, Suite};
use code_core::host::{Command, Host, Output};
use code_core::local::LocalHost;
use code_core::memory::MemoryHost;
use code_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(crate) fn honest() -> Suite {
    conformance::host(|| Arc::new(local()), &Sample::unix())
}

fn local() -> LocalHost {
    LocalHost::new().with_grace(Duration::from_millis(100))
}

/// The machine in memory, with two programs by heart.
pub(crate) fn memory() -> Suite {
    let fresh = || {
        let print = |command: &Command| {
            let lines = command.args.iter().map(|arg| format!("{}\n", arg.to_string_lossy()));
            Ok(Output { code: Some(0), stdout: lines.collect::<String>().into_bytes(), stderr: Vec::new() })
        };
        let fail = |_: &Command| Ok(Output { code: Some(3), ..Output::default() });
        Arc::new(MemoryHost::new().with_program("print", print).with_program("fail", fail))
    };
    conformance::host(fresh, &Sample::of(Command::new("print"), Command::new("fail")))
}

/// The suite over a machine that breaks this rule.
pub(crate) fn liar(rule: &'static str) -> Suite {
    let sample = Sample::unix().patience(Duration::from_secs(3));
    conformance::host(
        move || {
            Arc::new(Liar { lie: rule, inner: local(), seen: Default::default(), looks: Default::default() })
        },
        &sample,
    )
}

#[derive(Debug)]
struct Liar {
    lie: &'static str,
    inner: LocalHost,
    seen: std::sync::Mutex<String>,
    looks: AtomicUsize,
}

impl Liar {
    fn lies(&self, rule: &str) -> bool {
        self.lie == rule
    }
}

/// Makes a member of the family live on: this very process stands in for it.
struct LivesOn(Option<PathBuf>);

impl Drop for LivesOn {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            std::fs::write(dir.join("child"), format!("{}\n", std::process::id())).unwrap();
        }
    }
}

#[async_trait]
impl Host for Liar {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn uptime(&self) -> Duration {
        // As if somebody set it back: once, by less than another rule would see.
        let set = self.lies("the_uptime_never_goes_back") && self.looks.fetch_add(1, Ordering::SeqCst) >= 9;
        self.inner.uptime() + Duration::from_secs(if set { 0 } else { 60 })
    }

    fn grace(&self) -> Duration {
        self.inner.grace()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.inner.env(name)
    }

    fn user(&self) -> String {
        self.inner.user()
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        match self.lies("what_is_found_can_be_run") {
            true => Some(Path::new("/bin").join(program)),
            false => self.inner.which(program),
        }
    }

    async fn sleep(&self, duration: Duration) {
        if !self.lies("sleeping_takes_its_time") {
            self.inner.sleep(duration).await;
        }
    }

    async fn run(
        &self,
        cancel: &CancellationToken,
        mut command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output> {
        let script = command.args.get(1).map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        let family = script.contains("grandchild");
        let never = CancellationToken::new();
        // What drops this call lets one live on, unless it ends.
        let dropped = self.lies("without_its_caller_the_whole_tree_ends") && family;
        let mut lives_on = LivesOn(command.cwd.clone().filter(|_| dropped));
        let dir = command.cwd.clone();
        match self.lie {
            "arguments_arrive_as_they_are" => {
                command.args.iter_mut().for_each(|arg| {
                    if *arg == *"$HOME" {
                        *arg = "/root".into();
                    }
                });
            }
            "each_line_is_told" => return self.inner.run(cancel, command, &|_| {}).await,
            "another_code_is_an_output" if script == "exit 3" => {
                return Err(Error::new(ErrorKind::Failed, "test::code", "run it").help("mend it"));
            }
            "a_missing_program_is_told_with_help" => {
                let ended = self.inner.run(cancel, command, on_line).await;
                return ended.map_err(|error| Error::new(error.kind(), "test::silent", "find it"));
            }
            "cancelled_before_it_begins_nothing_runs" if !family => {
                return self.inner.run(&never, command, on_line).await;
            }
            "a_child_has_only_the_environment_that_it_is_given" => command = command.env("EXTRA", "x"),
            "what_is_given_is_read" => command.stdin = None,
            "a_command_runs_in_its_directory" if script == "pwd -P" => command.cwd = Some("/".into()),
            "an_endless_output_is_cut" if script.starts_with("head") => {
                return Ok(Output { code: Some(0), stdout: vec![0; 20_000_000], stderr: Vec::new() });
            }
            "a_secret_is_not_in_what_is_told" => {
                let told: Vec<&str> = command.env.iter().map(|(_, value)| value.expose()).collect();
                *self.seen.lock().unwrap() = told.join(" ");
            }
            _ => {}
        }
        let ended = self.inner.run(cancel, command, on_line).await;
        lives_on.0 = match (self.lie, ended.as_ref().err().map(Error::kind)) {
            ("cancelling_ends_the_whole_tree", Some(ErrorKind::Cancelled)) if family => dir,
            ("its_time_limit_ends_the_whole_tree", Some(ErrorKind::Timeout)) if family => dir,
            _ => None,
        };
        ended
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let read = self.inner.read(path).await?;
        let nothing = self.lies("a_file_that_is_not_there_is_nothing");
        Ok(if nothing { read.or(Some(Vec::new())) } else { read })
    }

    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        if self.lies("a_reader_sees_the_old_or_the_new") && bytes.len() > 1000 {
            self.inner.write(path, &bytes[..1000], mode).await?;
            tokio::task::yield_now().await;
        }
        let second = bytes.ends_with(b"second");
        let kept = if self.lies("what_was_written_is_read_back") && second { &bytes[1..] } else { bytes };
        self.inner.write(path, kept, mode).await
    }
}
