//! Who listens on which port: `/proc/net` names sockets by inode, `/proc/*/fd` tells which process holds them.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP; listening sockets only.
    Tcp,
}

/// A socket that waits for packets or connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address it is bound to; IPv4 addresses inside IPv6 ones are unwrapped.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The socket's inode.
    pub inode: u64,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line, cut to a bound.
    pub command: String,
}

/// All listeners of this network namespace.
///
/// # Errors
/// `/proc/net` cannot be read.
pub fn listeners(protocol: Protocol) -> io::Result<Vec<Listener>> {
    let (four, six) = match protocol {
        Protocol::Udp => ("/proc/net/udp", "/proc/net/udp6"),
        Protocol::Tcp => ("/proc/net/tcp", "/proc/net/tcp6"),
    };
    let mut text = fs::read_to_string(four)?;
    // A kernel without IPv6 has no such file.
    text.push_str(&fs::read_to_string(six).unwrap_or_default());
    Ok(text.lines().filter_map(|line| parse(line, protocol)).collect())
}

/// The process that holds a socket. `None` if it ended, or belongs to somebody else and we are not root.
pub fn holder(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| holds(*pid, &wanted)).map(|pid| Holder { pid, command: command(pid) })
}

fn holds(pid: u32, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.filter_map(Result::ok).any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(wanted)))
}

fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&line).replace('\0', " ");
    words.trim().chars().filter(|c| !c.is_control()).take(120).collect()
}

/// One line of `/proc/net/udp` or `tcp` (proc(5)): `sl local remote st ... inode`. TCP state 0A is LISTEN, UDP has 07.
fn parse(line: &str, protocol: Protocol) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if protocol == Protocol::Tcp && *state != "0A" {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Listener { address: parse_address(address)?, port: u16::from_str_radix(port, 16).ok()?, inode: inode.parse().ok()? })
}

/// Words of 32 bits in the machine's own byte order, in hexadecimal.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for at in 0..4 {
                octets[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn our_own_sockets_are_found_with_their_holder() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        let found = listeners(Protocol::Udp).unwrap().into_iter().find(|listener| listener.port == port).unwrap();
        assert_eq!(found.address, Ipv4Addr::LOCALHOST);
        assert_eq!(holder(found.inode).unwrap().pid, std::process::id());

        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        assert!(listeners(Protocol::Tcp).unwrap().iter().any(|listener| listener.port == port));
        drop(tcp);
        assert!(!listeners(Protocol::Tcp).unwrap().iter().any(|listener| listener.port == port && holder(listener.inode).is_some()));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[0-9A-Fé: ]{0,60}") {
            let _ = parse(&line, Protocol::Udp);
            let _ = parse_address(&line);
        }
    }
}
