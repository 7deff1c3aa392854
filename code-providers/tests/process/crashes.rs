//! What happens when a process, or the keeper, dies.

use std::sync::Arc;

use code_core::provider::{Action, Observed};
use code_providers::process::keeper::{Keeper, Phase, Program, Seen};

use crate::world::{World, eventually, free_port, get, kill, pid_of, port_of, route, runs, web, with};

crate::trials!(
    a_killed_process_is_restarted,
    a_killed_keeper_is_replaced_and_its_processes_adopted,
    a_keeper_that_dies_on_its_way_is_replaced,
    an_adopted_process_is_restarted_with_its_secrets,
    a_process_that_ended_unwatched_is_lost,
    a_stranger_with_its_number_is_not_touched,
    a_started_process_that_nobody_wrote_down_is_found,
    of_two_keepers_one_keeps,
    what_ends_again_and_again_is_left,
    after_a_reboot_nothing_is_there,
);

async fn a_killed_process_is_restarted() {
    let world = World::new();
    let web = with(web("r1.0"), "env.CHILDREN", "sleep");
    let live = world.apply(&web).await;
    let kin: Vec<i32> = {
        let kept = world.kept(&web).unwrap();
        kept.identity.unwrap().kin(&kept.job.key).into_keys().collect()
    };
    kill(pid_of(&live));
    eventually("it is healthy again", || {
        world.kept(&web).is_some_and(|kept| kept.phase == Phase::Ready && kept.restarts == 1)
    })
    .await;
    let Observed::Present(again) = world.observe(&web).await else { panic!("it runs") };
    assert_ne!(pid_of(&again), pid_of(&live));
    assert_eq!((port_of(&again), &again.drift), (port_of(&live), &vec![]));
    assert_eq!(get(port_of(&again), "/").await.0, 200);
    assert!(kin.iter().all(|pid| !runs(*pid)), "what it left behind is gone: {kin:?}");
    let seen = world.seen();
    let told = seen.iter().any(|seen| matches!(seen, Seen::Exited(ending) if ending.signal == Some(9)));
    assert!(told && seen.iter().any(|seen| matches!(seen, Seen::Restarted { attempt: 1, .. })), "{seen:?}");
    assert_eq!(world.plan(&web).await.action, Action::Keep);
}

async fn a_killed_keeper_is_replaced_and_its_processes_adopted() {
    let world = World::new();
    let web = web("r1.0");
    let live = world.apply(&web).await;
    let port = free_port();
    let endpoint = route(port, &[&live]);
    world.apply(&endpoint).await;
    world.kill_keeper().await;

    assert!(runs(pid_of(&live)));
    for resource in [&web, &endpoint] {
        let Observed::Present(seen) = world.observe(resource).await else { panic!("it is there") };
        assert!(seen.drift[0].contains("no keeper"), "{:?}", seen.drift);
        assert_eq!(world.plan(resource).await.action, Action::Update);
    }
    let again = world.apply(&web).await;
    assert_eq!(pid_of(&again), pid_of(&live));
    for resource in [&web, &endpoint] {
        assert_eq!(world.plan(resource).await.action, Action::Keep);
    }
    assert_eq!(get(port, "/").await.0, 200);
    assert!(world.seen().iter().any(|seen| *seen == Seen::Adopted { pid: pid_of(&live) }));

    // It is not its child, and is watched all the same; and it is stopped like one.
    kill(pid_of(&live));
    eventually("it is restarted", || {
        world.kept(&web).is_some_and(|kept| kept.phase == Phase::Ready && kept.restarts == 1)
    })
    .await;
    world.kill_keeper().await;
    let pid = world.kept(&web).unwrap().identity.unwrap().pid;
    world.delete(&web).await;
    assert!(!runs(pid));
}

async fn a_keeper_that_dies_on_its_way_is_replaced() {
    let mut world = World::new();
    let (me, mark) = (std::env::current_exe().unwrap(), world.state.join("tried"));
    let script = format!("test -e '{0}' && exec '{1}' \"$@\"; touch '{0}'", mark.display(), me.display());
    let shell = Program::Other("/bin/sh".into(), ["-c", &script, "sh"].map(Into::into).to_vec());
    world.provider = code_providers::ProcessProvider::new().with_keeper(shell);
    let live = world.apply(&web("r1.0")).await;
    assert!(mark.exists() && runs(pid_of(&live)));
}

async fn an_adopted_process_is_restarted_with_its_secrets() {
    let world = World::new();
    let name = code_core::SecretRef("password".into());
    world.ctx.store_secret(&name, code_core::Secret::new("hunter22")).await.unwrap();
    let web = with(web("r1.0"), "env.TOKEN", code_core::Expr::secret("password"));
    let live = world.apply(&web).await;
    world.kill_keeper().await;
    // Any other command brings the next keeper.
    Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.unwrap();
    kill(pid_of(&live));
    eventually("it is restarted", || {
        world.kept(&web).is_some_and(|kept| kept.phase == Phase::Ready && kept.restarts == 1)
    })
    .await;
    assert_eq!(get(port_of(&live), "/env/TOKEN").await.1, "hunter22");
}

async fn a_process_that_ended_unwatched_is_lost() {
    let world = World::new();
    let web = web("r1.0");
    let live = world.apply(&web).await;
    world.kill_keeper().await;
    kill(pid_of(&live));
    eventually("it is gone", || !runs(pid_of(&live))).await;
    assert_eq!(world.observe(&web).await, Observed::Absent);
    Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.unwrap();
    assert!(matches!(world.kept(&web).unwrap().phase, Phase::Lost { .. }));
    assert!(world.seen().iter().any(|seen| matches!(seen, Seen::Lost { why } if why.contains("unknown"))));
    assert_eq!(world.plan(&web).await.action, Action::Create);
    let again = world.apply(&web).await;
    assert_eq!(port_of(&again), port_of(&live));
}

async fn a_stranger_with_its_number_is_not_touched() {
    let world = World::new();
    let web = web("r1.0");
    let live = world.apply(&web).await;
    let key = world.kept(&web).unwrap().job.key;
    world.kill_keeper().await;
    // As if the number had been given to somebody who started at another time, with another key.
    let path = world.keeper_file("table.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let start = table["processes"][0]["identity"]["start"].as_u64().unwrap();
    table["processes"][0]["identity"]["start"] = (start - 1).into();
    let text = table.to_string().replace(&key, "another key");
    std::fs::write(&path, text).unwrap();

    assert_eq!(world.observe(&web).await, Observed::Absent);
    world.delete(&web).await;
    Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.unwrap();
    assert!(runs(pid_of(&live)), "the stranger lives");
    kill(pid_of(&live));
}

async fn a_started_process_that_nobody_wrote_down_is_found() {
    let world = World::new();
    let web = web("r1.0");
    let change = world.plan(&web).await;
    let ctx = world.step();
    let live = world.provider_apply(&ctx, &change).await;
    world.kill_keeper().await;
    // As if the keeper had died before it wrote down which process it started; and before that.
    for forget in [
        |table: &mut serde_json::Value| table["processes"][0]["identity"] = serde_json::Value::Null,
        |table: &mut serde_json::Value| table["processes"] = serde_json::json!([]),
    ] {
        let path = world.keeper_file("table.json");
        let mut table = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        forget(&mut table);
        std::fs::write(&path, table.to_string()).unwrap();
        let again = world.provider_apply(&ctx, &change).await;
        assert_eq!(pid_of(&again), pid_of(&live));
        world.kill_keeper().await;
    }
}

async fn of_two_keepers_one_keeps() {
    let world = Arc::new(World::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let world = Arc::clone(&world);
        tasks.spawn(
            async move { Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.map(drop) },
        );
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap().unwrap();
    }
    let text = std::fs::read_to_string(world.keeper_file("events.jsonl")).unwrap();
    assert_eq!(text.matches("keeper_started").count(), 1, "{text}");
}

async fn after_a_reboot_nothing_is_there() {
    let world = World::new();
    let web = web("r1.0");
    let live = world.apply(&web).await;
    let endpoint = route(free_port(), &[&live]);
    let live_endpoint = world.apply(&endpoint).await;
    world.kill_keeper().await;
    kill(pid_of(&live));
    let path = world.keeper_file("table.json");
    let boot = code_providers::process::identity::boot_id().unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replace(&boot, "an-earlier-boot");
    std::fs::write(&path, text).unwrap();
    for resource in [&web, &endpoint] {
        assert_eq!(world.observe(resource).await, Observed::Absent);
    }
    let live = world.apply(&web).await;
    world.apply(&route(port_of(&live_endpoint), &[&live])).await;
    assert_eq!(world.plan(&endpoint).await.action, Action::Keep);
}

async fn what_ends_again_and_again_is_left() {
    let world = World::new();
    let doom = world.state.join("doom");
    let web = with(web("r1.0"), "env.DOOM", doom.to_str().unwrap());
    let live = world.apply(&web).await;
    std::fs::write(&doom, "").unwrap();
    kill(pid_of(&live));
    let said = loop {
        let Observed::Present(seen) = world.observe(&web).await else { panic!("it is kept") };
        if let Some(drift) = seen.drift.first().filter(|drift| drift.starts_with("restarting")) {
            break drift.clone();
        }
    };
    assert!(said.ends_with(" of 5)"), "{said}");
    eventually("it is left", || {
        world
            .kept(&web)
            .is_some_and(|kept| matches!(kept.phase, Phase::Failed(ending) if ending.code == Some(9)))
    })
    .await;
    let Observed::Present(seen) = world.observe(&web).await else { panic!("it is kept") };
    assert_eq!(seen.drift, ["failed: exited with code 9"]);
    assert!(world.seen().iter().any(|seen| matches!(seen, Seen::GaveUp { restarts: 5, .. })));

    std::fs::remove_file(&doom).unwrap();
    let plan = world.plan(&web).await;
    assert_eq!((plan.action, plan.why.as_str()), (Action::Update, "failed: exited with code 9"));
    world.apply(&web).await;
    assert_eq!(world.plan(&web).await.action, Action::Keep);
}
