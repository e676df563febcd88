//! Switches nodes on and off, and tells which are on.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde::Serialize;

use super::carry_out::firmware;
use super::{Head, Result};
use crate::domain::name::NodeName;
use crate::domain::node::{Firmware, Node};
use crate::domain::power::{Power, PowerState};
use crate::store::Store;
use crate::sys::power::{PowerError, Switch};

/// Most controllers that are spoken to at the same time.
const PARALLEL: usize = 16;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerVerb {
    /// Switch on.
    On,
    /// Switch off, at once.
    Off,
    /// Off and, after a while, on.
    Cycle,
    /// Tell.
    Status,
}

/// A node's power. Its JSON form is documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PowerReport {
    /// The node.
    pub node: NodeName,
    /// How it is switched: `redfish`, `ipmi`, `command` or `none`.
    pub power: &'static str,
    /// Whether it is on, if that is known.
    pub state: Option<PowerState>,
    /// Why it could not be switched or asked.
    pub problem: Option<String>,
}

/// Does it for every node, several at a time; one that fails keeps no other from it.
///
/// # Errors
/// If the state cannot be read.
pub async fn power_nodes(head: &Head, nodes: &[Node], verb: PowerVerb) -> Result<Vec<PowerReport>> {
    let how = head.store.power().await?;
    let mut jobs = vec![];
    for node in nodes {
        jobs.push((node.name.clone(), how.get(&node.name).cloned(), firmware(head, node).await? == Some(Firmware::Uefi)));
    }
    let one = |(node, power, uefi): (NodeName, Option<Power>, bool)| async move {
        let Some(power) = power else {
            let problem = format!("it is switched by hand: `kickctl node set {node} --power` gives it a controller");
            return PowerReport { node, power: "none", state: None, problem: Some(problem) };
        };
        let told = act(&Switch { node: &node, power: &power, uefi }, verb, head.config.off_time).await;
        let (state, problem) = match told {
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error.to_string())),
        };
        PowerReport { power: power.word(), node, state, problem }
    };
    Ok(stream::iter(jobs).map(one).buffered(PARALLEL).collect().await)
}

async fn act(switch: &Switch<'_>, verb: PowerVerb, off: Duration) -> std::result::Result<PowerState, PowerError> {
    match verb {
        PowerVerb::Status => {}
        PowerVerb::On => switch.turn(PowerState::On).await?,
        PowerVerb::Off => switch.turn(PowerState::Off).await?,
        PowerVerb::Cycle => {
            switch.turn(PowerState::Off).await?;
            tokio::time::sleep(off).await;
            switch.turn(PowerState::On).await?;
        }
    }
    switch.state().await
}

/// Sets how nodes are switched; `None` is by hand. All or none.
///
/// # Errors
/// If there is no such node, or the state cannot be written.
pub async fn set_power(store: &dyn Store, nodes: &[NodeName], power: Option<&Power>) -> Result<()> {
    Ok(store.set_power(&nodes.iter().map(|node| (node.clone(), power.cloned())).collect::<Vec<_>>()).await?)
}
