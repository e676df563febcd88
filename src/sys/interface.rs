//! The machine's network interfaces, as `ip` tells them.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;

use serde::Deserialize;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Switched on by the administrator.
    pub up: bool,
    /// There is a link at the other end of the cable.
    pub carrier: bool,
    /// Its IPv4 addresses with the bits of their networks.
    pub addresses: Vec<(Ipv4Addr, u8)>,
}

/// The part of `ip -json address` that matters here.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Option<Ipv4Addr>,
    #[serde(default)]
    prefixlen: u8,
}

/// All interfaces of this network namespace.
///
/// # Errors
/// `ip` (package iproute2) cannot be run or says something else.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let output = Command::new("ip").args(["-json", "-4", "address"]).output()?;
    // `-4` leaves out interfaces without an address, so those come from a second question.
    let links = Command::new("ip").args(["-json", "link"]).output()?;
    read(&links.stdout, &output.stdout).map_err(|error| io::Error::other(format!("`ip -json address` said something unexpected: {error}")))
}

fn read(links: &[u8], addresses: &[u8]) -> serde_json::Result<Vec<Interface>> {
    let links: Vec<Told> = serde_json::from_slice(links)?;
    let addresses: Vec<Told> = if addresses.trim_ascii().is_empty() { vec![] } else { serde_json::from_slice(addresses)? };
    Ok(links
        .into_iter()
        .map(|link| Interface {
            up: link.flags.iter().any(|flag| flag == "UP"),
            carrier: link.flags.iter().any(|flag| flag == "LOWER_UP"),
            addresses: addresses_of(&addresses, &link.ifname),
            name: link.ifname,
        })
        .collect())
}

fn addresses_of(told: &[Told], name: &str) -> Vec<(Ipv4Addr, u8)> {
    let named = told.iter().filter(|told| told.ifname == name).flat_map(|told| &told.addr_info);
    named.filter_map(|address| Some((address.local?, address.prefixlen))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_without_an_address_are_listed_too() {
        let links = br#"[{"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"]},{"ifname":"eth1","flags":["NO-CARRIER","UP"]}]"#;
        // iproute2 6.1 prints an empty object for each interface that it leaves out.
        let addresses = br#"[{},{"ifname":"lo","flags":[],"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]}]"#;
        let found = read(links, addresses).unwrap();
        assert_eq!(found[0].addresses, [(Ipv4Addr::LOCALHOST, 8)]);
        assert_eq!((found[1].up, found[1].carrier, found[1].addresses.len()), (true, false, 0));
    }

    #[test]
    fn this_machine_has_a_loopback() {
        assert!(interfaces().unwrap().iter().any(|interface| interface.name == "lo"));
    }
}
