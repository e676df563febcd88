//! A store with something in it, for the tests of the use cases.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

use super::Head;
use crate::config::{Config, Source};
use crate::domain::attempt::{Attempt, Order};
use crate::domain::checksum::Sha256;
use crate::domain::mac::MacAddr;
use crate::domain::node::Node;
use crate::domain::profile::ProfileKind;
use crate::store::{SqliteStore, Store};
use crate::sys::data_dir::DataDir;

/// The moment of all tests.
pub const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// An empty store in a folder of its own.
pub async fn fresh() -> (TempDir, SqliteStore) {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    (folder, store)
}

/// A head with this data folder, which may have been used before; a file `more.toml` in it is part of its configuration. It serves nobody.
pub async fn head(data: &Path) -> Head {
    std::fs::create_dir_all(data).unwrap();
    let more = std::fs::read_to_string(data.join("more.toml")).unwrap_or_default();
    let text = format!("interface = \"lo\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n{more}");
    let config = Config::parse(&Source::new("kickctl.toml", text)).unwrap();
    let data = DataDir::new(data);
    let store = Arc::new(SqliteStore::open(&data.state()).await.unwrap());
    Head::new(config, data, store, [7; 32])
}

/// A node with MAC address 02:00:00:00:00:`last` and address 10.0.0.`last`.
pub fn node(name: &str, last: u8) -> Node {
    Node {
        name: name.parse().unwrap(),
        macs: vec![MacAddr::new([2, 0, 0, 0, 0, last])],
        address: Some(Ipv4Addr::new(10, 0, 0, last)),
        arch: Default::default(),
        firmware: None,
        uuid: None,
        serial: None,
        groups: Default::default(),
        variables: Default::default(),
    }
}

/// Adds a node and arms it.
pub async fn armed(store: &SqliteStore, name: &str, last: u8) -> Attempt {
    let node = node(name, last);
    store.add_nodes(std::slice::from_ref(&node)).await.unwrap();
    store.arm(&node.name, &order(), NOW).await.unwrap()
}

/// An order for Debian.
pub fn order() -> Order {
    Order {
        profile: "debian-13".parse().unwrap(),
        kind: ProfileKind::Preseed,
        profile_digest: Sha256::of(b""),
        mirror: "debian-13".parse().unwrap(),
        snapshot: "20261121T045300Z-3f9a2c41".parse().unwrap(),
        image: None,
        fallback_of: None,
        variables: Default::default(),
    }
}
