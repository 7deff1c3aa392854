//! The cast that comes with the simulation: resources in memory, in graphs that follow from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chaos::Half;
use super::dice::Dice;
use crate::expr::{Expr, Want};
use crate::intent::Kind;
use crate::memory::{MemoryProvider, World};
use crate::provider::{Change, Class, Live, Provider, Resource};
use crate::recipe::{At, Recipe};
use crate::spec::{Component, Spec};
use crate::{Address, Result};

/// What plays in a story.
#[derive(Clone)]
pub struct Cast {
    /// The providers, each with how half of a change is made, where that can be said.
    pub providers: Vec<(Arc<dyn Provider>, Option<Half>)>,
    /// What components are made of.
    pub recipes: Vec<Arc<dyn Recipe>>,
    /// What is wanted, one after the other; all of one deployment.
    pub wants: Vec<Spec>,
}

const KINDS: [&str; 3] = ["sim.quick", "sim.slow", "sim.rare"];

/// A cast of a seed, with at most this many resources in three kinds, and all that [`MemoryProvider`] can do
/// with them: late outputs, replacements, data that stays, changes that cannot be taken back.
pub fn cast(dice: &mut Dice, size: usize) -> Cast {
    let world = World::new();
    let classes = [Class::Io, Class::Cpu, Class::Mixed];
    let provider = |kind: &'static str, dice: &mut Dice| {
        let provider = MemoryProvider::named(kind, kind, world.clone());
        let provider = provider.class(classes[dice.roll(3)]).concurrency(1 + dice.roll(4));
        (Arc::new(provider) as Arc<dyn Provider>, Some(half_of(&world)))
    };
    let shape = dice.roll(1 << 30);
    let size = 1 + dice.roll(size);
    let want = |variant: usize| {
        let mut app = Component::new("app", Kind::Web);
        let numbers = [("shape", shape), ("size", size), ("variant", variant)];
        app.env = numbers.map(|(name, value)| (name.to_owned(), value.to_string())).into();
        Spec { components: vec![app], ..Spec::new("sim", "story") }
    };
    Cast {
        providers: KINDS.iter().map(|kind| provider(kind, dice)).collect(),
        recipes: vec![Arc::new(Shapes)],
        wants: (0..4).map(|_| want(dice.roll(1000))).collect(),
    }
}

/// A tool that broke off: what is new is there and not yet right, what is replaced or deleted is damaged.
fn half_of(world: &World) -> Half {
    let world = world.clone();
    Arc::new(move |change: &Change| {
        let address = &change.resource.address;
        let drift = vec!["only half of it was done".to_owned()];
        let half = match (world.get(address), &change.resource.want) {
            (Some(live), _) => Some(Live { drift, ..live }),
            (None, Some(want)) if want.is_bound() => {
                let outputs = BTreeMap::from([("id".to_owned(), Expr::from("half"))]);
                Some(Live { id: "half".to_owned(), was: want.clone(), outputs, drift })
            }
            _ => None,
        };
        if half.is_some() {
            world.meddle(address, half);
        }
    })
}

/// Makes of one component a graph of resources: pure, so that an earlier revision is the same again.
#[derive(Debug)]
struct Shapes;

impl Recipe for Shapes {
    fn name(&self) -> &str {
        "sim.shapes"
    }

    fn makes(&self, _: &Spec, _: &Component) -> bool {
        true
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let number = |name: &str| at.component.env.get(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        let (shape, size, variant) = (number("shape"), number("size") as usize, number("variant"));
        let addresses: Vec<Address> =
            (0..size).map(|i| at.address(&format!("r{i}"))).collect::<Result<_>>()?;
        let always = |i: usize| Dice::of(shape, &[b'a', i as u8]);
        let now = |i: usize| Dice::of(shape ^ (variant << 32), &[b'n', i as u8]);
        let there: Vec<bool> = (0..size).map(|i| !now(i).one_in(4)).collect();
        let mut made = Vec::new();
        for i in (0..size).filter(|i| there[*i]) {
            let (mut always, mut now) = (always(i), now(i));
            now.roll(4);
            let kind = KINDS[always.roll(3)];
            let mut want = Want::new()
                .with("value", now.roll(3) as u16)
                .with("fixed.kind", u16::from(now.one_in(5)))
                .with("later.at", format!("{i}.{}", now.roll(2)));
            if always.one_in(14) {
                want = want.with("irreversible", "nobody can");
            }
            let retained = always.one_in(12);
            let mut needs = Vec::new();
            for _ in 0..always.roll(3).min(i) {
                let need = always.roll(i);
                let how = always.roll(3);
                if !there[need] {
                    continue;
                }
                match how {
                    0 => needs.push(addresses[need].clone()),
                    1 => want = want.with(&format!("id{need}"), Expr::output(&addresses[need], "id")),
                    _ => want = want.with(&format!("at{need}"), Expr::output(&addresses[need], "at")),
                }
            }
            let resource = Resource::new(addresses[i].clone(), kind, want);
            let resource = needs.iter().fold(resource, Resource::needs);
            made.push(if retained { resource.retained() } else { resource });
        }
        Ok(made)
    }
}
