//! Whether a process is healthy: by an HTTP path, else by a connection, else by being there.
//!
//! Both loopback addresses are dialled, because a server may listen on either.

use std::io;
use std::time::Duration;

use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use super::port::loopback;

/// The longest that one look may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a process is seen to be healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// It runs.
    #[default]
    Alive,
    /// It takes connections on its port.
    Tcp,
    /// `GET` of this path on its port answers with a status from 200 to 399, as Kubernetes has it.
    Http(String),
}

impl Probe {
    /// Looks once.
    ///
    /// # Errors
    /// What a person reads behind "unhealthy:".
    pub async fn look(&self, port: Option<u16>) -> Result<(), String> {
        let Some(port) = port else { return Ok(()) };
        let look = async {
            match self {
                Probe::Alive => Ok(()),
                Probe::Tcp => dial(port).await.map(drop).map_err(|e| format!("port {port}: {e}")),
                Probe::Http(path) => get(port, path).await,
            }
        };
        let late = |_| Err(format!("no answer on port {port} within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(late)
    }
}

/// A connection to a port of this machine, over IPv4 or else IPv6.
pub async fn dial(port: u16) -> io::Result<TcpStream> {
    let [v4, v6] = loopback(port);
    match TcpStream::connect(v4).await {
        Ok(stream) => Ok(stream),
        // The first error is what a person should read: most machines and servers have IPv4.
        Err(error) => TcpStream::connect(v6).await.map_err(|_| error),
    }
}

async fn get(port: u16, path: &str) -> Result<(), String> {
    let broken = |error: hyper::Error| format!("GET {path} on port {port}: {error}");
    let stream = dial(port).await.map_err(|error| format!("port {port}: {error}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(path)
        .header("host", format!("127.0.0.1:{port}"))
        .header("user-agent", "code-health")
        .header("connection", "close")
        .body(String::new())
        .map_err(|error| format!("GET {path}: {error}"))?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken);
    driver.abort();
    let status = answer?.status();
    match status.as_u16() {
        200..=399 => Ok(()),
        _ => Err(format!("GET {path} on port {port} answered {status}")),
    }
}
