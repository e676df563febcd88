//! `kickctl doctor`: finds what will not work, with the remedy.
//!
//! `probe` looks at the machine, [`check`] judges what was seen; the second is pure.

pub mod check;
mod probe;

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use super::Head;
use super::export_nfs::{lines, not_live};
use super::head_keys::token_secret;
use super::place::Place;
use crate::config::Nfs;
use crate::domain::node::Node;
use crate::store::Store;
use crate::sys::condition;

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `UDP port 67`.
    pub check: String,
    /// How it stands.
    pub level: Level,
    /// What was seen.
    pub told: String,
    /// What to do about it; `None` if it is well.
    pub remedy: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Well.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It will not work.
    Fail,
}

impl Finding {
    fn ok(check: impl Into<String>, told: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Ok, told: told.into(), remedy: None }
    }

    fn warn(check: impl Into<String>, told: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Warn, told: told.into(), remedy: Some(remedy.into()) }
    }

    fn fail(check: impl Into<String>, told: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Fail, told: told.into(), remedy: Some(remedy.into()) }
    }
}

/// The DHCP servers that answered a probe on the cluster interface, or why none could be made.
pub type OtherServers = Result<Vec<Ipv4Addr>, String>;

/// Runs every check. `others` comes from the caller, since the DHCP client that asks belongs to the protocol servers.
pub async fn doctor(place: &Place, others: Option<OtherServers>) -> Vec<Finding> {
    let Place { config, data } = place;
    let mut findings = vec![check::interface(config, &probe::interfaces())];
    findings.extend(probe::ports(config).iter().map(|seen| check::port(config, seen)));
    findings.push(check::rights(config, condition::may_bind_low_ports()));
    // Why nobody can be asked on an interface that is not there needs no second remedy.
    let others = others.filter(|others| others.is_ok() || findings[0].level != Level::Fail);
    findings.extend(others.map(|others| check::other_servers(config, &others)));
    findings.extend(probe::loaders(config, data).into_iter().map(|(loader, found)| check::loader(loader, found.as_deref())));
    findings.push(check::space(data.root(), probe::free_space(data.root())));
    findings.push(check::clock(&probe::clock()));
    findings.extend(probe::modes(data).iter().map(check::mode));
    findings.push(check::mirrors(&probe::mirrors(data)));
    if data.state().exists() {
        findings.extend(nodes(place).await);
        if config.nfs == Nfs::Kernel {
            findings.push(exports(place).await);
        }
    }
    findings
}

/// The system's NFS server exports what nodes boot from.
async fn exports(place: &Place) -> Finding {
    let looked = async {
        let store = Arc::new(place.store().await?);
        let head = Head::new(place.config.clone(), place.data.clone(), store, token_secret(&place.data)?);
        lines(&head).await
    };
    match looked.await {
        Ok(lines) => check::exports(lines.len(), &not_live(&lines, &probe::exported())),
        Err(error) => Finding::fail("NFS exports", error.to_string(), "restore the state from a backup, or run as the user that owns it"),
    }
}

async fn nodes(place: &Place) -> Vec<Finding> {
    let counted = async {
        let store = place.store().await?;
        let (nodes, assignments) = (store.nodes().await?, store.assignments().await?);
        let assigned = |node: &&Node| assignments.iter().any(|assignment| assignment.node == node.name);
        let unassigned = nodes.iter().filter(|node| !assigned(node)).map(|node| node.name.clone()).collect::<Vec<_>>();
        Ok::<_, super::Error>((nodes.len(), unassigned))
    };
    match counted.await {
        Ok((count, unassigned)) => {
            let neighbours = probe::most_neighbours().map(|most| check::neighbours(count, most));
            std::iter::once(check::nodes(count, &unassigned)).chain(neighbours).collect()
        }
        Err(error) => vec![Finding::fail("state", error.to_string(), "restore the state from a backup, or run as the user that owns it")],
    }
}
