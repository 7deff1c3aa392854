//! A server in the place of a daemon, that plays one fault on every call but the first, which asks who it is.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use tempfile::TempDir;

/// What it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plays {
    /// Status 500.
    Failing,
    /// Status 500, for want of space.
    Full,
    /// What is no JSON.
    Rubbish,
    /// More than anybody reads.
    Endless,
    /// The beginning of an answer, and no more.
    Closing,
    /// JSON, and not what was asked for.
    Words,
    /// No answer.
    Hanging,
}

/// The server; it ends with its test program.
pub(crate) struct Server {
    _dir: TempDir,
    socket: PathBuf,
}

impl Server {
    pub(crate) fn new(plays: Plays) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("d.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream, plays));
            }
        });
        Server { _dir: dir, socket }
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

fn answer(mut stream: UnixStream, plays: Plays) {
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).unwrap_or(0);
    let whole = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let said = if bytes[..read].starts_with(b"GET /version") {
        whole("200 OK", r#"{"Version": "0", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#)
    } else {
        match plays {
            Plays::Failing => whole("500 Oops", r#"{"message": "oops"}"#),
            Plays::Full => whole("500 Oops", r#"{"message": "write /var: no space left on device"}"#),
            Plays::Rubbish => whole("200 OK", "<html>hello</html>"),
            Plays::Words => whole("200 OK", r#"["words", 1, null]"#),
            Plays::Closing => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Id\"".to_owned(),
            Plays::Endless => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\"".to_owned(),
            Plays::Hanging => {
                // Until whoever asked goes away.
                let _ = stream.read(&mut bytes);
                return;
            }
        }
    };
    // Who does not listen any more has what it wanted.
    let _ = stream.write_all(said.as_bytes());
    if plays == Plays::Endless && !bytes[..read].starts_with(b"GET /version") {
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    }
}
