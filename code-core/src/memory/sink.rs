//! A sink that keeps what it is offered.

use std::sync::Mutex;

use super::lock;
use crate::event::{Body, Event, Sink};

/// Keeps every event that it is offered, in order.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<Vec<Event>>);

impl MemorySink {
    /// A sink that has seen nothing.
    pub fn new() -> MemorySink {
        MemorySink::default()
    }

    /// What it was offered so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0).clone()
    }

    /// What it was offered so far, without the times.
    pub fn bodies(&self) -> Vec<Body> {
        lock(&self.0).iter().map(|event| event.body.clone()).collect()
    }

    /// What it was offered since it was last asked.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.0))
    }
}

impl Sink for MemorySink {
    fn offer(&self, event: &Event) {
        lock(&self.0).push(event.clone());
    }
}
