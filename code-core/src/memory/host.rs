//! A machine in memory: a clock that jumps, an environment, files, and commands with answers by heart.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lock;
use crate::host::{Command, Host, Output};
use crate::{Error, ErrorKind, Result};

/// How a scripted program answers a command.
type Script = Arc<dyn Fn(&Command) -> Result<Output> + Send + Sync>;

/// How often a sleeper lets others run before it moves the clock, so that those that are about to sleep
/// less get to say so.
const POLITENESS: usize = 32;

/// A machine in memory.
///
/// Its clock stands still until time passes. By default a sleep moves it: when everybody waits, the
/// one who waits for the earliest time wakes, and the clock jumps there ([`MemoryHost::new`]). With
/// [`MemoryHost::manual`] only [`advance`](MemoryHost::advance) moves it.
pub struct MemoryHost {
    inner: Mutex<Inner>,
    moved: Notify,
    manual: bool,
    grace: Duration,
}

#[derive(Default)]
struct Inner {
    now: Timestamp,
    /// How much time has passed, whatever the clock was set to.
    passed: Duration,
    /// Who waits until when; a number tells apart those who wait for the same time.
    sleepers: BTreeMap<(Duration, u64), ()>,
    next: u64,
    env: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    scripts: BTreeMap<String, Script>,
    ran: Vec<Command>,
}

impl Inner {
    fn pass(&mut self, time: Duration) {
        self.passed = self.passed.saturating_add(time);
        self.now = later(self.now, time);
    }
}

impl Default for MemoryHost {
    fn default() -> MemoryHost {
        MemoryHost::new()
    }
}

impl MemoryHost {
    /// A machine at the beginning of 2026, on which sleeping takes no time.
    pub fn new() -> MemoryHost {
        let now = Timestamp::constant(1_767_225_600, 0);
        MemoryHost {
            inner: Mutex::new(Inner { now, ..Inner::default() }),
            moved: Notify::new(),
            manual: false,
            grace: Duration::ZERO,
        }
    }

    /// The same, on which a sleep ends when the clock has been moved far enough.
    pub fn manual() -> MemoryHost {
        MemoryHost { manual: true, ..MemoryHost::new() }
    }

    /// On which a command may go on for so long after its caller is gone; no time by default.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> MemoryHost {
        MemoryHost { grace, ..self }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn with_env(self, name: &str, value: &str) -> MemoryHost {
        lock(&self.inner).env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a program that answers so; the last one of a name counts.
    #[must_use]
    pub fn with_program(
        self,
        name: &str,
        script: impl Fn(&Command) -> Result<Output> + Send + Sync + 'static,
    ) -> MemoryHost {
        lock(&self.inner).scripts.insert(name.to_owned(), Arc::new(script));
        self
    }

    /// Lets time pass, and wakes those whose time has come.
    pub fn advance(&self, by: Duration) {
        lock(&self.inner).pass(by);
        self.moved.notify_waiters();
    }

    /// Sets the clock ahead, as a time server or a person does. Whoever waits goes on waiting: no time has passed.
    pub fn set_ahead(&self, by: Duration) {
        let mut inner = lock(&self.inner);
        inner.now = later(inner.now, by);
    }

    /// Sets the clock back in the same way.
    pub fn set_back(&self, by: Duration) {
        let mut inner = lock(&self.inner);
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        inner.now = inner.now.checked_sub(by).unwrap_or(Timestamp::MIN);
    }

    /// How many wait for a later time.
    pub fn sleepers(&self) -> usize {
        lock(&self.inner).sleepers.len()
    }

    /// The commands that were run, in order.
    pub fn ran(&self) -> Vec<Command> {
        lock(&self.inner).ran.clone()
    }

    /// The files that were written, with their permission bits.
    pub fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
        lock(&self.inner).files.clone()
    }
}

impl fmt::Debug for MemoryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = lock(&self.inner);
        f.debug_struct("MemoryHost").field("now", &inner.now).field("ran", &inner.ran).finish_non_exhaustive()
    }
}

#[async_trait]
impl Host for MemoryHost {
    fn now(&self) -> Timestamp {
        lock(&self.inner).now
    }

    fn uptime(&self) -> Duration {
        lock(&self.inner).passed
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn env(&self, name: &str) -> Option<String> {
        lock(&self.inner).env.get(name).cloned()
    }

    fn user(&self) -> String {
        self.env("USER").unwrap_or_else(|| "tester".to_owned())
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        lock(&self.inner).scripts.contains_key(program).then(|| Path::new("/bin").join(program))
    }

    async fn sleep(&self, duration: Duration) {
        let sleeper = Sleeper::begin(self, duration);
        loop {
            // Listened for before the clock is read, so that no move goes unheard.
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if lock(&self.inner).passed >= sleeper.key.0 {
                return;
            }
            if !self.manual {
                for _ in 0..POLITENESS {
                    tokio::task::yield_now().await;
                }
                if sleeper.wakes_first() {
                    return;
                }
            }
            moved.await;
        }
    }

    async fn run(
        &self,
        cancel: &CancellationToken,
        command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output> {
        if cancel.is_cancelled() {
            return Err(Error::new(
                ErrorKind::Cancelled,
                "host::cancelled",
                format!("run `{}`", name(&command)),
            )
            .help("run it again"));
        }
        let script = {
            let mut inner = lock(&self.inner);
            inner.ran.push(command.clone());
            inner.scripts.get(&name(&command)).cloned()
        };
        let Some(script) = script else { return Err(crate::host::no_program(&command.program)) };
        let output = script(&command)?;
        for bytes in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(bytes).lines() {
                on_line(line);
            }
        }
        Ok(output)
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        Ok(lock(&self.inner).files.get(path).map(|(bytes, _)| bytes.clone()))
    }

    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        lock(&self.inner).files.insert(path.to_owned(), (bytes.to_vec(), mode));
        Ok(())
    }
}

/// A program is scripted by its name, also where it is run by its path.
fn name(command: &Command) -> String {
    command.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

/// One who waits: known to the host for as long as it does.
struct Sleeper<'a> {
    host: &'a MemoryHost,
    key: (Duration, u64),
}

impl Sleeper<'_> {
    fn begin(host: &MemoryHost, duration: Duration) -> Sleeper<'_> {
        let mut inner = lock(&host.inner);
        inner.next += 1;
        let key = (inner.passed.saturating_add(duration), inner.next);
        inner.sleepers.insert(key, ());
        Sleeper { host, key }
    }

    /// Lets time pass up to this one's time, where nobody waits for an earlier one.
    fn wakes_first(&self) -> bool {
        let mut inner = lock(&self.host.inner);
        let first = inner.sleepers.first_key_value().is_some_and(|(key, ())| *key == self.key);
        if first {
            let left = self.key.0.saturating_sub(inner.passed);
            inner.pass(left);
        }
        first
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(&self.host.inner).sleepers.remove(&self.key);
        self.host.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_times() {
        let host = MemoryHost::new();
        let start = host.now();
        let order = Mutex::new(Vec::new());
        let nap = async |minutes: u32| {
            host.sleep(MINUTE * minutes).await;
            lock(&order).push((minutes, host.now().duration_since(start).as_mins()));
        };
        tokio::join!(nap(3), nap(1), nap(2), async {
            nap(1).await;
            nap(1).await;
        });
        assert_eq!(*lock(&order), [(1, 1), (1, 1), (2, 2), (1, 2), (3, 3)]);
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_holds_nobody_up() {
        let host = MemoryHost::new();
        let start = host.now();
        tokio::select! {
            () = host.sleep(MINUTE) => {}
            () = host.sleep(MINUTE * 60) => unreachable!("the shorter sleep ends first"),
        }
        host.sleep(MINUTE * 2).await;
        assert_eq!(host.now().duration_since(start).as_mins(), 3);
        assert_eq!(host.sleepers(), 0);
    }

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_told() {
        let host = MemoryHost::manual();
        let sleep = host.sleep(MINUTE);
        tokio::pin!(sleep);
        assert!(futures::poll!(&mut sleep).is_pending());
        host.advance(MINUTE / 2);
        assert!(futures::poll!(&mut sleep).is_pending());
        host.advance(MINUTE / 2);
        assert!(futures::poll!(&mut sleep).is_ready());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_keeps_nobody_waiting_and_wakes_nobody() {
        let host = MemoryHost::manual();
        let sleep = host.sleep(MINUTE);
        tokio::pin!(sleep);
        host.set_ahead(MINUTE * 60);
        assert!(futures::poll!(&mut sleep).is_pending());
        host.set_back(MINUTE * 60 * 24);
        host.advance(MINUTE);
        assert!(futures::poll!(&mut sleep).is_ready());
        assert_eq!(host.uptime(), MINUTE);
    }

    #[tokio::test]
    async fn a_scripted_program_answers() {
        let host = MemoryHost::new().with_program("echo", |command| {
            let text: Vec<_> = command.args.iter().map(|arg| arg.to_string_lossy()).collect();
            Ok(Output { code: Some(0), stdout: text.join(" ").into_bytes(), stderr: Vec::new() })
        });
        let lines = Mutex::new(Vec::new());
        let on_line = |line: &str| lock(&lines).push(line.to_owned());
        let cancel = CancellationToken::new();
        let command = Command::new("/usr/bin/echo").args(["hello", "there"]);
        assert_eq!(host.run(&cancel, command, &on_line).await.unwrap().text(), "hello there");
        assert_eq!(*lock(&lines), ["hello there"]);
        let error = host.run(&cancel, Command::new("missing"), &|_| {}).await.unwrap_err();
        assert_eq!(error.code(), "host::no-program");
    }
}
