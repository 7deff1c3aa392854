//! Everything that happened in a story, in one order: what the oracle judges.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::engine::breaker::BreakerPolicy;
use crate::event::{Event, Outcome};
use crate::expr::Want;
use crate::provider::Class;
use crate::store::Seq;
use crate::{Address, Key};

/// Something that happened. An engine from its start to its end or death is a *life*, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// What the engine may do at once, and how often it may try.
    Limits(Limits),
    /// What exists, seen by nobody in the story. Taken between runs only.
    World(BTreeMap<Address, Want>),
    /// An engine begins to work.
    Began {
        /// Which.
        life: u32,
    },
    /// An engine begins to write what it decided.
    Writes {
        /// Which engine.
        life: u32,
    },
    /// An event is durable.
    Wrote {
        /// By whom.
        life: u32,
        /// Its place.
        seq: Seq,
        /// What it says.
        event: Box<Event>,
    },
    /// An engine was told that events are not written.
    Refused {
        /// Which engine.
        life: u32,
    },
    /// A provider told what is there.
    Looked {
        /// Who asked.
        life: u32,
        /// Where.
        address: Address,
        /// Under which key.
        key: Key,
        /// Whether that is what is wanted; `None` where it could not be told.
        settled: Option<bool>,
    },
    /// A provider was asked to change something.
    Called {
        /// Who asked.
        life: u32,
        /// Where.
        address: Address,
        /// Under which key.
        key: Key,
    },
    /// The world is another one than before the call.
    Effect {
        /// Who asked.
        life: u32,
        /// Where.
        address: Address,
        /// Under which key.
        key: Key,
        /// Whether the change is complete.
        whole: bool,
    },
    /// A call came back.
    Returned {
        /// Who asked.
        life: u32,
        /// Where.
        address: Address,
        /// Under which key.
        key: Key,
        /// Whether it said that all went well.
        good: bool,
    },
    /// Somebody asked an engine to stop.
    Cancelled {
        /// Which.
        life: u32,
    },
    /// An engine died in the middle of something.
    Died {
        /// Which.
        life: u32,
    },
    /// An engine came to an end by itself.
    Ended {
        /// Which.
        life: u32,
        /// How, or the code of the error; `None` where there was nothing to do.
        how: Result<Option<Outcome>, String>,
    },
    /// Somebody set the clock: so many milliseconds ahead, or back where it is less than nothing.
    ClockSet(i64),
    /// Everything that was written after this place is lost.
    Lost {
        /// The last event that is still there.
        last: Seq,
    },
    /// From here on nothing goes wrong any more.
    Calm,
    /// What was wanted was said to be reached, and this would still have to be done.
    LeftToDo(Vec<String>),
    /// What is there and recorded nowhere, and not said to be in doubt.
    Unlisted(Vec<Address>),
    /// All was to be taken down, and this is still there.
    Orphans(Vec<Address>),
    /// The story could not go on.
    Stuck(String),
}

/// What an engine may do at once, how often it may try, and when it is to leave a provider alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Steps in all.
    pub total: usize,
    /// Steps that compute.
    pub cpu: usize,
    /// The steps of each provider, by its name, and what they spend.
    pub providers: BTreeMap<String, (usize, Class)>,
    /// Attempts at a step.
    pub attempts: u32,
    /// When a provider is left alone.
    pub breaker: BreakerPolicy,
}

/// The order of everything that happened. Cheap to clone; clones write into one.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Vec<Entry>>>);

impl Record {
    /// Writes down what happened.
    pub fn note(&self, entry: Entry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// All that happened.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much happened.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// When something happens to an engine, counted in moments of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The moment at which it dies.
    pub dies: Option<u64>,
    /// How many moments after its run began to go back it is asked to stop.
    pub stops_back: Option<u64>,
    /// The moment at which it is asked to stop.
    pub stops: Option<u64>,
    /// The moment from which on it is refused to write: its lease is somebody else's.
    pub loses: Option<u64>,
}

/// One engine from its start to its end or death.
///
/// Store and provider pass a *moment* before and after each thing that outlives an engine; at the moment of
/// its death nothing that it is in the middle of goes on.
#[derive(Debug)]
pub struct Life {
    /// Which one it is.
    pub number: u32,
    /// Where all that it does is written down.
    pub record: Record,
    fate: Fate,
    moments: Mutex<u64>,
    /// The moment at which it is asked to stop on the way back.
    stops_back: Mutex<Option<u64>>,
    dead: CancellationToken,
    stop: CancellationToken,
}

impl Life {
    /// A life with this fate.
    pub fn new(number: u32, record: &Record, fate: Fate) -> Arc<Life> {
        record.note(Entry::Began { life: number });
        Arc::new(Life {
            number,
            record: record.clone(),
            fate,
            moments: Mutex::new(0),
            stops_back: Mutex::new(None),
            dead: CancellationToken::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Passes a moment: the engine may be asked to stop, and it may die; then this never returns.
    pub async fn moment(&self) {
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let now = {
            let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
            *moments += 1;
            *moments
        };
        let back = *self.stops_back.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fate.stops == Some(now) || back == Some(now) {
            self.record.note(Entry::Cancelled { life: self.number });
            self.stop.cancel();
        }
        if self.fate.dies == Some(now) {
            self.record.note(Entry::Died { life: self.number });
            self.dead.cancel();
            std::future::pending::<()>().await;
        }
    }

    /// Its run begins to go back.
    pub fn turns_back(&self) {
        let stops = self.fate.stops_back.map(|after| self.moments() + after);
        *self.stops_back.lock().unwrap_or_else(PoisonError::into_inner) = stops;
    }

    /// Whether its lease is somebody else's.
    pub fn has_lost(&self) -> bool {
        self.fate.loses.is_some_and(|moment| moment <= self.moments())
    }

    /// How many moments it has passed.
    pub fn moments(&self) -> u64 {
        *self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancelled when it is dead.
    pub fn dead(&self) -> &CancellationToken {
        &self.dead
    }

    /// Cancelled when it is asked to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
