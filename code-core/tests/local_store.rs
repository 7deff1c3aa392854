//! The journal on this machine's disk: what it keeps, what it notices, and what a crash leaves.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use code_core::checks::{Approval, How};
use code_core::event::{Body, Event, Outcome};
use code_core::local::LocalStore;
use code_core::memory::{self, MemoryHost, MemoryStore};
use code_core::provider::{Live, Observed};
use code_core::request::Request;
use code_core::scanner::{Cost, CostItem, Finding, Report, Verdict};
use code_core::store::{Lease, Seq};
use code_core::{Ctx, Digest, Error, ErrorKind, Expr, Key, Layout, RunId, StateStore, StepId, Want};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};

const SHOP: &str = "shop/staging";
const TTL: Duration = Duration::from_secs(60);

fn ctx() -> Ctx {
    memory::ctx(&Arc::new(MemoryHost::new()))
}

fn store(dir: &Path) -> LocalStore {
    LocalStore::new(&Layout::new(dir))
}

fn file(dir: &Path, extension: &str) -> PathBuf {
    dir.join(format!("journal/shop@staging.{extension}"))
}

/// A small event that says which of which batch it is.
fn event(batch: u64, index: u64, size: u64) -> Event {
    let body = Body::StepSkipped { run: RunId(batch), step: StepId(0), why: format!("{index}/{size}") };
    Event { at: Timestamp::UNIX_EPOCH, body }
}

fn batch(number: u64, size: u64) -> Vec<Event> {
    (1..=size).map(|index| event(number, index, size)).collect()
}

/// Everything that can be read, and what ended it.
async fn read(store: &dyn StateStore, after: Seq) -> (Vec<(Seq, Event)>, Option<Error>) {
    let mut events = Vec::new();
    let mut stream = store.read(SHOP, after);
    while let Some(next) = stream.next().await {
        match next {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

async fn lease(store: &dyn StateStore) -> Result<Lease, Error> {
    store.lease(&ctx(), SHOP, "ann", TTL).await
}

/// A journal of these batches whose writer ended as it should.
async fn written(dir: &Path, sizes: &[u64]) {
    let store = store(dir);
    let lease = lease(&store).await.unwrap();
    let mut last = Seq::START;
    for (number, size) in (1..).zip(sizes) {
        last = store.append(&ctx(), &lease, last, &batch(number, *size)).await.unwrap();
    }
    store.release(&ctx(), lease).await.unwrap();
}

/// The rules of the trait that hold for every store.
async fn keeps_the_rules(store: &dyn StateStore) {
    let ctx = ctx();
    let code = |result: Result<Seq, Error>| result.unwrap_err().code().to_owned();
    assert_eq!(read(store, Seq::START).await, (vec![], None), "nothing is there before the first event");
    let first = lease(store).await.unwrap();
    assert_eq!(store.deployments().count().await, 0);
    let error = store.lease(&ctx, SHOP, "bob", TTL).await.unwrap_err();
    assert_eq!((error.code(), error.message().contains("ann")), ("store::locked", true), "{error}");
    let other = store.lease(&ctx, "shop/production", "bob", TTL).await.unwrap();
    let two = batch(1, 2);
    assert_eq!(store.append(&ctx, &first, Seq(0), &two).await.unwrap(), Seq(2));
    assert_eq!(store.append(&ctx, &first, Seq(2), &[]).await.unwrap(), Seq(2));
    for stale in [Seq(0), Seq(1), Seq(3), Seq(u64::MAX)] {
        assert_eq!(code(store.append(&ctx, &first, stale, &two).await), "store::conflict");
    }
    assert_eq!(store.append(&ctx, &first, Seq(2), &batch(2, 1)).await.unwrap(), Seq(3));
    let forged = Lease { fence: first.fence + 1, ..first.clone() };
    assert_eq!(code(store.append(&ctx, &forged, Seq(3), &two).await), "store::fenced");
    store.release(&ctx, first.clone()).await.unwrap();
    store.release(&ctx, first.clone()).await.unwrap();
    assert_eq!(code(store.append(&ctx, &first, Seq(3), &two).await), "store::fenced");
    let second = store.lease(&ctx, SHOP, "bob", TTL).await.unwrap();
    assert!(second.fence > first.fence && second.holder == "bob");
    assert_eq!(code(store.append(&ctx, &first, Seq(3), &two).await), "store::fenced");
    store.release(&ctx, first).await.unwrap();
    store.append(&ctx, &second, Seq(3), &batch(3, 1)).await.unwrap();
    let expected: Vec<_> = (1..).map(Seq).zip([two, batch(2, 1), batch(3, 1)].concat()).collect();
    for after in 0..6 {
        let (events, error) = read(store, Seq(after)).await;
        assert_eq!((events.as_slice(), error), (&expected[expected.len().min(after as usize)..], None));
    }
    store.append(&ctx, &other, Seq(0), &batch(1, 1)).await.unwrap();
    let names: Vec<String> = store.deployments().try_collect().await.unwrap();
    assert_eq!(names, ["shop/production", "shop/staging"]);
    for hostile in ["", "shop", "/", "../../x", "shop/..", "a/b/c", "-rf/x", "$(x)/y", "shop/\u{202e}x"] {
        assert!(store.lease(&ctx, hostile, "ann", TTL).await.is_err(), "{hostile:?}");
    }
}

#[tokio::test]
async fn both_stores_keep_the_rules() {
    keeps_the_rules(&MemoryStore::new()).await;
    let dir = tempfile::tempdir().unwrap();
    keeps_the_rules(&store(dir.path())).await;
    let error = read_of(&store(dir.path()), "../x").await;
    assert!(error.code().starts_with("id::"), "{error:?}");
    // What lies beside the journals is none of them.
    std::fs::write(dir.path().join("journal/notes.log"), "x").unwrap();
    std::fs::write(dir.path().join("journal/A@B.log"), vec![0; 500]).unwrap();
    assert_eq!(store(dir.path()).deployments().count().await, 2);
}

async fn read_of(store: &dyn StateStore, name: &str) -> Error {
    store.read(name, Seq::START).try_collect::<Vec<_>>().await.unwrap_err()
}

fn any_error() -> impl Strategy<Value = Error> {
    (any::<String>(), any::<Option<String>>(), any::<bool>()).prop_map(|(message, help, transient)| {
        let error = Error::new(ErrorKind::Failed, "test::failed", message).with("path", "/x\u{0}\u{7f}");
        let error = if transient { error.transient() } else { error };
        help.map_or(error.clone(), |help| error.help(help))
    })
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Expr::from),
        any::<f64>()
            .prop_filter("JSON has no infinities", |n| n.is_finite())
            .prop_map(|n| Expr::Known(n.into())),
        any::<i64>().prop_map(|n| Expr::Known(n.into())),
        any::<u64>().prop_map(|n| Expr::Known(n.into())),
        "[a-z/]{1,20}".prop_map(Expr::secret),
        "[a-z]{1,9}/[a-z]{1,9}".prop_map(|a| Expr::output(&a.parse().unwrap(), "url")),
    ];
    leaf.prop_recursive(3, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Expr::Text))
}

fn any_live() -> impl Strategy<Value = Live> {
    let map = || prop::collection::btree_map(any::<String>(), any_expr(), 0..4);
    (any::<String>(), map(), map(), prop::collection::vec(any::<String>(), 0..2)).prop_map(
        |(id, was, outputs, drift): (_, BTreeMap<_, _>, _, _)| Live { id, was: Want(was), outputs, drift },
    )
}

fn any_body() -> impl Strategy<Value = Body> {
    let run = || any::<u64>().prop_map(RunId);
    let step = || any::<u32>().prop_map(StepId);
    let digest = || any::<[u8; 32]>().prop_map(Digest::from_bytes);
    let at = (0i64..4_000_000_000, 0i32..1_000_000_000).prop_map(|(s, n)| Timestamp::new(s, n).unwrap());
    prop_oneof![
        (any::<String>(), any::<String>(), at.clone())
            .prop_map(|(text, who, at)| Body::Requested { request: Request { text, who, at } }),
        (digest(), any::<String>(), any::<f64>().prop_filter("finite", |n| n.is_finite())).prop_map(
            |(subject, message, price)| {
                let item = CostItem { at: "web".into(), monthly: Some(price), why: message.clone() };
                let finding = Finding::new("a.rule", Some("/x"), Verdict::Unknown, message);
                let cost = Some(Cost { currency: "EUR".into(), items: vec![item] });
                let report = Report { scanner: "s".into(), subject, findings: vec![finding], cost };
                Body::Judged { reports: vec![report], accepted: vec!["a".into()] }
            }
        ),
        (digest(), any::<String>(), at).prop_map(|(plan, by, at)| Body::Approved {
            approval: Approval { plan, by, at, how: How::Prompt }
        }),
        (run(), step(), any::<bool>(), any::<u32>(), digest()).prop_map(|(run, step, undo, attempt, key)| {
            Body::StepStarted { run, step, undo, attempt, key: Key(key) }
        }),
        (run(), step(), any::<u64>(), any_error()).prop_map(|(run, step, after_ms, error)| {
            Body::StepRetries { run, step, undo: false, attempt: 1, after_ms, error, untouched: false }
        }),
        (run(), step(), any::<bool>(), prop::option::of(any_live()))
            .prop_map(|(run, step, undo, live)| Body::StepDone { run, step, undo, live }),
        (run(), step(), any_error(), any_live(), any::<bool>()).prop_map(
            |(run, step, error, live, untouched)| {
                let left = Observed::Present(live);
                Body::StepFailed { run, step, undo: true, error, left, untouched }
            }
        ),
        run().prop_map(|run| Body::RunEnded { run, outcome: Outcome::RolledBack }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_appended_is_read_back(batches in prop::collection::vec(prop::collection::vec(any_body(), 1..5), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = Timestamp::new(1_700_000_000, 123_456_789).unwrap();
        let batches: Vec<Vec<Event>> =
            batches.into_iter().map(|b| b.into_iter().map(|body| Event { at, body }).collect()).collect();
        runtime.block_on(async {
            let store = store(dir.path());
            let lease = lease(&store).await.unwrap();
            let mut last = Seq::START;
            for batch in &batches {
                last = store.append(&ctx(), &lease, last, batch).await.unwrap();
            }
            let (events, error) = read(&store, Seq::START).await;
            assert_eq!(error, None);
            let text = |event: &Event| serde_json::to_string(event).unwrap();
            let written: Vec<String> = batches.iter().flatten().map(text).collect();
            let back: Vec<String> = events.iter().map(|(_, event)| text(event)).collect();
            assert_eq!(back, written);
            assert!(events.iter().map(|(_, event)| event).eq(batches.iter().flatten()));
        });
    }
}

/// What is readable is a prefix of whole batches, and not longer than what was written.
fn whole_batches(events: &[(Seq, Event)], sizes: &[u64]) -> usize {
    let mut rest = events;
    for (count, (number, size)) in (1..).zip(sizes).enumerate() {
        if rest.is_empty() {
            return count;
        }
        let (these, others) = rest.split_at_checked(*size as usize).expect("only whole batches");
        assert!(these.iter().map(|(_, event)| event).eq(&batch(number, *size)), "{these:?}");
        rest = others;
    }
    assert!(rest.is_empty());
    sizes.len()
}

#[tokio::test]
async fn flipped_bytes_and_cuts_of_real_files_are_noticed() {
    const SIZES: [u64; 3] = [1, 3, 2];
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    written(dir, &SIZES).await;
    let (log, head) = (file(dir, "log"), file(dir, "head"));
    let good = std::fs::read(&log).unwrap();
    let noted = std::fs::read(&head).unwrap();
    // Where each batch ends: the whole is found again when nothing is damaged.
    let ends: Vec<usize> = {
        let mut ends = Vec::new();
        for cut in 0..=good.len() {
            std::fs::write(&log, &good[..cut]).unwrap();
            std::fs::remove_file(&head).ok();
            let (events, _) = read(&store(dir), Seq::START).await;
            if whole_batches(&events, &SIZES) > ends.len() {
                ends.push(cut);
            }
        }
        ends
    };
    assert_eq!((ends.len(), ends[2]), (3, good.len()));
    let (mut checked, mut torn, mut silent) = (0, 0, 0);
    let mut check = async |bytes: &[u8], damaged_at: usize, knows: bool| {
        std::fs::write(&log, bytes).unwrap();
        if knows {
            std::fs::write(&head, &noted).unwrap()
        } else {
            std::fs::remove_file(&head).unwrap_or(())
        }
        let before = ends.iter().filter(|end| **end <= damaged_at).count();
        let store = store(dir);
        let (events, error) = read(&store, Seq::START).await;
        assert_eq!(whole_batches(&events, &SIZES), before, "byte {damaged_at}: {error:?}");
        match lease(&store).await {
            Err(error) => {
                let code = error.code().to_owned();
                let expected = ["journal::damaged", "journal::foreign", "journal::version"];
                assert!(expected.contains(&code.as_str()), "byte {damaged_at}: {error:?}");
                assert!(error.help_text().is_some());
                assert_eq!(std::fs::read(&log).unwrap(), bytes, "nothing that is damaged is written to");
            }
            Ok(lease) => {
                let cuts = store.cuts();
                assert!(!knows, "byte {damaged_at}: it was known to be good");
                // A shorter journal that ends with a batch is a good one, as far as anybody can tell who
                // was not told how long it was.
                let shorter = bytes == &good[..bytes.len()] && cuts.is_empty();
                assert!(cuts.len() == 1 || shorter, "byte {damaged_at}");
                torn += cuts.len();
                silent += usize::from(shorter);
                for cut in &cuts {
                    let saved = std::fs::read(&cut.saved).unwrap();
                    assert_eq!([&std::fs::read(&log).unwrap(), saved.as_slice()].concat(), bytes);
                    std::fs::remove_file(&cut.saved).unwrap();
                }
                store.release(&ctx(), lease).await.unwrap();
            }
        }
        checked += 1;
    };
    for knows in [true, false] {
        // Every byte and every bit of a smaller one are changed where files cost nothing, in the crate itself.
        let borders = [16 + SHOP.len() + 32, ends[0], ends[1]];
        for at in (0..good.len()).filter(|at| at % 11 == 0 || borders.contains(at)) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            check(&bytes, at, knows).await;
            check(&good[..at], at, knows).await;
        }
    }
    // At the header, the first and the second batch, where nothing was noted beside the log.
    assert_eq!(silent, 3);
    println!(
        "a journal of {} bytes: {} of {checked} flips and cuts noticed, {torn} taken for a torn end; the other \
         {silent} end with a whole batch",
        good.len(),
        checked - silent,
    );
}

#[tokio::test]
async fn damage_before_the_end_names_the_record_and_stops_writers() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[2, 2, 2]).await;
    std::fs::remove_file(file(dir.path(), "head")).unwrap();
    let mut bytes = std::fs::read(file(dir.path(), "log")).unwrap();
    let third = bytes.windows(3).position(|w| w == b"1/2").unwrap();
    let third = third + 3 + bytes[third + 3..].windows(3).position(|w| w == b"1/2").unwrap();
    bytes[third] = b'9';
    std::fs::write(file(dir.path(), "log"), bytes).unwrap();
    let (events, error) = read(&store(dir.path()), Seq::START).await;
    assert_eq!(whole_batches(&events, &[2, 2, 2]), 1);
    let error = error.unwrap();
    assert_eq!((error.code(), error.message().contains("record 3")), ("journal::damaged", true), "{error:?}");
    assert_eq!(lease(&store(dir.path())).await.unwrap_err().code(), "journal::damaged");
}

#[tokio::test]
async fn a_record_of_another_history_is_not_believed() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = |number| vec![event(number + 5, 1, 1)];
    written(ours.path(), &[1, 1, 1]).await;
    let store_of_theirs = store(theirs.path());
    let lease_of_theirs = lease(&store_of_theirs).await.unwrap();
    for number in 0..3 {
        let (place, events) = (Seq(number), other(number));
        store_of_theirs.append(&ctx(), &lease_of_theirs, place, &events).await.unwrap();
    }
    let log = file(ours.path(), "log");
    let (mine, other) = (std::fs::read(&log).unwrap(), std::fs::read(file(theirs.path(), "log")).unwrap());
    assert_eq!(mine.len(), other.len());
    // The second and third record of another journal, each whole and in its place.
    let header = 16 + SHOP.len() + 32;
    let second = header + (mine.len() - header) / 3;
    std::fs::write(&log, [&mine[..second], &other[second..]].concat()).unwrap();
    std::fs::remove_file(file(ours.path(), "head")).unwrap();
    let error = lease(&store(ours.path())).await.unwrap_err();
    assert_eq!((error.code(), error.message().contains("record 2")), ("journal::damaged", true), "{error:?}");
    // A whole other journal, where it is known how this one ended.
    std::fs::write(&log, &mine).unwrap();
    let mended = store(ours.path());
    let lease_of_ours = lease(&mended).await.unwrap();
    mended.release(&ctx(), lease_of_ours).await.unwrap();
    std::fs::write(&log, &other).unwrap();
    assert_eq!(lease(&store(ours.path())).await.unwrap_err().code(), "journal::damaged");
}

#[tokio::test]
async fn what_is_no_journal_of_this_deployment_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &[1]).await;
    let good = std::fs::read(file(dir.path(), "log")).unwrap();
    let check = async |bytes: Option<&[u8]>, code: &str| {
        match bytes {
            Some(bytes) => std::fs::write(file(dir.path(), "log"), bytes).unwrap(),
            None => std::fs::remove_file(file(dir.path(), "log")).unwrap(),
        }
        let error = lease(&store(dir.path())).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
    };
    check(Some(b"hello, this is a diary"), "journal::foreign").await;
    check(Some(b""), "journal::foreign").await;
    let other = [&b"CODEJRN\n\x01\0\0\0\x0c\0\0\0shop/staging"[..], &good[60..]].concat();
    check(Some(&other), "journal::damaged").await;
    check(None, "journal::damaged").await;
    std::fs::remove_file(file(dir.path(), "head")).unwrap();
    // A person said that it may begin anew.
    written(dir.path(), &[1]).await;
    std::fs::rename(file(dir.path(), "log"), dir.path().join("journal/shop@production.log")).unwrap();
    let error = store(dir.path()).lease(&ctx(), "shop/production", "ann", TTL).await.unwrap_err();
    assert_eq!((error.code(), error.message().contains(SHOP)), ("journal::foreign", true), "{error:?}");
}

#[tokio::test]
async fn a_reader_sees_whole_batches_during_writes() {
    let dir = tempfile::tempdir().unwrap();
    let sizes: Vec<u64> = (0..150).map(|n| n % 4 + 1).collect();
    let (tell, durable) = tokio::sync::watch::channel(Seq::START);
    let write = async {
        let store = store(dir.path());
        let lease = lease(&store).await.unwrap();
        for (number, size) in (1..).zip(&sizes) {
            let last = store.append(&ctx(), &lease, *tell.borrow(), &batch(number, *size)).await.unwrap();
            tell.send_replace(last);
        }
        drop(tell);
    };
    let watch = async {
        let reader = store(dir.path());
        let mut reads = 0;
        while durable.has_changed().is_ok() {
            let before = *durable.borrow();
            let (events, error) = read(&reader, Seq::START).await;
            assert_eq!(error, None);
            whole_batches(&events, &sizes);
            assert!(events.len() as u64 >= before.0, "what was durable is seen");
            reads += 1;
        }
        reads
    };
    let ((), reads) = tokio::join!(write, watch);
    assert_eq!(whole_batches(&read(&store(dir.path()), Seq::START).await.0, &sizes), 150);
    println!("{reads} reads during 150 batches");
}

#[tokio::test]
async fn a_hundred_thousand_events() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    written(dir.path(), &[500; 200]).await;
    let wrote = began.elapsed();
    let (events, error) = read(&store(dir.path()), Seq::START).await;
    assert_eq!((events.len(), error), (100_000, None));
    assert_eq!(events.last().unwrap().0, Seq(100_000));
    println!("100000 events in 200 batches: written in {wrote:?}, read in {:?}", began.elapsed() - wrote);
    assert_eq!(read(&store(dir.path()), Seq(99_990)).await.0.len(), 10);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let below_a_file = lease(&store(&dir.path().join("file"))).await.unwrap_err();
    assert_eq!(below_a_file.code(), "journal::io");
    // Root may write anywhere but here.
    let denied = lease(&store(Path::new("/sys/code-test"))).await.unwrap_err();
    assert_eq!((denied.code(), denied.kind()), ("journal::denied", ErrorKind::Denied), "{denied:?}");
    assert!(denied.help_text().unwrap().contains("--state"));
    assert_eq!(read(&store(Path::new("/sys/code-test")), Seq::START).await, (vec![], None));
}

#[tokio::test]
async fn a_lock_that_was_removed_is_no_lease() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (store(dir.path()), store(dir.path()));
    let first = lease(&one).await.unwrap();
    std::fs::remove_file(file(dir.path(), "lock")).unwrap();
    let second = lease(&two).await.unwrap();
    assert!(second.fence > first.fence);
    let error = one.append(&ctx(), &first, Seq(0), &batch(1, 1)).await.unwrap_err();
    assert_eq!(error.code(), "store::fenced");
    two.append(&ctx(), &second, Seq(0), &batch(1, 1)).await.unwrap();
}

/// Everything below a directory.
fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| [vec![path.clone()], below(&path)].concat()).collect()
}

#[tokio::test]
async fn a_lease_under_which_nothing_was_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("some/state");
    let (one, two) = (store(&state), store(&state));
    for store in [&one, &two, &one] {
        let held = lease(store).await.unwrap();
        assert_eq!(lease(&two).await.unwrap_err().code(), "store::locked");
        assert_eq!(store.append(&ctx(), &held, Seq::START, &[]).await.unwrap(), Seq::START);
        assert!(file(&state, "lock").exists() && !file(&state, "log").exists());
        assert_eq!(one.deployments().count().await, 0);
        assert_eq!(store.trouble(SHOP, None).await.unwrap(), None);
        store.release(&ctx(), held).await.unwrap();
        assert_eq!(below(dir.path()), Vec::<PathBuf>::new());
    }
    // What an older build left of one, and what is somebody else's.
    written(&state, &[1]).await;
    let header = &std::fs::read(file(&state, "log")).unwrap()[..16 + SHOP.len() + 32];
    std::fs::write(file(&state, "log"), header).unwrap();
    std::fs::remove_file(file(&state, "head")).unwrap();
    let held = lease(&one).await.unwrap();
    one.release(&ctx(), held).await.unwrap();
    assert_eq!(below(&state), [state.join("journal")], "it was there before");
    // A journal with events stays as it is.
    written(&state, &[1]).await;
    let before = below(&state);
    let held = lease(&one).await.unwrap();
    one.release(&ctx(), held).await.unwrap();
    assert_eq!(below(&state), before);
    assert_eq!(one.repair(&ctx(), "shop/production", "ann", None).await.unwrap(), None);
    assert_eq!(below(&state), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_come_and_go_and_write_nothing_one_holds_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let holders = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let comes_and_goes = |_| {
        let (store, holders) = (store(&state), Arc::clone(&holders));
        tokio::spawn(async move {
            let mut held = 0;
            while held < 50 {
                let lease = match lease(&store).await {
                    Ok(lease) => lease,
                    Err(error) => {
                        assert_eq!(error.code(), "store::locked", "{error:?}");
                        tokio::task::yield_now().await;
                        continue;
                    }
                };
                assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two hold it");
                store.append(&ctx(), &lease, Seq::START, &[]).await.unwrap();
                holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                store.release(&ctx(), lease).await.unwrap();
                held += 1;
            }
        })
    };
    for one in (0..4).map(comes_and_goes).collect::<Vec<_>>() {
        tokio::time::timeout(Duration::from_secs(120), one).await.expect("in time").unwrap();
    }
    let files: Vec<PathBuf> = below(dir.path()).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(files, Vec::<PathBuf>::new());
}

// What follows needs another process: this test program, started again with a part to play.

/// Plays the part that it was started for; as a test of its own it does nothing.
#[tokio::test]
async fn other_process() {
    let host = code_core::local::LocalHost::new();
    let var = |name: &str| code_core::Host::env(&host, name);
    let (Some(part), Some(dir)) = (var("CODE_TEST_PART"), var("CODE_TEST_DIR")) else { return };
    let store = store(Path::new(&dir));
    let ctx = Ctx::new(Arc::new(host), Arc::new(memory::MemorySecrets::new()), &dir);
    let lease = match store.lease(&ctx, SHOP, "the other", TTL).await {
        Ok(lease) => lease,
        Err(error) => return println!("\nrefused {} {error}", error.code()),
    };
    println!("\nleased {}", lease.fence);
    match part.as_str() {
        "hold" => std::future::pending().await,
        "write" => write_for_ever(&store, &ctx, &lease).await,
        "fill" => fill_the_disk(&store, &ctx, &lease).await,
        _ => unreachable!(),
    }
}

/// Batches of many sizes, some so large that a kill comes in the middle of their write.
async fn write_for_ever(store: &LocalStore, ctx: &Ctx, lease: &Lease) {
    let (events, _) = read(store, Seq::START).await;
    let mut last = events.last().map_or(Seq::START, |(seq, _)| *seq);
    loop {
        let size = last.0 % 4 + 1;
        let weight = if last.0.is_multiple_of(3) { 1 << 19 } else { 10 };
        let events: Vec<Event> = (1..=size)
            .map(|index| {
                let why = format!("{index}/{size}/{}", "x".repeat(weight));
                let body = Body::StepSkipped { run: RunId(last.0), step: StepId(0), why };
                Event { at: Timestamp::UNIX_EPOCH, body }
            })
            .collect();
        last = store.append(ctx, lease, last, &events).await.unwrap();
        println!("durable {last}");
    }
}

async fn fill_the_disk(store: &LocalStore, ctx: &Ctx, lease: &Lease) {
    let large = Body::StepSkipped { run: RunId(1), step: StepId(0), why: "x".repeat(1 << 20) };
    let large = Event { at: Timestamp::UNIX_EPOCH, body: large };
    let last = store.append(ctx, lease, Seq(0), &batch(1, 2)).await.unwrap();
    let error = store.append(ctx, lease, last, &[event(2, 1, 2), large]).await.unwrap_err();
    println!("failed {} {}", error.code(), error.help_text().is_some());
    let last = store.append(ctx, lease, last, &batch(2, 1)).await.unwrap();
    println!("durable {last}");
}

/// Another process with a part to play, and the lines that it says.
struct Other {
    process: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Other {
    fn start(part: &str, dir: &Path) -> Other {
        Other::start_with(tokio::process::Command::new(std::env::current_exe().unwrap()), part, dir)
    }

    fn start_with(mut command: tokio::process::Command, part: &str, dir: &Path) -> Other {
        let mut process = command
            .args(["--exact", "other_process", "--nocapture"])
            .env("CODE_TEST_PART", part)
            .env("CODE_TEST_DIR", dir)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Other { process, lines }
    }

    /// The rest of the next line that begins so; `None` when it ended before.
    async fn says(&mut self, word: &str) -> Option<String> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once(&format!("{word} ")) {
                return Some(rest.to_owned());
            }
        }
        None
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

#[tokio::test]
async fn a_kill_leaves_a_prefix_of_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (mut cuts, mut events) = (0, 0);
    const ROUNDS: usize = 12;
    for round in 0..ROUNDS {
        let mut writer = Other::start("write", dir.path());
        let mut durable = 0;
        for _ in 0..=round % 7 {
            durable = writer.says("durable").await.unwrap().parse().unwrap();
        }
        // The log grows page by page: the kill comes in the middle of the next write, as near as can be.
        let length = || std::fs::metadata(file(dir.path(), "log")).unwrap().len();
        let (before, deadline) = (length(), Instant::now() + Duration::from_secs(30));
        while length() == before {
            assert!(Instant::now() < deadline, "the writer stopped");
            std::thread::yield_now();
        }
        writer.signal(rustix::process::Signal::KILL);
        writer.process.wait().await.unwrap();
        let store = store(dir.path());
        let (found, error) = read(&store, Seq::START).await;
        assert_eq!(error, None);
        assert!(found.len() >= durable, "round {round}: {} of {durable}", found.len());
        let mut rest = found.as_slice();
        while let Some((first, _)) = rest.first() {
            let size = (first.0 - 1) % 4 + 1;
            assert!(rest.len() as u64 >= size, "round {round}: the batch at {first} is not whole");
            for (index, (_, event)) in (1..=size).zip(rest) {
                let Body::StepSkipped { run, why, .. } = &event.body else { unreachable!() };
                assert!(run.0 == first.0 - 1 && why.starts_with(&format!("{index}/{size}/")));
            }
            rest = &rest[size as usize..];
        }
        let lease = lease(&store).await.expect("a dead holder holds nothing");
        store.release(&ctx(), lease).await.unwrap();
        assert_eq!(
            read(&store, Seq::START).await.0.len(),
            found.len(),
            "a cut takes only what did not count"
        );
        cuts += store.cuts().len();
        events = found.len();
    }
    println!("{ROUNDS} kills, {events} events, {cuts} torn writes cut");
}

#[tokio::test]
async fn of_two_processes_one_gets_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let mut both = [Other::start("hold", dir.path()), Other::start("hold", dir.path())];
        let mut leased = 0;
        for other in &mut both {
            while let Some(line) = other.lines.next_line().await.unwrap() {
                if line.starts_with("leased") {
                    leased += 1;
                    break;
                }
                assert!(!line.starts_with("refused") || line.contains("store::locked"), "{line}");
            }
        }
        assert_eq!(leased, 1);
        for mut other in both {
            other.process.kill().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_stopped_holder_is_named_and_a_dead_one_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Other::start("hold", dir.path());
    let fence: u64 = holder.says("leased").await.unwrap().parse().unwrap();
    let pid = holder.process.id().unwrap();
    let error = lease(&store(dir.path())).await.unwrap_err();
    assert!(error.message().contains("the other") && error.message().contains(&format!("process {pid}")));
    assert!(!error.message().contains("stopped"));
    holder.signal(rustix::process::Signal::STOP);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let error = lease(&store(dir.path())).await.unwrap_err();
        assert_eq!(error.code(), "store::locked");
        if error.help_text().is_some_and(|help| help.contains(&format!("kill -CONT {pid}"))) {
            break;
        }
        assert!(Instant::now() < deadline, "it never said that it is stopped: {error:?}");
    }
    assert_eq!(read(&store(dir.path()), Seq::START).await, (vec![], None), "a reader needs no lock");
    holder.process.kill().await.unwrap();
    let store = store(dir.path());
    assert_eq!(store.deployments().count().await, 0, "it wrote nothing");
    let next = lease(&store).await.unwrap();
    assert!(next.fence > fence);
    store.release(&ctx(), next).await.unwrap();
    assert_eq!(below(&dir.path().join("journal")), Vec::<PathBuf>::new(), "nor is anything left of it");
}

#[tokio::test]
async fn a_full_disk_takes_back_the_batch_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new("/bin/sh");
    // A limit on the size of files fails a write as a full disk does, and needs no right to mount one.
    command.args(["-c", r#"trap "" XFSZ; ulimit -f 64; exec "$0" "$@""#]);
    command.arg(std::env::current_exe().unwrap());
    let mut writer = Other::start_with(command, "fill", dir.path());
    assert_eq!(writer.says("failed").await.as_deref(), Some("journal::full true"));
    assert_eq!(writer.says("durable").await.as_deref(), Some("3"));
    writer.process.wait().await.unwrap();
    let store = store(dir.path());
    let (events, error) = read(&store, Seq::START).await;
    assert_eq!((whole_batches(&events, &[2, 1]), error), (2, None));
    lease(&store).await.unwrap();
    assert_eq!(store.cuts(), []);
}
