//! The keeper's own main loop: take the lock, adopt, listen, obey, and end when nothing is left to keep.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use code_core::{Digest, Error, ErrorKind, Layout, Result, kill};
use rustix::fs::{FlockOperation, flock};
use tokio::io::{AsyncBufRead, AsyncWrite, BufReader, join};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::book::{Book, file_id, lock_path};
use super::client::fits;
use super::events::Seen;
use super::keep::{Keep, Order};
use super::protocol::{Answer, Ask, PROTOCOL, hear, hung_up, say};
use super::route::Routes;
use super::table::{Kept, Phase, Place};
use super::{child, logs, newer};

/// How long there must have been nothing to keep, and nobody asking, before the keeper ends.
const IDLE: Duration = Duration::from_secs(3);
/// How often it is looked whether there is something to keep, and whether the socket is still there.
const GLANCE: Duration = Duration::from_millis(200);
/// How often log files are looked at.
const LOGS: Duration = Duration::from_secs(5);

/// Keeps, until nothing is left to keep; returns at once where another keeper does.
pub(super) fn serve(state_dir: &Path) -> Result<()> {
    let Some(lock) = lock(state_dir)? else { return Ok(()) };
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    child::open_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("keeper")
        .enable_all()
        .build()
        .map_err(|error| failed("start the keeper's threads", state_dir, error))?;
    runtime.block_on(Serving::begin(state_dir, lock)?.run())
}

/// The lock that makes this process the keeper; `None` where another one has it.
fn lock(state_dir: &Path) -> Result<Option<File>> {
    let path = lock_path(state_dir);
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open().map_err(|error| failed("open the keeper's lock", &path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed("take the keeper's lock", &path, error.into())),
    }
}

/// What all connections share.
struct Serving {
    book: Arc<Book>,
    keeps: Mutex<HashMap<Place, mpsc::Sender<Order>>>,
    routes: Routes,
    /// How many commands are connected.
    connected: AtomicUsize,
    retire: Notify,
}

impl Serving {
    fn begin(state_dir: &Path, lock: File) -> Result<Arc<Serving>> {
        let book = Arc::new(Book::open(state_dir, lock)?);
        Ok(Arc::new(Serving {
            routes: Routes::new(Arc::clone(&book)),
            keeps: Mutex::new(HashMap::new()),
            connected: AtomicUsize::new(0),
            retire: Notify::new(),
            book,
        }))
    }

    async fn run(self: Arc<Serving>) -> Result<()> {
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION").to_owned());
        self.book.say(Seen::KeeperStarted { pid, version });
        kill::point("keeper.adopt.before");
        self.adopt().await;
        kill::point("keeper.adopt.after");
        // Only now: whoever connects finds everything adopted.
        let path = socket_path(self.book.state_dir())?;
        let listener = listen(self.book.state_dir(), &path)?;
        tokio::spawn(rotate_logs(Arc::clone(&self.book)));
        let why = tokio::select! {
            why = self.accept(listener, &path) => why,
            () = self.idle() => "nothing is left to keep",
            () = self.retire.notified() => "a newer one takes over",
        };
        // Whoever connects from now on finds nobody and starts the next keeper.
        let _ = fs::remove_file(&path);
        self.book.say(Seen::KeeperEnded { why: why.into() });
        Ok(())
    }

    async fn adopt(&self) {
        for kept in self.book.read(|table| table.processes.clone()) {
            let mut keep = Keep::new(Arc::clone(&self.book), kept.job.place.clone());
            keep.adopt(&kept);
            self.keeps.lock().await.insert(kept.job.place.clone(), spawn(keep));
        }
        self.routes.rebind().await;
    }

    async fn accept(self: &Arc<Serving>, mut listener: UnixListener, path: &Path) -> &'static str {
        let mut socket = file_id(path);
        loop {
            match timeout(GLANCE, listener.accept()).await {
                // Somebody removed the socket: whoever has the lock opens another one, as nobody else may.
                Err(_) if file_id(path) != socket && self.book.is_ours() => {
                    if let Ok(again) = listen(self.book.state_dir(), path) {
                        (listener, socket) = (again, file_id(path));
                    }
                }
                Err(_) => {}
                Ok(Ok((stream, _))) => {
                    let serving = Arc::clone(self);
                    serving.connected.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        // A command that hangs up in the middle has taken its reason with it.
                        let _ = serving.talk(stream).await;
                        serving.connected.fetch_sub(1, Ordering::SeqCst);
                    });
                }
                Ok(Err(_)) => sleep(GLANCE / 4).await,
            }
        }
    }

    async fn talk(&self, stream: UnixStream) -> Result<()> {
        let peer = stream.peer_cred().map_err(|error| hung_up(&error))?.uid();
        if peer != 0 && peer != rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let (read, write) = stream.into_split();
        let mut stream = join(BufReader::new(read), write);
        self.greet(&mut stream).await?;
        while let Some(ask) = hear(&mut stream).await? {
            let retire = matches!(ask, Ask::Retire {});
            let answer = self.obey(ask).await.unwrap_or_else(Answer::Failed);
            say(&mut stream, &answer).await?;
            if retire {
                self.retire.notify_one();
            }
        }
        Ok(())
    }

    async fn greet(&self, stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin)) -> Result<()> {
        match hear(stream).await? {
            Some(Ask::Hello { .. }) => {
                let version = env!("CARGO_PKG_VERSION").to_owned();
                say(stream, &Answer::Hello { protocol: PROTOCOL, version, pid: std::process::id() }).await
            }
            _ => say(stream, &Answer::Failed(newer("a first message that is not `hello`".into()))).await,
        }
    }

    async fn obey(&self, ask: Ask) -> Result<Answer> {
        match ask {
            Ask::Hello { .. } | Ask::Retire {} => Ok(Answer::Done {}),
            Ask::Start { job, secrets, fresh } => {
                let place = job.place.clone();
                let kept = self.order(&place, |reply| Order::Start { job, secrets, fresh, reply }).await??;
                Ok(Answer::Kept(Some(Box::new(kept))))
            }
            Ask::Wait { place, millis } => {
                let kept = self.settled(&place, Duration::from_millis(millis)).await;
                Ok(Answer::Kept(kept.map(Box::new)))
            }
            Ask::Stop { place } => {
                self.order(&place, |reply| Order::Stop { reply }).await??;
                Ok(Answer::Done {})
            }
            Ask::Route { route } => self.routes.set(*route).await.map(|()| Answer::Done {}),
            Ask::Unroute { place } => self.routes.unset(&place).await.map(|()| Answer::Done {}),
        }
    }

    /// Gives an order to the task of a place, and waits for what it says.
    async fn order<T>(&self, place: &Place, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T> {
        let keep = {
            let mut keeps = self.keeps.lock().await;
            let begin = || spawn(Keep::new(Arc::clone(&self.book), place.clone()));
            keeps.entry(place.clone()).or_insert_with(begin).clone()
        };
        let (reply, answer) = oneshot::channel();
        let gone = |_| hung_up(&io::Error::other("the task of the place ended"));
        keep.send(order(reply)).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))
    }

    async fn settled(&self, place: &Place, most: Duration) -> Option<Kept> {
        let deadline = Instant::now() + most;
        let mut changes = self.book.changes();
        loop {
            changes.mark_unchanged();
            let kept = self.book.read(|table| table.process(place).cloned());
            let unsettled = kept
                .as_ref()
                .is_some_and(|kept| matches!(kept.phase, Phase::Starting { .. } | Phase::Restarting { .. }));
            if !unsettled || timeout_at(deadline, changes.changed()).await.is_err() {
                return kept;
            }
        }
    }

    async fn idle(&self) {
        let mut since = Instant::now();
        while since.elapsed() < IDLE {
            let busy = self.connected.load(Ordering::SeqCst) > 0
                || self.book.read(|table| {
                    let ended = |kept: &Kept| matches!(kept.phase, Phase::Failed(_) | Phase::Lost { .. });
                    !table.routes.is_empty() || !table.processes.iter().all(ended)
                });
            if busy {
                since = Instant::now();
            }
            sleep(GLANCE).await;
        }
    }
}

fn spawn(keep: Keep) -> mpsc::Sender<Order> {
    let (sender, orders) = mpsc::channel(8);
    tokio::spawn(keep.run(orders));
    sender
}

async fn rotate_logs(book: Arc<Book>) {
    loop {
        sleep(LOGS).await;
        let paths: Vec<PathBuf> =
            book.read(|table| table.processes.iter().map(|kept| kept.job.log.clone()).collect());
        // A disk that is full must not end the keeping; the next round tries again.
        let rotate = move || paths.iter().for_each(|log| drop(logs::rotate(log, logs::FULL)));
        let _ = tokio::task::spawn_blocking(rotate).await;
    }
}

/// Where the socket goes: beside the lock, or, where that path is too long for a socket, in a directory that
/// is only this user's; the place is written down then.
fn socket_path(state_dir: &Path) -> Result<PathBuf> {
    let keeper = Layout::new(state_dir).keeper();
    let note = keeper.join("socket-path");
    let own = keeper.join("socket");
    if fits(&own) {
        let _ = fs::remove_file(note);
        return Ok(own);
    }
    let uid = rustix::process::geteuid().as_raw();
    #[expect(clippy::disallowed_methods, reason = "the keeper has no host to ask")]
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let dir = match runtime {
        Some(dir) => dir,
        None => std::env::temp_dir().join(format!("code-keeper-{uid}")),
    };
    let make = || -> io::Result<PathBuf> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let meta = fs::symlink_metadata(&dir)?;
        if meta.uid() != uid || meta.mode() & 0o077 != 0 || !meta.is_dir() {
            return Err(io::Error::other(format!("{} is not only this user's", dir.display())));
        }
        let short = Digest::of(state_dir.as_os_str().as_encoded_bytes()).short();
        let path = dir.join(format!("{short}.sock"));
        fs::write(&note, path.as_os_str().as_encoded_bytes())?;
        Ok(path)
    };
    make().map_err(|error| failed("find a place for the keeper's socket", &dir, error))
}

fn listen(state_dir: &Path, path: &Path) -> Result<UnixListener> {
    let open = || -> io::Result<UnixListener> {
        match fs::remove_file(path) {
            // Whoever has the lock owns the path: what is there is of a keeper that died.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    open().map_err(|error| {
        failed("open the keeper's socket", path, error).with("state", state_dir.display().to_string())
    })
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Failed, "keeper::launch", what)
        .help("check that the state directory is yours to write, and that there is space")
        .with("path", path.display().to_string())
        .because(error)
}
