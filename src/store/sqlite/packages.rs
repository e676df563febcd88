//! The packages that nodes reported last.

use rusqlite::Connection;
use time::OffsetDateTime;

use super::fault::Fault;
use super::nodes::must_exist;
use super::rows::{execute, nanoseconds, query_first};
use crate::domain::attempt::AttemptId;
use crate::domain::checksum::Sha256;
use crate::domain::mirror::PackageFormat;
use crate::domain::name::NodeName;
use crate::domain::package::{Installed, Package};
use crate::store::NodePackages;

/// A report as it is kept. It is made before its turn to be written comes, since everybody else waits during that.
pub struct Report {
    node: NodeName,
    attempt: AttemptId,
    at: OffsetDateTime,
    format: PackageFormat,
    text: String,
    digest: Sha256,
}

impl From<&NodePackages> for Report {
    fn from(told: &NodePackages) -> Self {
        let text: String = told.packages.iter().map(line).collect();
        let digest = Sha256::of(text.as_bytes());
        Self { node: told.node.clone(), attempt: told.attempt, at: told.at, format: told.format, text, digest }
    }
}

pub fn packages(at: &Connection, node: &NodeName) -> Result<Option<NodePackages>, Fault> {
    let sql = "SELECT node, attempt, at, format, packages FROM node_packages
               JOIN package_lists ON package_lists.digest = node_packages.digest WHERE node = ?1";
    query_first(at, "node_packages", sql, [node.as_str()], |columns| {
        let packages: String = columns.get("packages")?;
        Ok(NodePackages {
            node: columns.text("node")?,
            attempt: columns.count("attempt")?,
            at: columns.time("at")?,
            format: columns.text("format")?,
            packages: packages.lines().filter_map(of_line).collect(),
        })
    })
}

pub fn put_packages(at: &Connection, told: &Report) -> Result<(), Fault> {
    must_exist(at, &told.node)?;
    let digest = told.digest.to_string();
    let sql = "INSERT INTO package_lists (digest, packages) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING";
    execute(at, sql, [&digest, &told.text])?;
    let sql = "INSERT INTO node_packages (node, attempt, at, format, digest) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (node) DO UPDATE SET attempt = excluded.attempt, at = excluded.at, format = excluded.format, digest = excluded.digest";
    execute(at, sql, (told.node.as_str(), told.attempt, nanoseconds(told.at), told.format.to_string(), &digest))?;
    execute(at, "DELETE FROM package_lists WHERE digest NOT IN (SELECT digest FROM node_packages)", [])?;
    Ok(())
}

/// `name arch version`, and a module stream where there is one. None of them has blanks: whoever takes a report checks that.
fn line(installed: &Installed) -> String {
    let Package { name, arch, version } = &installed.package;
    let module = installed.module.as_ref().map(|module| format!(" {module}")).unwrap_or_default();
    format!("{name} {arch} {version}{module}\n")
}

fn of_line(line: &str) -> Option<Installed> {
    let mut words = line.split(' ');
    let mut word = || words.next().map(str::to_owned);
    let package = Package { name: word()?, arch: word()?, version: word()? };
    Some(Installed { package, module: word() })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use crate::domain::mac::MacAddr;
    use crate::domain::mirror::PackageFormat;
    use crate::domain::node::Node;
    use crate::domain::package::{Installed, Package};
    use crate::store::{NodePackages, SqliteStore, Store};

    fn told(node: &str, version: &str) -> NodePackages {
        let package = |name: &str| Package { name: name.to_owned(), version: version.to_owned(), arch: "x86_64".to_owned() };
        let packages = vec![
            Installed { package: package("a"), module: None },
            Installed { package: package("b"), module: Some("nodejs:18".to_owned()) },
        ];
        NodePackages { node: node.parse().unwrap(), attempt: 7, at: datetime!(2026-11-21 12:00 UTC), format: PackageFormat::Rpm, packages }
    }

    fn node(name: &str, last: u8) -> Node {
        Node {
            name: name.parse().unwrap(),
            macs: vec![MacAddr::new([2, 0, 0, 0, 0, last])],
            address: None,
            arch: Default::default(),
            firmware: None,
            uuid: None,
            serial: None,
            groups: Default::default(),
            variables: Default::default(),
        }
    }

    #[tokio::test]
    async fn the_last_report_is_kept_equal_ones_once_and_none_without_its_node() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
        assert!(store.put_packages(&told("node07", "1")).await.is_err(), "there is no such node");
        let nodes = [("node07", 7), ("node08", 8)].map(|(name, last)| node(name, last));
        store.add_nodes(&nodes).await.unwrap();
        for (node, version) in [("node07", "1"), ("node08", "1"), ("node07", "2")] {
            store.put_packages(&told(node, version)).await.unwrap();
        }
        assert_eq!(store.packages(&nodes[0].name).await.unwrap(), Some(told("node07", "2")));
        let lists = async || {
            let all = |at: &rusqlite::Connection| {
                crate::store::sqlite::rows::query_all(at, "lists", "SELECT 1 FROM package_lists", [], |_| Ok(()))
            };
            store.read(all).await.unwrap().len()
        };
        assert_eq!(lists().await, 2);
        store.put_packages(&told("node08", "2")).await.unwrap();
        assert_eq!(lists().await, 1, "a list that nobody has is gone");
        store.remove_nodes(&[nodes[0].name.clone()]).await.unwrap();
        assert_eq!(store.packages(&nodes[0].name).await.unwrap(), None);
    }
}
