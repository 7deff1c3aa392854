//! Stable addresses: switching, draining, and what stands in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use code_core::provider::{Action, Live, Observed};
use code_core::{Deployment, Error, Provider};
use code_providers::process::keeper::{Phase, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{
    World, call, eventually, free_port, get, kill, pid_of, port_of, read_all, route, web, with,
};

crate::trials!(
    a_route_spreads_over_its_targets,
    a_switch_under_load_loses_no_request,
    what_is_under_way_is_finished,
    upgraded_connections_are_closed_at_the_deadline,
    a_taken_port_is_told_with_who_has_it,
    a_port_of_ones_own_is_not_taken,
    a_stranger_on_its_port_is_drift,
    a_dead_target_is_passed_over,
    a_request_in_circles_is_ended,
    an_unhealthy_target_is_spared,
    bodies_go_both_ways,
);

async fn named(world: &World, name: &str) -> Live {
    world.apply(&with(web(name), "env.NAME", name)).await
}

async fn a_route_spreads_over_its_targets() {
    let world = World::new();
    let (a, b) = (named(&world, "a").await, named(&world, "b").await);
    let port = free_port();
    let nobody = route(port, &[]);
    world.apply(&nobody).await;
    let (status, text) = get(port, "/").await;
    assert_eq!(
        (status, text.trim_end()),
        (503, "nothing is deployed here: web of shop/staging runs no process")
    );

    let both = route(port, &[&a, &b]);
    assert_eq!(world.plan(&both).await.action, Action::Update);
    let live = world.apply(&both).await;
    assert_eq!(live.outputs["url"].known().unwrap(), format!("http://127.0.0.1:{port}"));
    assert_eq!(world.plan(&both).await.action, Action::Keep);
    assert!(TcpStream::connect(("::1", port)).await.is_ok(), "on both loopback addresses");
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(get(port, "/").await.1);
    }
    assert_eq!(names.iter().filter(|name| *name == "a").count(), 5, "{names:?}");

    let (_, headers) = get(port, "/headers").await;
    for part in
        ["\"host\": \"shop.test", "\"x-forwarded-for\": \"127.0.0.1\"", "\"x-forwarded-proto\": \"http\""]
    {
        assert!(headers.contains(part), "{part} in {headers}");
    }
    assert!(!headers.contains("\"connection\""), "{headers}");

    world.delete(&both).await;
    assert!(TcpListener::bind(("127.0.0.1", port)).await.is_ok(), "the port is free again");
    assert_eq!(world.observe(&both).await, Observed::Absent);
}

async fn a_switch_under_load_loses_no_request() {
    let world = World::new();
    let (a, b) = (named(&world, "a").await, named(&world, "b").await);
    let port = free_port();
    world.apply(&route(port, &[&a])).await;
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        clients.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                let reply = keep_alive(&mut stream, "/").await;
                assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut at_last_switch = 0;
    for i in 0..30 {
        let target = if i % 2 == 0 { &b } else { &a };
        world.apply(&route(port, &[target])).await;
        at_last_switch += 20;
        eventually("requests go on", || count.load(Ordering::Relaxed) > at_last_switch).await;
    }
    // And in the end the old one goes, while requests come in.
    world.apply(&route(port, &[&b])).await;
    world.delete(&web("a")).await;
    let before = count.load(Ordering::Relaxed);
    eventually("requests go on", || count.load(Ordering::Relaxed) > before + 50).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    println!("{} requests over 31 switches, none lost", count.load(Ordering::Relaxed));
}

/// One request on a connection that stays open; the replies here end with the body of their length.
async fn keep_alive(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let mut bytes = [0; 1024];
    loop {
        let n = stream.read(&mut bytes).await.unwrap();
        assert_ne!(n, 0, "the connection was closed: {}", String::from_utf8_lossy(&reply));
        reply.extend_from_slice(&bytes[..n]);
        let text = String::from_utf8_lossy(&reply).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if length.is_some_and(|length| length.parse::<usize>().unwrap() <= body.len()) {
            return String::from_utf8_lossy(&reply).into_owned();
        }
    }
}

async fn what_is_under_way_is_finished() {
    let world = World::new();
    let (a, b) = (named(&world, "a").await, named(&world, "b").await);
    let port = free_port();
    let patient = |target| with(route(port, &[target]), "drain_seconds", serde_json::json!(60));
    world.apply(&patient(&a)).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET /slow/4000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    // The request is on its way to `a` as soon as `a` has a connection more than its health check makes.
    let mut warm = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    keep_alive(&mut warm, "/slow/100").await;
    world.apply(&patient(&b)).await;
    world.delete(&web("a")).await;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("\r\n\r\na"), "{reply}");
    assert_eq!(get(port, "/").await.1, "b");
    let seen = world.seen();
    let drained = seen.iter().find(|seen| matches!(seen, Seen::Drained { .. })).unwrap();
    assert!(matches!(drained, Seen::Drained { unfinished: 0, upgraded_closed: 0, .. }), "{drained:?}");
}

async fn upgraded_connections_are_closed_at_the_deadline() {
    let world = World::new();
    let (a, b) = (named(&world, "a").await, named(&world, "b").await);
    let port = free_port();
    world.apply(&route(port, &[&a])).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = "GET /echo HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = [0; 1024];
    let n = stream.read(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..n]).into_owned();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.write_all(b"ping").await.unwrap();
    let n = stream.read(&mut bytes).await.unwrap();
    assert_eq!(&bytes[..n], b"ping");

    world.apply(&route(port, &[&b])).await;
    assert_eq!(stream.read(&mut bytes).await.unwrap_or(0), 0, "it is closed");
    let drained = world.seen().into_iter().rfind(|seen| matches!(seen, Seen::Drained { .. }));
    assert!(matches!(drained, Some(Seen::Drained { upgraded_closed: 1, unfinished: 0, .. })), "{drained:?}");
}

/// What is wanted of a port that this test itself listens on: it is named, and so is this process.
fn names_me(error: &Error, code: &str, port: u16) {
    let help = error.help_text().unwrap_or_default();
    assert_eq!(error.code(), code);
    assert!(error.message().contains(&port.to_string()), "{error:?}");
    assert!(help.contains(&std::process::id().to_string()) && help.contains("another port"), "{error:?}");
}

async fn a_taken_port_is_told_with_who_has_it() {
    let world = World::new();
    let a = named(&world, "a").await;
    let before = read_all(&world.state);
    let taken = |address| async move { TcpListener::bind((address, free_port())).await.unwrap() };
    // Also where only the other loopback address is taken.
    for socket in [taken("127.0.0.1").await, taken("::1").await, taken("0.0.0.0").await] {
        let port = socket.local_addr().unwrap().port();
        let error = world.try_plan(&route(port, &[&a])).await.unwrap_err();
        names_me(&error, "route::port-taken", port);
        let error = world.try_plan(&with(web("b"), "port", port)).await.unwrap_err();
        names_me(&error, "process::port-taken", port);
    }
    assert_eq!(read_all(&world.state), before, "to plan changes nothing");
    // On another address it is in nobody's way.
    let elsewhere = taken("127.0.0.2").await;
    world.plan(&route(elsewhere.local_addr().unwrap().port(), &[&a])).await;

    // Whoever takes it after it was planned is found in the run, in the same words.
    let port = free_port();
    let [address, server] = [route(port, &[&a]), with(web("b"), "port", port)];
    let changes = [world.plan(&address).await, world.plan(&server).await];
    let _socket = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for (change, code) in changes.iter().zip(["route::port-taken", "process::port-taken"]) {
        let failed = world.provider.apply(&world.step(), change).await.unwrap_err();
        names_me(&failed.error, code, port);
        assert_eq!(failed.left, Observed::Absent);
        let planned = world.try_plan(&change.resource).await.unwrap_err();
        let said = |error: &Error| (error.to_string(), error.help_text().map(str::to_owned));
        assert_eq!(said(&planned), said(&failed.error));
    }
}

async fn a_port_of_ones_own_is_not_taken() {
    let world = World::new();
    let a = named(&world, "a").await;
    let port = free_port();
    let endpoint = route(port, &[&a]);
    let change = world.plan(&endpoint).await;
    world.provider_apply(&world.step(), &change).await;
    // A call that nobody heard the end of is planned again as if nothing had been done.
    assert_eq!(world.provider.plan(&world.ctx, &endpoint, &Observed::Absent).await.unwrap(), change);
    assert_eq!(world.plan(&route(port, &[])).await.action, Action::Update);
    // A server in the place of another one has its port, and so may what a step before it gives up.
    let fixed = free_port();
    let server = with(web("b"), "port", fixed);
    world.apply(&server).await;
    assert_eq!(world.plan(&with(server.clone(), "env.NAME", "b")).await.action, Action::Replace);
    assert_eq!(world.plan(&with(web("c"), "port", fixed)).await.action, Action::Create);
    // It is free for the same deployment only.
    let test = Deployment::new("shop", "test").unwrap();
    let other = world.ctx.clone().for_deployment(&test);
    for (wanted, place) in [(&endpoint, "web/endpoint"), (&server, "web/process.b")] {
        let error = world.provider.plan(&other, wanted, &Observed::Absent).await.unwrap_err();
        let help = error.help_text().unwrap_or_default();
        assert!(help.starts_with(&format!("{place} of shop/staging has it")), "{error:?}");
    }
    // What is served while no keeper can be asked yet is ours, too; and what died lets go.
    world.kill_keeper().await;
    assert_eq!(world.plan(&endpoint).await.action, Action::Update);
    assert_eq!(world.plan(&with(server, "env.NAME", "b")).await.action, Action::Replace);
}

async fn a_stranger_on_its_port_is_drift() {
    let world = World::new();
    let a = named(&world, "a").await;
    let endpoint = route(free_port(), &[&a]);
    let live = world.apply(&endpoint).await;
    world.kill_keeper().await;
    // The dead keeper's own socket may go a moment after it.
    let socket = loop {
        match TcpListener::bind(("127.0.0.1", port_of(&live))).await {
            Ok(socket) => break socket,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let taken = |drift: &[String]| drift.iter().any(|drift| drift.contains("is taken by"));
    let Observed::Present(seen) = world.observe(&endpoint).await else { panic!("it is known") };
    assert!(taken(&seen.drift), "{:?}", seen.drift);
    // The next keeper says so too, and serves the port as soon as it is free.
    world.apply(&web("c")).await;
    let Observed::Present(seen) = world.observe(&endpoint).await else { panic!("it is known") };
    assert!(taken(&seen.drift), "{:?}", seen.drift);
    assert!(world.seen().iter().any(|seen| matches!(seen, Seen::NotBound { .. })));
    drop(socket);
    eventually("it is served again", || world.table().routes[0].trouble.is_none()).await;
    assert_eq!(get(port_of(&live), "/").await, (200, "a".into()));

    // And on the port of a process: its own server is gone, somebody else answers.
    let port = port_of(&a);
    let pid = pid_of(&a);
    kill(pid);
    let squatter = loop {
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(socket) => break socket,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let web = with(web("a"), "env.NAME", "a");
    eventually("it could not start again", || world.kept(&web).is_some_and(|kept| kept.restarts >= 2)).await;
    let Observed::Present(seen) = world.observe(&web).await else { panic!("it is kept") };
    assert!(!seen.drift.is_empty());
    drop(squatter);
    eventually("it runs again", || world.kept(&web).is_some_and(|kept| kept.phase == Phase::Ready)).await;
}

async fn a_dead_target_is_passed_over() {
    let world = World::new();
    let (a, b) = (named(&world, "a").await, named(&world, "b").await);
    let port = free_port();
    world.apply(&route(port, &[&a, &b])).await;
    world.delete(&web("a")).await;
    for _ in 0..10 {
        assert_eq!(get(port, "/").await, (200, "b".into()));
    }
    world.delete(&web("b")).await;
    let (status, text) = get(port, "/").await;
    assert!(status == 502 && text.starts_with("web of shop/staging does not answer"), "{status} {text}");
}

async fn a_request_in_circles_is_ended() {
    let world = World::new();
    let port = free_port();
    // A route to itself.
    let itself = Live {
        outputs: [("address".to_owned(), format!("127.0.0.1:{port}").into())].into(),
        ..named(&world, "a").await
    };
    world.apply(&route(port, &[&itself])).await;
    let (status, text) = call(port, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(status == 508 && text.contains("in circles"), "{status} {text}");
}

async fn an_unhealthy_target_is_spared() {
    let world = World::new();
    let sick = world.state.join("sick");
    let a = world.apply(&with(with(web("a"), "env.NAME", "a"), "env.SICK", sick.to_str().unwrap())).await;
    let b = named(&world, "b").await;
    let port = free_port();
    world.apply(&route(port, &[&a, &b])).await;
    std::fs::write(&sick, "").unwrap();
    let phase = || world.kept(&web("a")).map(|kept| kept.phase);
    eventually("it is unhealthy", || matches!(phase(), Some(Phase::Unhealthy { .. }))).await;
    for _ in 0..10 {
        assert_eq!(get(port, "/").await, (200, "b".into()));
    }
    // Better an unhealthy one than none.
    world.apply(&route(port, &[&a])).await;
    assert_eq!(get(port, "/").await, (200, "a".into()));
    std::fs::remove_file(&sick).unwrap();
    eventually("it is healthy", || phase() == Some(Phase::Ready)).await;
}

async fn bodies_go_both_ways() {
    let world = World::new();
    let a = named(&world, "a").await;
    let port = free_port();
    world.apply(&route(port, &[&a])).await;
    let body = "x".repeat(300_000);
    let head = format!(
        "POST /back HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(call(port, &(head + &body)).await, (200, body));
    let chunked = "POST /back HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(call(port, chunked).await, (200, "abc".into()));
    assert_eq!(
        call(port, "HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await,
        (200, String::new())
    );
    assert_eq!(call(port, "GET / HTTP/1.0\r\n\r\n").await, (200, "a".into()));
    assert_eq!(call(port, "CONNECT x:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.0, 400);
    // The keeper may have many files open; its processes have what they would have without it.
    let (_, limits) = get(port, "/files").await;
    let mine = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = |text: &str| text.lines().find(|line| line.starts_with("Max open files")).map(str::to_owned);
    assert_eq!(files(&limits), files(&mine));
}
