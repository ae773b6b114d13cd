//! Who is at the other end of a connection on the loopback interface.
//!
//! TCP does not tell. But both ends are on this machine, and so the kernel's table of connections has a
//! line of its own for the other end, with the user whose socket it is and the socket's number. Which
//! processes have that socket open is found among their descriptors.
//!
//! Source: `proc_pid_net(5)`, `proc_pid_fd(5)`.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::PeerProcess;

/// How often a line is looked for: one can be passed over while others come and go.
const LOOKS_MAX: usize = 3;

/// Programs that bring connections from other machines. They begin as root, so that nobody else may
/// look at their descriptors.
const FORWARDERS: [&str; 3] = ["sshd", "sshd-session", "dropbear"];

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpPeer {
    uid: u32,
    inode: u64,
}

impl TcpPeer {
    /// Finds the other end of a connection: `local` is this end. Returns `None` when nobody has it open
    /// any more.
    ///
    /// # Errors
    ///
    /// When the kernel's table cannot be read.
    pub fn of(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Self>> {
        for _ in 0..LOOKS_MAX {
            // One that talks IPv4 by a socket of IPv6 is in the other table.
            let all = [("/proc/net/tcp", false), ("/proc/net/tcp6", true)];
            let tables = if local.is_ipv4() { &all[..] } else { &all[1..] };
            for &(table, is_six) in tables {
                let text = match fs::read_to_string(table) {
                    // There is no IPv6.
                    Err(error) if is_six && error.kind() == io::ErrorKind::NotFound => continue,
                    text => text?,
                };
                if let Some(found) = find(&text, &name(peer, is_six), &name(local, is_six)) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Returns the user whose socket it is.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the processes that have it open, as far as this user may see. If there are none, it is
    /// perhaps one of those that bring connections from other machines, which nobody may look into:
    /// all of them are returned then.
    ///
    /// # Errors
    ///
    /// When the list of processes cannot be read.
    pub fn processes(&self) -> io::Result<Vec<PeerProcess>> {
        // It is no socket, and so has no other end of its own: handles are taken by number.
        let processes = File::open("/proc")?;
        let wanted = format!("socket:[{}]", self.inode);
        let (mut holders, mut forwarders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let (Some(number), folder) = (number, entry.path()) else {
                continue;
            };
            match has_open(&folder, &wanted) {
                Ok(false) => {}
                Ok(true) => {
                    let process = PeerProcess::of(&processes, Some(number));
                    // Only now the handle is known to be on that process, and not on the next one.
                    if has_open(&folder, &wanted).unwrap_or(false) {
                        holders.push(process);
                    }
                }
                Err(_hidden) => {
                    if self.is_forwarder(&folder) {
                        forwarders.push(PeerProcess::of(&processes, Some(number)));
                    }
                }
            }
        }
        Ok(if holders.is_empty() { forwarders } else { holders })
    }

    /// Says whether a process of this user brings connections from other machines.
    fn is_forwarder(&self, process: &Path) -> bool {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        let user = users.split_whitespace().next().and_then(|uid| uid.parse().ok());
        FORWARDERS.contains(&name.trim_end()) && user == Some(self.uid)
    }
}

/// Says whether a process has a file of this name open.
///
/// # Errors
///
/// When that cannot be seen. A process that has ended has none open.
fn has_open(process: &Path, wanted: &str) -> io::Result<bool> {
    let is_gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound
            || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
    };
    let entries = match fs::read_dir(process.join("fd")) {
        Err(error) if is_gone(&error) => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        let link = match entry.and_then(|entry| fs::read_link(entry.path())) {
            Err(error) if is_gone(&error) => continue,
            link => link?,
        };
        if link.as_os_str() == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finds the line of the socket that is at `own` and talks with `other`.
fn find(table: &str, own: &str, other: &str) -> Option<TcpPeer> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        if words.next()? != own || words.next()? != other {
            return None;
        }
        let uid = words.nth(4)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        // What nobody has open any more has no number, and says root of its user.
        (inode != 0).then_some(TcpPeer { uid, inode })
    })
}

/// Returns an address as the tables show it: the bytes of each word of 32 bits in the machine's own
/// order, the port as a number.
fn name(address: SocketAddr, is_six: bool) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) if is_six => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip).to_vec(),
    };
    let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
    let words = words.map(|word: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(word)));
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

    use rustix::process::{geteuid, getpid};

    use super::{TcpPeer, find, name};

    #[test]
    fn a_line_is_found_by_both_ends() {
        let (own, other) = ("0100007F:9C4E".to_owned(), "0100007F:1BA5".to_owned());
        let line = |own: &str, other: &str, rest: &str| {
            format!("   7: {own} {other} 01 00000000:00000000 00:00000000 00000000 {rest} 1 0 20\n")
        };
        let table = [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n",
            &line(&other, &own, " 1000        0 11"),
            &line(&own, "0100007F:1BA6", " 1000        0 12"),
            &line(&own, &other, " 1001        0 13"),
        ]
        .concat();
        assert_eq!(find(&table, &own, &other), Some(TcpPeer { uid: 1001, inode: 13 }));
        assert_eq!(find(&table, "0100007F:0001", &other), None);
        // It has closed, and only the kernel still knows of it.
        assert_eq!(find(&table.replace("1001        0 13", "0 0 0"), &own, &other), None);
        assert_eq!(find("", &own, &other), None);
        assert_eq!(find("\n   7: 0100007F:9C4E 0100007F:1BA5 01\n", &own, &other), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_written_as_the_kernel_does() {
        let four: SocketAddr = "127.0.0.1:7077".parse().unwrap();
        assert_eq!(name(four, false), "0100007F:1BA5");
        assert_eq!(name(four, true), "0000000000000000FFFF00000100007F:1BA5");
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(name(six, true), "00000000000000000000000001000000:0050");
    }

    #[track_caller]
    fn assert_own(listener: &TcpListener, client: TcpStream) {
        let (accepted, peer) = listener.accept().unwrap();
        let local = accepted.local_addr().unwrap();
        let found = TcpPeer::of(local, peer).unwrap().unwrap();
        assert_eq!(found.uid(), geteuid().as_raw());
        // The other way round it is this end.
        let this = TcpPeer::of(peer, local).unwrap().unwrap();
        assert_ne!(found, this);
        let own = getpid().as_raw_nonzero().get();
        let numbers = |it: TcpPeer| {
            let processes = it.processes().unwrap();
            processes.iter().map(|process| process.number()).collect::<Vec<_>>()
        };
        assert!(numbers(found).contains(&own));
        drop(client);
        assert_eq!(TcpPeer::of(local, peer).unwrap(), None, "it has closed");
        assert!(!numbers(found).contains(&own));
    }

    #[test]
    fn the_other_end_is_found_over_both_protocols() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = four.local_addr().unwrap();
        assert_own(&four, TcpStream::connect(at).unwrap());
        if let Ok(six) = TcpListener::bind("[::1]:0") {
            assert_own(&six, TcpStream::connect(six.local_addr().unwrap()).unwrap());
            // A socket of the one protocol that talks the other.
            let mapped =
                SocketAddr::from((Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]), at.port()));
            assert_own(&four, TcpStream::connect(mapped).unwrap());
        }
    }
}
