//! As much of HTTP as these tests send and read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named =
            |line: &str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| named(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Sends a request that begins with `head`: its first line and headers, each with its end.
pub(crate) fn call(port: u16, head: &str, body: &[u8]) -> Reply {
    let mut stream = connect(port);
    let rest = format!("host: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
    // A server that refuses a long body may close before it has read it.
    drop(stream.write_all(body));
    read(stream)
}

pub(crate) fn read(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    // What came before a reset is the answer.
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..n]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(port: u16, path: &str) -> Reply {
    call(port, &format!("GET {path} HTTP/1.1\r\n"), b"")
}

pub(crate) fn post_json(port: u16, body: &str) -> Reply {
    call(port, "POST /notes HTTP/1.1\r\ncontent-type: application/json\r\n", body.as_bytes())
}

pub(crate) fn post_form(port: u16, body: &str) -> Reply {
    let kind = "content-type: application/x-www-form-urlencoded\r\n";
    call(port, &format!("POST /notes HTTP/1.1\r\n{kind}"), body.as_bytes())
}
