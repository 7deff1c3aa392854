use super::*;
use crate::Want;
use crate::expr::Expr;
use crate::memory::{MemoryHost, ctx};
use crate::provider::{Action, Effect, Effects, OnDelete, Promise, Reversal};

fn resource() -> Resource {
    Resource::new("web/part".parse().unwrap(), "memory", Want::new().with("port", 80u16))
}

fn live() -> Live {
    Live { id: "7".into(), was: resource().wanted(), outputs: [].into(), drift: vec![] }
}

#[test]
fn a_change_that_breaks_the_contract_is_seen() {
    let resource = resource();
    let check = |seen: Observed, change: Change, expect: Option<&str>| {
        let broken = contract::of_change(&resource, &seen, &change);
        assert_eq!(broken.is_some(), expect.is_some(), "{broken:?}");
        assert!(broken.unwrap_or_default().starts_with(expect.unwrap_or_default()));
    };
    let good = Change::create(&resource, Effects::one(Action::Create, "part"));
    check(Observed::Absent, good.clone(), None);
    let with = |f: fn(&mut Change), expect: &str| {
        let mut change = good.clone();
        f(&mut change);
        check(Observed::Absent, change, Some(expect));
    };
    with(|c| c.action = Action::Delete, "it planned to delete what is wanted");
    with(|c| c.resource.want = None, "it planned the opposite");
    with(|c| c.resource.want = Some(Want::new()), "it dropped a wanted value");
    with(|c| c.resource.kind = "other".into(), "it planned a change of another resource");
    with(|c| c.resource.address = "web/other".parse().unwrap(), "it planned a change of another resource");
    with(|c| c.resource.on_delete = OnDelete::Retain, "it changed what happens to data");
    with(|c| c.action = Action::Keep, "it keeps the resource, and names changes");
    with(|c| (c.action, c.effects) = (Action::Keep, Effects::none()), "it keeps what is not there");
    with(|c| c.action = Action::Replace, "it takes something away");
    with(|c| c.why = "x".repeat(2 << 20), "its answer is larger");
    with(
        |c| {
            c.reversal =
                Reversal::Reversible(Box::new(Resource::absent("db/data".parse().unwrap(), "memory")))
        },
        "its way back leads to another",
    );
    let gone = resource.gone();
    let kept = Change { action: Action::Keep, ..Change::create(&gone, Effects::none()) };
    let broken = contract::of_change(&gone, &Observed::Present(live()), &kept);
    assert_eq!(broken.as_deref(), Some("it keeps what should be gone"));
    assert_eq!(contract::of_change(&gone, &Observed::Absent, &kept), None);
    let open = Effects::Open { at_most: Action::Update, why: String::new() };
    let delete = Change::from_live(Action::Delete, &gone, &live(), open);
    assert!(contract::of_change(&gone, &Observed::Present(live()), &delete).is_some());
    let named = Effects::Exact([Effect::new(Action::Delete, "a"), Effect::new(Action::Update, "b")].into());
    let delete = Change { effects: named, ..delete };
    assert_eq!(contract::of_change(&gone, &Observed::Present(live()), &delete), None);
}

#[test]
fn an_observation_that_breaks_the_contract_is_seen() {
    let mut needing = resource();
    needing.depends_on.push("db/part".parse().unwrap());
    let broken = |seen: &Observed| contract::of_observed(&needing, seen).is_some();
    assert!(!broken(&Observed::Present(live())) && !broken(&Observed::Absent));
    assert!(!broken(&Observed::NotYet("db/part".parse().unwrap())));
    assert!(broken(&Observed::NotYet("cache/part".parse().unwrap())));
    assert!(broken(&Observed::Present(Live { id: String::new(), ..live() })));
    let huge = Want::new().with("x", "x".repeat(2 << 20));
    assert!(broken(&Observed::Present(Live { was: huge, ..live() })));
}

#[test]
fn an_output_that_was_announced_is_there() {
    let change = Change::create(&resource(), Effects::none())
        .output("port", Promise::Stays(80u16.into()))
        .output("pid", Promise::Later);
    let check = |outputs: &[(&str, u16)], broken: bool| {
        let outputs = outputs.iter().map(|(name, value)| ((*name).to_owned(), Expr::from(*value))).collect();
        assert_eq!(broken_promise(&change, &Live { outputs, ..live() }).is_some(), broken);
    };
    check(&[("port", 80), ("pid", 7), ("more", 1)], false);
    check(&[("port", 80)], true);
    check(&[("port", 81), ("pid", 7)], true);
}

#[test]
fn a_secret_is_seen_wherever_data_is() {
    let ctx = ctx(&Arc::new(MemoryHost::new()));
    ctx.redactor().learn(&crate::Secret::new("1234567890"));
    let number: serde_json::Value = serde_json::json!({"a": [{"1234567890": 1}]});
    let parts = Expr::Text(vec!["12345".into(), "67890".into()]);
    for leak in
        [Expr::from("x1234567890"), Expr::Known(1_234_567_890_u64.into()), number.clone().into(), parts]
    {
        assert!(Live { was: Want::new().with("x", leak.clone()), ..live() }.leaks(&ctx));
        assert!(Live { outputs: [("x".to_owned(), leak.clone())].into(), ..live() }.leaks(&ctx));
        let change = || Change::create(&resource(), Effects::none());
        assert!(change().output("x", Promise::Stays(leak.clone())).leaks(&ctx));
        let back = Resource { want: Some(Want::new().with("x", leak.clone())), ..resource() };
        assert!(change().reversal(Reversal::Reversible(Box::new(back))).leaks(&ctx));
        let clean = Live { was: Want::new().with("x", leak), ..live() }.clean(&ctx);
        assert!(!clean.leaks(&ctx) && clean.was.get("x").is_some());
    }
    let note = Change { private: Some(number), ..Change::create(&resource(), Effects::none()) };
    assert!(note.leaks(&ctx));
    assert!(!live().leaks(&ctx) && Live { id: "1234567890".into(), ..live() }.leaks(&ctx));
}

#[tokio::test]
async fn a_panic_is_known_to_be_caught_while_it_unwinds() {
    let inside = async {
        tokio::task::yield_now().await;
        is_calling()
    };
    assert!(caught("x", "y", inside).await.unwrap());
    assert!(!is_calling());
    let error = caught("x", "y", async { panic!("z") }).await.map(|(): ()| ()).unwrap_err();
    assert_eq!((error.code(), error.causes()), ("provider::panicked", &["z".to_owned()][..]));
    assert!(!is_calling());
}
