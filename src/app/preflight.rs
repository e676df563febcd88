//! Tries everything that an installation will need before anything reboots.

use super::list_profiles::list_profiles;
use super::{Error, Head, Result, material, order};
use crate::domain::attempt::Order;
use crate::domain::node::{Firmware, Node};
use crate::domain::profile::Assignment;
use crate::provision::preseed;

/// A node that can be installed, and how.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The node.
    pub node: Node,
    /// What would be frozen into its attempt.
    pub order: Order,
}

/// Checks each assignment: profile, variables, snapshot and installer are there, and every file renders and is well-formed.
///
/// # Errors
/// [`Error::Refused`] with everything that was found, for all nodes together.
pub async fn preflight(head: &Head, assignments: &[Assignment]) -> Result<Vec<Ready>> {
    let library = list_profiles(&head.data)?;
    let (mut ready, mut findings) = (Vec::new(), Vec::new());
    for assignment in assignments {
        let name = &assignment.node;
        let node = head.store.node(name).await?.ok_or_else(|| crate::store::Error::NoNode(name.clone()))?;
        match check(head, &library, &node, assignment).await {
            Ok(order) => ready.push(Ready { node, order }),
            Err(error @ Error::Store(_)) => return Err(error),
            Err(error) => findings.push(format!("{name}: {error}")),
        }
    }
    if findings.is_empty() { Ok(ready) } else { Err(Error::Refused(findings.join("\n"))) }
}

async fn check(head: &Head, library: &crate::provision::library::Library, node: &Node, assignment: &Assignment) -> Result<Order> {
    let order = order::draw_up(head, library, node, assignment).await?;
    // A node whose firmware is not known yet must be installable by either.
    let firmwares = node.firmware.map_or(vec![Firmware::Bios, Firmware::Uefi], |known| vec![known]);
    for firmware in firmwares {
        let material = material::rehearse(head, library.clone(), node, &order, firmware).await?;
        let preseed = material.render("preseed.cfg", None)?;
        for script in ["takeover.sh", "late.sh"] {
            material.render(script, Some("rehearsal"))?;
        }
        let findings = preseed::lint(&preseed);
        if !findings.is_empty() {
            let told: Vec<String> =
                findings.iter().map(|finding| format!("line {}: {}: {}", finding.line, finding.problem, finding.remedy)).collect();
            return Err(Error::Refused(format!("preseed.cfg of profile {}: {}", order.profile, told.join("; "))));
        }
    }
    Ok(order)
}
