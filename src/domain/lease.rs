//! DHCP leases of the dynamic pool: which free address an unknown machine gets. Reservations need no lease.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::mac::MacAddr;

/// An address of the pool, lent to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who has it.
    pub mac: MacAddr,
    /// The address.
    pub address: Ipv4Addr,
    /// Until when; an expired lease is still the first choice for the same machine.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// A range of addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address.
    pub last: Ipv4Addr,
}

impl Pool {
    /// True if the address is in the pool.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// How many addresses it has.
    pub fn len(&self) -> usize {
        usize::try_from(u32::from(self.last).saturating_sub(u32::from(self.first))).map_or(0, |span| span.saturating_add(1))
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }
}

/// Chooses the address for `mac`: the one it had, else one never lent, else the longest expired one. `reserved` addresses
/// (nodes, the head, the gateway) are never given, nor is another machine's unexpired lease. `None`: the pool is full.
pub fn choose(pool: Pool, leases: &[Lease], reserved: &BTreeSet<Ipv4Addr>, mac: MacAddr, now: OffsetDateTime) -> Option<Ipv4Addr> {
    let usable = |address: Ipv4Addr| pool.contains(address) && !reserved.contains(&address);
    if let Some(own) = leases.iter().find(|lease| lease.mac == mac && usable(lease.address)) {
        return Some(own.address);
    }
    let lent: BTreeSet<Ipv4Addr> = leases.iter().map(|lease| lease.address).collect();
    pool.addresses().find(|address| usable(*address) && !lent.contains(address)).or_else(|| {
        leases
            .iter()
            .filter(|lease| lease.expires <= now && usable(lease.address))
            .min_by_key(|lease| lease.expires)
            .map(|lease| lease.address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn mac(last: u8) -> MacAddr {
        MacAddr::new([2, 0, 0, 0, 0, last])
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    fn lease(owner: u8, address: u8, minutes: i64) -> Lease {
        Lease { mac: mac(owner), address: ip(address), expires: NOW + Duration::minutes(minutes) }
    }

    #[test]
    fn a_machine_keeps_its_address() {
        let pool = Pool { first: ip(100), last: ip(101) };
        let leases = [lease(1, 101, -60)];
        assert_eq!(choose(pool, &leases, &BTreeSet::new(), mac(1), NOW), Some(ip(101)));
        assert_eq!(choose(pool, &leases, &BTreeSet::new(), mac(2), NOW), Some(ip(100)));
    }

    #[test]
    fn expired_leases_are_the_last_resort_and_live_ones_are_never_taken() {
        let pool = Pool { first: ip(100), last: ip(101) };
        assert_eq!(choose(pool, &[lease(1, 100, -5), lease(2, 101, -60)], &BTreeSet::new(), mac(3), NOW), Some(ip(101)));
        assert_eq!(choose(pool, &[lease(1, 100, 5), lease(2, 101, 5)], &BTreeSet::new(), mac(3), NOW), None);
    }

    #[test]
    fn a_reserved_address_is_never_lent() {
        let pool = Pool { first: ip(100), last: ip(101) };
        let reserved = BTreeSet::from([ip(100)]);
        assert_eq!(choose(pool, &[lease(1, 100, 5)], &reserved, mac(1), NOW), Some(ip(101)));
    }
}
