//! From discovered machines to nodes.

use std::net::Ipv4Addr;

use super::plan_nodes::Plan;
use super::set_nodes::{Settings, blank};
use super::{Error, Result};
use crate::domain::mac::MacAddr;
use crate::domain::name::NodeName;
use crate::domain::node::{Discovered, Node};
use crate::store::{self, Store};

/// Discovered machines that become nodes.
#[derive(Debug)]
pub struct Approval {
    /// What happens to the nodes.
    pub plan: Plan,
    machines: Vec<Discovered>,
}

/// Plans to make nodes of one discovered machine, or of all in the order in which they were first seen. The first gets the
/// first name, and `address`; the addresses count up from there.
///
/// # Errors
/// [`Error::Missing`] if no such machine was discovered; [`Error::Usage`] if there are fewer names than machines; as
/// [`Plan::new`].
pub async fn approve_nodes(
    store: &dyn Store,
    which: Option<MacAddr>,
    names: Vec<NodeName>,
    address: Option<Ipv4Addr>,
    settings: &Settings,
) -> Result<Approval> {
    let mut machines = store.discovered().await?;
    machines.retain(|machine| which.is_none_or(|mac| mac == machine.mac));
    machines.sort_by_key(|machine| (machine.first_seen, machine.mac));
    if machines.is_empty() {
        let what =
            which.map_or_else(|| "no machine was discovered".to_owned(), |mac| format!("no machine with MAC address {mac} was discovered"));
        return Err(Error::Missing(format!("{what}: `kickctl node list --discovered` shows those that were")));
    }
    if names.len() < machines.len() {
        return Err(Error::Usage(format!("{} machines were discovered and --name gives {} names", machines.len(), names.len())));
    }
    let held = store.nodes().await?;
    let mut nodes = vec![];
    for (at, (machine, name)) in (0..).zip(machines.iter().zip(names)) {
        if held.iter().any(|node| node.name == name) {
            return Err(store::Error::Exists(name).into());
        }
        let address = address.map(|first| count_up(first, at)).transpose()?;
        let mut node = from_machine(machine, name, &held);
        settings.apply(&mut node)?;
        nodes.push(Node { address, ..node });
    }
    Ok(Approval { plan: Plan::new(store, nodes).await?, machines })
}

impl Approval {
    /// Does it; what iPXE told of the machines becomes the nodes' facts.
    ///
    /// # Errors
    /// As [`Plan::apply`].
    pub async fn apply(&self, store: &dyn Store) -> Result<()> {
        self.plan.apply(store).await?;
        for (change, machine) in self.plan.changes.iter().zip(&self.machines) {
            store.update_facts(change.name(), &machine.facts).await?;
        }
        Ok(())
    }
}

/// A UUID that another node has, or that is a placeholder, would identify nothing: it is left out.
fn from_machine(machine: &Discovered, name: NodeName, held: &[Node]) -> Node {
    let tells = |uuid: &_| held.iter().all(|node| node.uuid.as_ref() != Some(uuid));
    Node {
        macs: vec![machine.mac],
        arch: machine.arch,
        firmware: Some(machine.firmware),
        uuid: machine.uuid.clone().filter(|uuid| !uuid.is_placeholder() && tells(uuid)),
        serial: machine.facts.get("serial").map(str::to_owned),
        ..blank(name)
    }
}

fn count_up(first: Ipv4Addr, by: u32) -> Result<Ipv4Addr> {
    let counted = u32::from(first).checked_add(by).map(Ipv4Addr::from);
    counted.ok_or_else(|| Error::Usage(format!("there are not enough addresses from {first} on")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{NOW, fresh, node};
    use crate::domain::facts::Facts;
    use crate::domain::node::{Arch, Firmware};
    use crate::domain::nodeset::NodeSet;
    use time::Duration;

    fn machine(last: u8, minutes: i64) -> Discovered {
        let mut facts = Facts::default();
        facts.set("serial", &format!("S-{last}"));
        let (first_seen, last_seen) = (NOW + Duration::minutes(minutes), NOW);
        let mac = MacAddr::new([2, 0, 0, 0, 1, last]);
        Discovered { mac, uuid: None, arch: Arch::Amd64, firmware: Firmware::Uefi, address: None, facts, first_seen, last_seen }
    }

    #[tokio::test]
    async fn machines_become_nodes_in_the_order_they_were_seen() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("n1", 1)]).await.unwrap();
        store.discover(&machine(8, 5)).await.unwrap();
        store.discover(&machine(9, 1)).await.unwrap();
        let names = |text: &str| text.parse::<NodeSet>().unwrap().spelt_out().unwrap();
        let none = Settings::default();
        let approve = |names, address| approve_nodes(&store, None, names, address, &none);
        assert!(matches!(approve(names("n2"), None).await, Err(Error::Usage(_))));
        assert!(approve(names("n[1-2]"), None).await.unwrap_err().to_string().contains("already a node `n1`"));
        let approval = approve(names("n[2-5]"), Some(Ipv4Addr::new(10, 0, 0, 2))).await.unwrap();
        approval.apply(&store).await.unwrap();
        let nodes = store.nodes().await.unwrap();
        let told: Vec<String> = nodes[1..].iter().map(|node| format!("{} {} {}", node.name, node.macs[0], node.address.unwrap())).collect();
        assert_eq!(told, ["n2 02:00:00:00:01:09 10.0.0.2", "n3 02:00:00:00:01:08 10.0.0.3"]);
        assert_eq!(store.facts(&nodes[1].name).await.unwrap().get("serial"), Some("S-9"));
        assert_eq!(store.discovered().await.unwrap(), []);
        assert!(matches!(approve(names("n9"), None).await, Err(Error::Missing(_))));
    }
}
