//! IPv4 networks.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network, written `10.0.0.0/24`. Its host bits are zero and it has room for at least two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

/// Text that is not a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSubnet {
    /// Not of the form.
    #[error("`{0}` is not a network: write ADDRESS/BITS, such as 10.0.0.0/24, with 8 to 30 bits")]
    Form(String),
    /// An address within the network was written, not the network's own.
    #[error("`{written}` has host bits set: the network that holds it is {meant}")]
    HostBits {
        /// What was written.
        written: String,
        /// The network it lies in.
        meant: Subnet,
    },
}

impl Subnet {
    /// The network that `address` lies in, if it is `prefix` bits long. `None` unless `prefix` is 8 to 30.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (8..=30).contains(&prefix).then(|| Self { network: Ipv4Addr::from(u32::from(address) & mask(prefix)), prefix })
    }

    /// The network's own address.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// How many bits name the network.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Such as 255.255.255.0.
    pub fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from(mask(self.prefix))
    }

    /// The last address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !mask(self.prefix))
    }

    /// The first address that a machine can have.
    pub fn first_host(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) + 1)
    }

    /// True if the address lies in the network, its own and the broadcast address included.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == u32::from(self.network)
    }

    /// True if a machine in this network can have the address.
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.network && address != self.broadcast()
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = BadSubnet;
    fn from_str(text: &str) -> Result<Self, BadSubnet> {
        let form = || BadSubnet::Form(text.chars().take(64).collect());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let subnet = prefix.parse().ok().and_then(|prefix| Self::around(address, prefix)).ok_or_else(form)?;
        if subnet.network == address { Ok(subnet) } else { Err(BadSubnet::HostBits { written: text.into(), meant: subnet }) }
    }
}

impl TryFrom<String> for Subnet {
    type Error = BadSubnet;
    fn try_from(text: String) -> Result<Self, BadSubnet> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_knows_its_bounds() {
        let subnet: Subnet = "10.1.4.0/22".parse().unwrap();
        assert_eq!(subnet.netmask(), Ipv4Addr::new(255, 255, 252, 0));
        assert_eq!(subnet.broadcast(), Ipv4Addr::new(10, 1, 7, 255));
        assert!(subnet.is_host(Ipv4Addr::new(10, 1, 5, 0)));
        assert!(!subnet.is_host(Ipv4Addr::new(10, 1, 4, 0)));
        assert!(!subnet.contains(Ipv4Addr::new(10, 1, 8, 0)));
    }

    #[test]
    fn an_address_in_the_network_is_answered_with_the_network() {
        let error = "10.0.0.7/24".parse::<Subnet>().unwrap_err();
        assert!(error.to_string().ends_with("is 10.0.0.0/24"), "{error}");
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/31", "10.0.0/24", "0.0.0.0/0", "10.0.0.0/-1"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }
}
