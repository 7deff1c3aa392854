//! A server that keeps a state and its lock, as the tools' backend `http` asks for them:
//! <https://opentofu.org/docs/language/settings/backends/http/>.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The lock of somebody who is gone.
pub(crate) const LOCK: &str = r#"{"ID":"0b1c-stuck","Operation":"OperationTypeApply","Info":"","Who":"ann@laptop","Version":"1.0.0","Created":"2020-01-02T03:04:05.6Z","Path":""}"#;

/// What the server keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    state: Vec<u8>,
    pub(crate) lock: Option<Vec<u8>>,
    pub(crate) writes: usize,
}

/// A server that keeps one state; it ends with the test.
pub(crate) fn serve() -> (u16, Arc<Mutex<Kept>>) {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who hangs up in the middle is told nothing.
            let _ = answer(stream, &shared);
        }
    });
    (port, kept)
}

fn answer(mut stream: TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut kept = kept.lock().unwrap();
    let (status, said) = match first.split(' ').next().unwrap_or_default() {
        "GET" if kept.state.is_empty() => (404, Vec::new()),
        "GET" => (200, kept.state.clone()),
        "POST" => {
            kept.state = body;
            kept.writes += 1;
            (200, Vec::new())
        }
        "LOCK" => match kept.lock.clone() {
            Some(lock) => (423, lock),
            None => {
                kept.lock = Some(body);
                kept.writes += 1;
                (200, Vec::new())
            }
        },
        "UNLOCK" => {
            kept.lock = None;
            kept.writes += 1;
            (200, Vec::new())
        }
        _ => (405, Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len())?;
    stream.write_all(&said)
}
