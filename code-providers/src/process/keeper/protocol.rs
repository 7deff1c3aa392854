//! What a command and the keeper say to each other: one JSON object a line, over a socket that only this
//! user may open.
//!
//! ```text
//! command                                   keeper
//!    │  {"hello":{"protocol":1,…}}            │   first, and understood by every version
//!    │ ─────────────────────────────────────▶ │
//!    │ ◀───────────────────────────────────── │   {"hello":{"protocol":1,"pid":…}}
//!    │  {"start":{"job":…,"secrets":…}}       │
//!    │ ─────────────────────────────────────▶ │   starts it and writes it down, then answers
//!    │ ◀───────────────────────────────────── │   {"kept":…}
//! ```
//!
//! `hello` and `retire` keep their form through all versions, so that a newer command can ask an older
//! keeper to step aside.

use std::collections::BTreeMap;

use code_core::{Error, ErrorKind, Result, Secret};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::table::{Job, Kept, KeptRoute, Place};

/// The version of what is said after `hello`.
pub(super) const PROTOCOL: u32 = 1;

/// What a command asks.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    /// The first message.
    Hello { protocol: u32, version: String },
    /// Steps aside: everything goes on running, and the next keeper adopts it.
    Retire {},
    /// Starts a process, unless the one that is wanted runs; `fresh`: another one, whatever runs.
    Start { job: Box<Job>, secrets: Disclosed, fresh: bool },
    /// Answers when the process of a place is neither starting nor about to be restarted, or after a while.
    Wait { place: Place, millis: u64 },
    /// Stops the process of a place and forgets it.
    Stop { place: Place },
    /// Serves a route, or switches it; answers when the old targets are drained.
    Route { route: Box<KeptRoute> },
    /// Serves a route no longer.
    Unroute { place: Place },
}

impl Ask {
    /// What is asked, in a word.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Ask::Hello { .. } => "hello",
            Ask::Retire {} => "retire",
            Ask::Start { .. } => "start",
            Ask::Wait { .. } => "wait",
            Ask::Stop { .. } => "stop",
            Ask::Route { .. } => "route",
            Ask::Unroute { .. } => "unroute",
        }
    }
}

/// What the keeper answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Hello {
        protocol: u32,
        version: String,
        pid: u32,
    },
    /// The process of the place, or that there is none.
    Kept(Option<Box<Kept>>),
    Done {},
    Failed(Error),
}

/// The values of secret variables, on their way to the keeper: nothing else serialises a secret.
#[derive(Clone, Default)]
pub(in crate::process) struct Disclosed(BTreeMap<String, Secret>);

impl Disclosed {
    pub(in crate::process) fn new(values: BTreeMap<String, Secret>) -> Disclosed {
        Disclosed(values)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, secret)| (name.as_str(), secret.expose()))
    }
}

impl Serialize for Disclosed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Disclosed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Disclosed, D::Error> {
        let plain = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Disclosed(plain.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()))
    }
}

/// Writes one message.
pub(super) async fn say(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> Result<()> {
    let mut line = Zeroizing::new(serde_json::to_vec(message).map_err(|error| garbled(&error))?);
    line.push(b'\n');
    to.write_all(&line).await.map_err(|error| hung_up(&error))?;
    to.flush().await.map_err(|error| hung_up(&error))
}

/// Reads one message; `None` where the other side is gone.
pub(super) async fn hear<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<T>> {
    let mut line = Zeroizing::new(String::new());
    match from.read_line(&mut line).await {
        Ok(0) => Ok(None),
        Ok(_) => serde_json::from_str(&line).map(Some).map_err(|error| garbled(&error)),
        Err(error) => Err(hung_up(&error)),
    }
}

/// The keeper is not there any more.
pub(super) fn hung_up(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "keeper::gone", "talk to the keeper")
        .help("try again: what it kept goes on running, and the next keeper adopts it")
        .because(error)
        .transient()
}

fn garbled(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Bug, "keeper::garbled", "understand what the keeper or the command said")
        // A parser's message may quote what it read, and that may be a secret: only the place is told.
        .with("column", error.column().to_string())
        .help("use one version of CODE for a state directory")
}
