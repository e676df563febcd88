//! Switching nodes on and off: Redfish, IPMI, or a program of the site's own. Each call may be repeated without harm.

mod command;
mod ipmi;
mod redfish;

use std::time::Duration;

use crate::domain::name::NodeName;
use crate::domain::power::{BootFrom, Power, PowerState};

/// How long a controller may take for one answer.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a node may take from the command until it is what it was told to be.
const SETTLING: Duration = Duration::from_secs(60);

/// Why a node could not be switched.
#[derive(Debug, thiserror::Error)]
#[error("{node} ({how}): {problem}")]
pub struct PowerError {
    node: NodeName,
    how: &'static str,
    problem: String,
}

/// A node that can be switched.
#[derive(Clone, Debug)]
pub struct Switch<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// How.
    pub power: &'a Power,
    /// True if it boots by UEFI: the controller is told so when it is to choose from where.
    pub uefi: bool,
}

impl Switch<'_> {
    /// Whether the node is on.
    ///
    /// # Errors
    /// If the controller does not say.
    pub async fn state(&self) -> Result<PowerState, PowerError> {
        let told = match self.power {
            Power::Redfish(at) => redfish::state(at).await,
            Power::Ipmi(at) => ipmi::state(at).await,
            Power::Command { command } => command::state(command, self.node).await,
        };
        self.tell(told)
    }

    /// Switches the node on or off (at once, without asking its system), and waits until it is.
    ///
    /// # Errors
    /// If the controller does not, or the node is not within a minute.
    pub async fn turn(&self, to: PowerState) -> Result<(), PowerError> {
        if self.state().await? == to {
            return Ok(());
        }
        self.tell(match self.power {
            Power::Redfish(at) => redfish::turn(at, to).await,
            Power::Ipmi(at) => ipmi::turn(at, to).await,
            Power::Command { command } => command::turn(command, self.node, to).await,
        })?;
        let begun = std::time::Instant::now();
        while self.state().await? != to {
            if begun.elapsed() > SETTLING {
                return self.tell(Err(format!("it is not {to} {} s after it was told to be", SETTLING.as_secs())));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// Chooses from where the node boots the next time, once, and reads back whether the controller has understood.
    ///
    /// # Errors
    /// If it has not.
    pub async fn boot_once(&self, from: BootFrom) -> Result<(), PowerError> {
        self.tell(match self.power {
            Power::Redfish(at) => redfish::boot_once(at, from, self.uefi).await,
            Power::Ipmi(at) => ipmi::boot_once(at, from, self.uefi).await,
            Power::Command { command } => command::boot_once(command, self.node, from).await,
        })
    }

    fn tell<T>(&self, told: Result<T, String>) -> Result<T, PowerError> {
        told.map_err(|problem| PowerError { node: self.node.clone(), how: self.power.word(), problem })
    }
}
