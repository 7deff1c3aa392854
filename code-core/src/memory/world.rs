//! What exists in memory, who touched it, and which faults a test has laid there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::provider::Live;
use crate::{Address, Key};

/// A world of resources in memory. Cheap to clone; clones share it, as two engines share a machine: it is
/// what remains when one of them is dropped in the middle of a run. Addresses carry no deployment, so each
/// deployment needs a world of its own.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) there: BTreeMap<Address, Live>,
    pub(super) made: u64,
    pub(super) calls: Vec<Call>,
    pub(super) faults: BTreeMap<Address, VecDeque<Fault>>,
    pub(super) hidden: BTreeMap<Address, String>,
    pub(super) takes: BTreeMap<Address, Duration>,
    pub(super) busy: usize,
    pub(super) busiest: usize,
}

/// A call that a provider got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub calling: Calling,
    /// Of which resource.
    pub address: Address,
    /// Under which key.
    pub key: Key,
}

/// What a call asked for, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calling {
    /// `observe`.
    Observe,
    /// `plan`.
    Plan,
    /// `apply` began.
    Apply,
    /// `apply` changed the world: at most once for what is wanted, however often it is called.
    Effect,
}

/// What goes wrong with an `apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails before it does anything, and may succeed when tried again.
    Transient,
    /// It fails before it does anything, and would fail again.
    Permanent,
    /// It makes the change, fails all the same, and does not know what it left.
    AfterEffect,
    /// It neither makes the change nor returns before it is cancelled.
    Hangs,
}

impl World {
    /// An empty world.
    pub fn new() -> World {
        World::default()
    }

    /// What exists at an address.
    pub fn get(&self, address: &Address) -> Option<Live> {
        self.inner(|inner| inner.there.get(address).cloned())
    }

    /// Everything that exists.
    pub fn all(&self) -> BTreeMap<Address, Live> {
        self.inner(|inner| inner.there.clone())
    }

    /// Changes the world behind everybody's back: `None` takes away what is there.
    pub fn meddle(&self, address: &Address, live: Option<Live>) {
        self.inner(|inner| match live {
            Some(live) => inner.there.insert(address.clone(), live),
            None => inner.there.remove(address),
        });
    }

    /// The next `times` calls of `apply` at an address go wrong so, after those that are already due.
    pub fn fail(&self, address: &Address, fault: Fault, times: usize) {
        self.inner(|inner| {
            inner.faults.entry(address.clone()).or_default().extend(std::iter::repeat_n(fault, times));
        });
    }

    /// From now on nobody may look there (`why`), or may again (`None`).
    pub fn hide(&self, address: &Address, why: Option<&str>) {
        self.inner(|inner| match why {
            Some(why) => inner.hidden.insert(address.clone(), why.to_owned()),
            None => inner.hidden.remove(address),
        });
    }

    /// From now on `apply` takes this long there, by the host's clock.
    pub fn takes(&self, address: &Address, time: Duration) {
        self.inner(|inner| {
            inner.takes.insert(address.clone(), time);
        });
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.inner(|inner| inner.calls.clone())
    }

    /// How many calls of one sort there were.
    pub fn count(&self, calling: Calling) -> usize {
        self.inner(|inner| inner.calls.iter().filter(|call| call.calling == calling).count())
    }

    /// How many calls of one sort there were at an address.
    pub fn count_at(&self, calling: Calling, address: &Address) -> usize {
        self.inner(|inner| {
            inner.calls.iter().filter(|call| call.calling == calling && call.address == *address).count()
        })
    }

    /// The most `apply` calls that were under way at once.
    pub fn busiest(&self) -> usize {
        self.inner(|inner| inner.busiest)
    }

    pub(super) fn inner<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut lock(&self.0))
    }
}

/// What exists, by address.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner(|inner| {
            f.debug_map().entries(inner.there.iter().map(|(at, live)| (at, &live.id))).finish()
        })
    }
}
