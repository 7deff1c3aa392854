//! Ports of this machine: a free one, and who listens on one.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::identity::Identity;

/// Where ports for processes are looked for: below what Linux hands to outgoing connections
/// (`ip_local_port_range` begins at 32768), so that none of those can take one.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A port that nobody listens on, on either loopback address; `seed` decides where the search begins.
pub fn free(seed: u64, taken: impl Fn(u16) -> bool) -> Option<u16> {
    let length = u64::from(RANGE.end - RANGE.start);
    (0..length)
        .filter_map(|i| u16::try_from((seed % length + i) % length).ok())
        .map(|offset| RANGE.start + offset)
        .find(|port| !taken(*port) && is_free(*port))
}

/// Whether a listener could be opened on this port, on both loopback addresses.
pub fn is_free(port: u16) -> bool {
    loopback(port).iter().all(|address| match TcpListener::bind(address) {
        Ok(_) => true,
        Err(error) => is_missing_family(&error),
    })
}

/// Both loopback addresses.
pub fn loopback(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
}

/// Whether the machine has no such address at all (IPv6 switched off).
pub fn is_missing_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Whether something takes connections on this port, on either loopback address.
pub fn answers(port: u16) -> bool {
    let timeout = Duration::from_millis(500);
    loopback(port).iter().any(|address| TcpStream::connect_timeout(address, timeout).is_ok())
}

/// Whether somebody listens on this port, on whatever address; nothing is opened to find out.
pub(super) fn is_listened_on(port: u16) -> bool {
    !sockets(port).is_empty()
}

/// The processes that listen on this port, as far as this user may know.
pub fn listeners(port: u16) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    listeners_among(port, entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Those of some processes that listen on this port.
fn listeners_among(port: u16, pids: impl Iterator<Item = i32>) -> Vec<i32> {
    let sockets = sockets(port);
    if sockets.is_empty() {
        return Vec::new();
    }
    let holds = |pid: &i32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    };
    pids.filter(holds).collect()
}

/// The sockets that listen on this port, as a descriptor's link names them.
fn sockets(port: u16) -> Vec<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect()
}

/// A process that listens on the port of `owner` and does not belong to it.
pub fn stranger(port: u16, owner: &Identity, key: &str) -> Option<i32> {
    // Nearly always it listens itself, or one that it started: no need to look at every process then.
    if !listeners_among(port, std::iter::once(owner.pid)).is_empty()
        || !listeners_among(port, owner.kin(key).into_keys()).is_empty()
    {
        return None;
    }
    listeners(port).first().copied()
}

/// The inodes of sockets that listen on this port, in a table as proc_net(5) has it: the local address in
/// column 1 as hexadecimal `ADDRESS:PORT`, the state in column 3 (`0A` is LISTEN), the inode in column 9.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let wanted = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let here = columns.get(1)?.ends_with(&wanted) && *columns.get(3)? == "0A";
            here.then(|| columns.get(9)?.parse().ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(!is_free(port) && answers(port));
        assert_eq!(listeners(port), [me]);
        drop(listener);
        // A child that another test is just forking holds the socket until it has become its program.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !(is_free(port) && listeners(port).is_empty()) {
            assert!(std::time::Instant::now() < deadline, "nobody listens any more");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_free_port_is_one_that_is_neither_taken_nor_promised() {
        let first = free(5, |_| false).unwrap();
        let second = free(5, |port| port == first).unwrap();
        assert_ne!(first, second);
        assert!(RANGE.contains(&first) && RANGE.contains(&second));
    }
}
