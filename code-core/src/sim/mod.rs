//! Whole engines, played from seeds: everything that can go wrong does, and every rule is asked for.
//!
//! ```text
//! seed ─▶ Story ──▶ engine ──▶ Journal ──▶ store        dies before, after and between writes
//!           │          └─────▶ Chaos ────▶ provider     slow, lost reply, half, panic, hang, stale look
//!           │                     └──────┬───▶ Record ──▶ oracle ──▶ violations
//!           └─ plan, apply, resume, roll back, take down
//! ```
//!
//! One seed is one story, on one thread and a clock that jumps: it is played the same way each time, so a
//! broken rule is found again by its seed. [`cast`] is the cast that comes with it; whoever writes a provider
//! can send it through the same stories (`docs/simulation.md`):
//!
//! ```
//! use std::sync::Arc;
//! use code_core::memory::{MemoryProvider, MemoryRecipe, World};
//! use code_core::sim::{Cast, Dice, Story, check};
//! use code_core::spec::{Component, Spec};
//! use code_core::intent::Kind;
//!
//! fn mine(dice: &mut Dice, size: usize) -> Cast {
//!     let mut want = |_| {
//!         let mut web = Component::new("web", Kind::Web);
//!         web.replicas.min = 1 + dice.roll(size) as u32;
//!         web.replicas.max = web.replicas.min;
//!         web.version = Some(dice.roll(3).to_string());
//!         Spec { components: vec![web], ..Spec::new("shop", "staging") }
//!     };
//!     Cast {
//!         wants: (0..3).map(&mut want).collect(),
//!         providers: vec![(Arc::new(MemoryProvider::new(World::new())), None)],
//!         recipes: vec![Arc::new(MemoryRecipe)],
//!     }
//! }
//!
//! for seed in 1..10 {
//!     let story = Story { seed, size: 4, dies: None };
//!     check(story, &mine).unwrap_or_else(|report| panic!("{report}"));
//! }
//! ```
//!
//! The idea is FoundationDB's ("Testing Distributed Systems w/ Deterministic Simulation", Wilson 2014);
//! TigerBeetle's VOPR and Oxide's steno taught which rules to ask for.

mod alone;
mod chaos;
mod dice;
mod journal;
pub mod oracle;
mod record;
mod report;
mod story;
mod world;

pub use chaos::{Chaos, Half, Weather};
pub use dice::Dice;
pub use journal::Journal;
pub use oracle::{Rule, Violation};
pub use record::{Entry, Fate, Life, Limits, Record};
pub use report::{Report, check};
pub use story::{Played, Story};
pub use world::{Cast, cast};
