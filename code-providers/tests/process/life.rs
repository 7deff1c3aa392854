//! From starting to stopping, without accidents.

use code_core::provider::{Action, Health, Observed};
use code_core::{Expr, Provider, Secret, SecretRef};
use code_providers::process::keeper::{Keeper, Program, Seen};
use code_providers::process::log_file;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::world::{World, eventually, get, pid_of, port_of, read_all, runs, web, with};

crate::trials!(
    a_process_is_started_kept_and_stopped,
    one_key_is_one_process,
    what_runs_is_what_was_asked_for_last,
    a_setting_changes_in_place_and_a_program_does_not,
    what_ends_at_once_is_told_with_its_last_lines,
    what_is_not_healthy_in_time_is_stopped,
    a_cancelled_start_leaves_nothing,
    grandchildren_end_with_it,
    who_does_not_listen_is_killed,
    secrets_are_nowhere_but_in_its_environment,
    any_path_will_do,
    a_server_on_ipv6_only_is_healthy,
    a_keeper_with_nothing_to_keep_ends,
    a_program_that_is_not_there_is_told,
    a_full_log_is_put_aside,
    as_root_it_may_be_another_user,
    an_older_keeper_steps_aside_and_a_newer_one_is_respected,
);

async fn a_process_is_started_kept_and_stopped() {
    let world = World::new();
    let web = with(web("r1.0"), "env.NAME", "first");
    assert!(matches!(world.provider.health(&world.ctx).await.unwrap(), Health::Ready { .. }));
    assert_eq!(world.plan(&web).await.action, Action::Create);
    assert!(!world.keeper_file("").exists(), "looking and planning leave nothing");

    let live = world.apply(&web).await;
    assert_eq!(get(port_of(&live), "/").await, (200, "first".into()));
    assert_eq!(world.observe(&web).await, Observed::Present(live.clone()));
    assert_eq!(world.plan(&web).await.action, Action::Keep);

    world.delete(&web).await;
    assert!(!runs(pid_of(&live)));
    assert_eq!(world.observe(&web).await, Observed::Absent);
    world.delete(&web).await;
    let seen = world.seen();
    assert!(
        matches!(
            seen.as_slice(),
            [Seen::Started { .. }, Seen::Ready { .. }, Seen::Stopped { killed: false }]
        ),
        "{seen:?}"
    );
}

async fn one_key_is_one_process() {
    let world = World::new();
    let web = web("r1.0");
    let change = world.plan(&web).await;
    let ctx = world.step();
    let calls = (0..6).map(|_| world.provider.apply(&ctx, &change));
    let pids: Vec<String> = futures(calls).await.into_iter().map(|live| live.unwrap().unwrap().id).collect();
    assert!(pids.windows(2).all(|pair| pair[0] == pair[1]), "{pids:?}");
    let started = world.seen().into_iter().filter(|seen| matches!(seen, Seen::Started { .. })).count();
    assert_eq!(started, 1);
}

async fn what_runs_is_what_was_asked_for_last() {
    let world = World::new();
    let (a, b) = (with(web("r1.0"), "env.NAME", "a"), with(web("r1.0"), "env.NAME", "b"));
    let planned_when_nothing_was_there = world.plan(&b).await;
    let first = world.apply(&a).await;
    let second = world.provider_apply(&world.step(), &planned_when_nothing_was_there).await;
    assert!(!runs(pid_of(&first)));
    assert_eq!(get(port_of(&second), "/").await.1, "b");

    // Taking another one's place is done once for a key, too.
    let replace = world.plan(&a).await;
    assert_eq!(replace.action, Action::Replace);
    let ctx = world.step();
    let third = world.provider_apply(&ctx, &replace).await;
    let again = world.provider_apply(&ctx, &replace).await;
    assert_eq!(pid_of(&again), pid_of(&third));
}

async fn futures<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (call, done) in calls.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = call.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(done.iter_mut().map(|done| done.take().unwrap()).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

async fn a_setting_changes_in_place_and_a_program_does_not() {
    let world = World::new();
    let web = web("r1.0");
    let first = world.apply(&web).await;

    let other_health = with(web.clone(), "health.path", "/");
    assert_eq!(world.plan(&other_health).await.action, Action::Update);
    let second = world.apply(&other_health).await;
    assert_eq!(pid_of(&second), pid_of(&first));
    assert_eq!(world.plan(&other_health).await.action, Action::Keep);

    let other_name = with(other_health, "env.NAME", "new");
    let plan = world.plan(&other_name).await;
    assert_eq!((plan.action, plan.why.as_str()), (Action::Replace, "env.NAME changed"));
    let third = world.apply(&other_name).await;
    assert_ne!(pid_of(&third), pid_of(&first));
    assert!(!runs(pid_of(&first)));
    assert_eq!(port_of(&third), port_of(&first), "an address stays where it can");
    assert_eq!(world.plan(&other_name).await.action, Action::Keep);
}

async fn what_ends_at_once_is_told_with_its_last_lines() {
    let world = World::new();
    let web = with(web("r1.0"), "env.EXIT", "3");
    let failed = world.try_apply(&web).await.unwrap_err();
    assert_eq!(failed.error.code(), "process::exited");
    assert!(failed.error.message().contains("exited with code 3"), "{:?}", failed.error);
    assert!(failed.error.context().any(|(_, text)| text.contains("giving up, says the app")));
    assert_eq!(failed.left, Observed::Absent);
    assert_eq!(world.observe(&web).await, Observed::Absent);
}

async fn what_is_not_healthy_in_time_is_stopped() {
    let world = World::new();
    let sick = world.state.join("sick");
    std::fs::write(&sick, "").unwrap();
    let web = with(web("r1.0"), "env.SICK", sick.to_str().unwrap());
    let web = with(web, "health.timeout_seconds", serde_json::json!(1));
    let failed = world.try_apply(&web).await.unwrap_err();
    assert_eq!(failed.error.code(), "process::unhealthy");
    assert!(failed.error.context().any(|(_, why)| why.contains("503")), "{:?}", failed.error);
    assert_eq!((failed.left, world.kept(&web)), (Observed::Absent, None));

    std::fs::remove_file(&sick).unwrap();
    world.apply(&web).await;
    std::fs::write(&sick, "").unwrap();
    let Observed::Present(live) = world.observe(&web).await else { panic!("it runs") };
    assert!(live.drift[0].contains("unhealthy: GET /health"), "{:?}", live.drift);
    assert_eq!(world.plan(&web).await.action, Action::Replace);
}

async fn a_cancelled_start_leaves_nothing() {
    let world = World::new();
    let sick = world.state.join("sick");
    std::fs::write(&sick, "").unwrap();
    let web = with(web("r1.0"), "env.SICK", sick.to_str().unwrap());
    let change = world.plan(&web).await;
    let cancel = world.ctx.cancel().clone();
    let ctx = world.step();
    let (result, ()) = tokio::join!(world.provider.apply(&ctx, &change), async {
        eventually("it was started", || world.kept(&web).is_some_and(|kept| kept.identity.is_some())).await;
        cancel.cancel();
    });
    let failed = result.unwrap_err();
    assert_eq!((failed.error.code(), failed.left), ("process::cancelled", Observed::Absent));
    assert_eq!(world.kept(&web), None);
}

async fn grandchildren_end_with_it() {
    let world = World::new();
    let web = with(web("r1.0"), "env.CHILDREN", "sleep setsid");
    let live = world.apply(&web).await;
    let kept = world.kept(&web).unwrap();
    let kin = || kept.identity.as_ref().unwrap().kin(&kept.job.key);
    eventually("both children are there", || kin().len() == 3).await;
    let all: Vec<i32> = kin().into_keys().collect();
    world.delete(&web).await;
    assert!(all.contains(&pid_of(&live)) && all.iter().all(|pid| !runs(*pid)), "{all:?}");
}

async fn who_does_not_listen_is_killed() {
    let world = World::new();
    let web = with(with(web("r1.0"), "env.STUBBORN", "yes"), "grace_seconds", serde_json::json!(1));
    let live = world.apply(&web).await;
    world.delete(&web).await;
    assert!(!runs(pid_of(&live)));
    assert_eq!(world.seen().last(), Some(&Seen::Stopped { killed: true }));
}

async fn secrets_are_nowhere_but_in_its_environment() {
    let world = World::new();
    let name = SecretRef("password".into());
    world.ctx.store_secret(&name, Secret::new("hunter2-or-so")).await.unwrap();
    let url = Expr::Text(vec!["db://app:".into(), Expr::secret("password"), "@db".into()]);
    let web = with(web("r1.0"), "env.DATABASE_URL", url);
    let live = world.apply(&web).await;
    assert_eq!(get(port_of(&live), "/env/DATABASE_URL").await.1, "db://app:hunter2-or-so@db");
    let arguments = std::fs::read(format!("/proc/{}/cmdline", pid_of(&live))).unwrap();
    let files = read_all(&world.state).into_iter().chain([("arguments".into(), arguments)]);
    for (path, bytes) in files {
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{}", path.display());
    }
    let in_argument = with(web, "args.0", Expr::secret("password"));
    let mut in_argument = in_argument;
    in_argument.want.as_mut().unwrap().0.remove("args");
    let failed = world.try_apply(&in_argument).await.unwrap_err();
    assert_eq!(failed.error.code(), "process::secret-argument");
}

async fn any_path_will_do() {
    for name in ["mit Leerzeichen und Ümläuten 日本", &"long/".repeat(40)] {
        let world = World::at(name);
        let web = web("r1.0");
        let live = world.apply(&web).await;
        assert_eq!(world.observe(&web).await, Observed::Present(live));
        world.delete(&web).await;
    }
}

async fn a_server_on_ipv6_only_is_healthy() {
    if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let world = World::new();
    let web = with(web("r1.0"), "env.BIND", "::1");
    world.apply(&web).await;
    assert_eq!(world.plan(&web).await.action, Action::Keep);
}

async fn a_keeper_with_nothing_to_keep_ends() {
    let world = World::new();
    let web = web("r1.0");
    world.apply(&web).await;
    let keeper = world.keeper();
    world.delete(&web).await;
    eventually("the keeper ends", || !runs(keeper)).await;
    world.apply(&web).await;
    assert_ne!(world.keeper(), keeper);
}

async fn a_program_that_is_not_there_is_told() {
    let world = World::new();
    for (program, code) in [("no-such-program", "process::no-program"), ("/no/such", "process::no-program")] {
        let failed = world.try_apply(&with(web("r1.0"), "program", program)).await.unwrap_err();
        assert_eq!((failed.error.code(), failed.left), (code, Observed::Absent));
    }
    let failed = world.try_apply(&with(web("r1.0"), "cwd", "/no/such")).await.unwrap_err();
    assert_eq!(failed.error.code(), "process::no-directory");
}

async fn a_full_log_is_put_aside() {
    let world = World::new();
    let web = web("r1.0");
    let live = world.apply(&web).await;
    let log = log_file(&world.state, &world.deployment, &web.address);
    assert_eq!(get(port_of(&live), "/spam/11").await.0, 200);
    let aside = log.with_extension("log.1");
    eventually("it is put aside", || aside.exists()).await;
    assert!(std::fs::metadata(&aside).unwrap().len() > 10 << 20);
    assert_eq!(get(port_of(&live), "/spam/1").await.0, 200);
    eventually("it goes on in the emptied file", || {
        std::fs::read(&log).is_ok_and(|bytes| bytes.starts_with(b"xxx") && bytes.len() >= 1 << 20)
    })
    .await;
}

async fn as_root_it_may_be_another_user() {
    let world = World::new();
    let is_root = rustix::process::geteuid().is_root();
    let other = if is_root { "nobody" } else { "root" };
    let web = with(with(web("r1.0"), "user", other), "program", "/bin/sh");
    let web = with(web, "args", serde_json::json!(["-c", "id -u; echo $HOME $USER; exec sleep 1000"]));
    let web = with(web, "health.tcp", false);
    let mut web = web;
    web.want.as_mut().unwrap().0.remove("health.path");
    if !is_root {
        assert_eq!(world.try_apply(&web).await.unwrap_err().error.code(), "process::user");
        return;
    }
    let live = world.apply(&web).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid_of(&live))).unwrap();
    let uid = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert!(!uid.contains("\t0"), "{uid}");
    let log = std::fs::read_to_string(log_file(&world.state, &world.deployment, &web.address)).unwrap();
    assert!(log.contains("nobody"), "{log}");
    world.delete(&web).await;
    assert!(!runs(pid_of(&live)));
}

async fn an_older_keeper_steps_aside_and_a_newer_one_is_respected() {
    let world = World::new();
    let dir = world.keeper_file("");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("socket");
    let pretend = |protocol: u32| {
        let _ = std::fs::remove_file(&path);
        let socket = tokio::net::UnixListener::bind(&path).unwrap();
        let path = path.clone();
        tokio::spawn(async move {
            let (stream, _) = socket.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with("{\"retire\"") {
                    std::fs::remove_file(&path).unwrap();
                    drop(socket);
                    let _ = write.write_all(b"{\"done\":{}}\n").await;
                    return true;
                }
                let hello = serde_json::json!({"hello": {"protocol": protocol, "version": "x", "pid": 1}});
                write.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
            }
            false
        })
    };
    let newer = pretend(99);
    let error = Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.unwrap_err();
    assert_eq!(error.code(), "keeper::newer");
    assert!(!newer.await.unwrap(), "it was not asked to go");
    let older = pretend(0);
    Keeper::ensure(world.ctx.host(), &Program::Own, &world.state).await.unwrap();
    assert!(older.await.unwrap());
}
