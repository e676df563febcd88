//! How nodes are switched on and off.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a node is switched. A node without one is switched by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "power")]
pub enum Power {
    /// Through a management controller that speaks Redfish (DMTF DSP0266).
    Redfish(Controller),
    /// Through a management controller that speaks IPMI 2.0 over the network.
    Ipmi(Controller),
    /// By the site's own program, called with `on`, `off`, `status`, `boot network` or `boot disk`.
    Command {
        /// The program's absolute path, and arguments that come before the verb.
        command: Vec<String>,
    },
}

/// A management controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// `HOST`, `HOST:PORT`, or for Redfish a URL such as `https://10.1.0.7`.
    pub address: String,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// Redfish: the system's path, such as `/redfish/v1/Systems/1`; without it the controller's only system is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Redfish: accept a certificate that nobody vouches for, as most controllers have.
    #[serde(default)]
    pub insecure: bool,
}

/// A password that is not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// From text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Power {
    /// The word for its kind.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Redfish(_) => "redfish",
            Self::Ipmi(_) => "ipmi",
            Self::Command { .. } => "command",
        }
    }
}

/// From where a node is to boot the next time; after that its firmware's own order holds again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootFrom {
    /// Over the network.
    Network,
    /// From its local disk.
    Disk,
}

/// Whether a node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerState {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl fmt::Display for BootFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Network => "network",
            Self::Disk => "disk",
        })
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
