//! The app that the tests deploy: it says who it is, is slow when asked, dies when asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const ARGUMENT: &str = "__test-app";

pub(crate) fn run() -> ExitCode {
    println!("hello from {}", std::process::id());
    for name in std::env::var("CHILDREN").unwrap_or_default().split_whitespace() {
        // One that stays in the group, and one that leaves it.
        let mut child = Command::new(name);
        child.args((name == "setsid").then_some("sleep")).arg("1000");
        println!("child {}", child.spawn().unwrap().id());
    }
    if std::env::var("DOOM").is_ok_and(|file| std::path::Path::new(&file).exists()) {
        return ExitCode::from(9);
    }
    if let Ok(code) = std::env::var("EXIT") {
        println!("giving up, says the app");
        return ExitCode::from(code.parse::<u8>().unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve())
}

async fn serve() -> ExitCode {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let bind = std::env::var("BIND").unwrap_or_else(|_| "127.0.0.1".into());
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let socket = TcpListener::bind((bind.as_str(), port)).await.unwrap();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                let (stream, _) = accepted.unwrap();
                let service = hyper::service::service_fn(reply);
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                tokio::spawn(connection);
            }
            _ = term.recv() => {
                if std::env::var("STUBBORN").is_err() {
                    return ExitCode::SUCCESS;
                }
            }
        }
    }
}

async fn reply(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let text = match parts.as_slice() {
        ["health"] if std::env::var("SICK").is_ok_and(|file| std::path::Path::new(&file).exists()) => {
            return Ok(status(StatusCode::SERVICE_UNAVAILABLE, "I am sick".into()));
        }
        ["health"] => "well".to_owned(),
        ["env", name] => std::env::var(name).unwrap_or_default(),
        ["headers"] => format!("{:?}", request.headers()),
        ["slow", millis] => {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await;
            std::env::var("NAME").unwrap_or_default()
        }
        ["spam", megabytes] => {
            let line = format!("{}\n", "x".repeat(1023));
            (0..megabytes.parse::<usize>().unwrap() * 1024).for_each(|_| print!("{line}"));
            "done".into()
        }
        ["back"] => {
            let mut text = Vec::new();
            while let Some(frame) =
                std::future::poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await
            {
                text.extend_from_slice(&frame.unwrap().into_data().unwrap());
            }
            String::from_utf8(text).unwrap()
        }
        ["files"] => std::fs::read_to_string("/proc/self/limits").unwrap(),
        ["die", code] => std::process::exit(code.parse().unwrap()),
        ["echo"] => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut bytes = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut bytes).await {
                    if stream.write_all(&bytes[..n]).await.is_err() {
                        return;
                    }
                }
            });
            let mut response = status(StatusCode::SWITCHING_PROTOCOLS, String::new());
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            response.headers_mut().insert("upgrade", "echo".parse().unwrap());
            return Ok(response);
        }
        _ => std::env::var("NAME").unwrap_or_else(|_| std::process::id().to_string()),
    };
    Ok(Response::new(text))
}

fn status(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
}
