//! How nodes are switched on and off: the options of `kickctl node set` for it.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::app::power_nodes::set_power;
use crate::app::{self, Error, Store};
use crate::domain::name::NodeName;
use crate::domain::power::{Controller, Password, Power};

/// How nodes are switched on and off.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Power control")]
pub struct PowerFields {
    /// How the node is switched on and off; none is by hand
    #[arg(long)]
    power: Option<Kind>,
    /// Its management controller: HOST, HOST:PORT, or a URL for Redfish; {} stands for the node's name
    #[arg(long, value_name = "ADDRESS", requires = "power")]
    bmc_address: Option<String>,
    /// The account there
    #[arg(long, value_name = "USER", requires = "power")]
    bmc_user: Option<String>,
    /// A file whose first line is the password; kept where only the data folder's owner can read it
    #[arg(long, value_name = "FILE", requires = "power")]
    bmc_password_file: Option<PathBuf>,
    /// Redfish: the system's path, if the controller has several; {} stands for the node's name
    #[arg(long, value_name = "PATH", requires = "power")]
    bmc_system: Option<String>,
    /// Redfish: accept a certificate that nobody vouches for
    #[arg(long, requires = "power")]
    bmc_insecure: bool,
    /// With `--power command`: the program and its first arguments; on, off, status, boot network or boot disk comes after them
    #[arg(long, value_name = "PROGRAM", num_args = 1.., requires = "power")]
    power_command: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Redfish,
    Ipmi,
    Command,
    None,
}

impl PowerFields {
    /// True if nothing of power is to be set.
    pub fn is_empty(&self) -> bool {
        self.power.is_none()
    }

    /// Sets it for these nodes.
    ///
    /// # Errors
    /// [`Error::Usage`] if something is missing, [`Error::Io`] if the password cannot be read.
    pub async fn apply(&self, store: &dyn Store, nodes: &[NodeName], dry_run: bool) -> app::Result<()> {
        let password = self.password()?;
        for node in nodes {
            let power = self.power_of(node, password.as_ref())?;
            if !dry_run && !self.is_empty() {
                set_power(store, std::slice::from_ref(node), power.as_ref()).await?;
            }
        }
        Ok(())
    }

    fn password(&self) -> app::Result<Option<Password>> {
        let Some(file) = &self.bmc_password_file else { return Ok(None) };
        let unreadable = |source| Error::Io { what: format!("cannot read the password from {}", file.display()), source };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        Ok(text.lines().next().map(Password::new))
    }

    fn power_of(&self, node: &NodeName, password: Option<&Password>) -> app::Result<Option<Power>> {
        let usage = |told: &str| Err(Error::Usage(told.to_owned()));
        let named = |text: &String| text.replace("{}", node.as_str());
        match self.power {
            None | Some(Kind::None) => Ok(None),
            Some(Kind::Command) => match &self.power_command {
                Some(command) if command.first().is_some_and(|program| program.starts_with('/')) => {
                    Ok(Some(Power::Command { command: command.iter().map(named).collect() }))
                }
                _ => usage("--power command takes --power-command with the absolute path of a program"),
            },
            Some(kind) => {
                let (Some(address), Some(user), Some(password)) = (&self.bmc_address, &self.bmc_user, password) else {
                    return usage("--power redfish and ipmi take --bmc-address, --bmc-user and --bmc-password-file");
                };
                let system = self.bmc_system.as_ref().map(named);
                let controller = Controller {
                    address: named(address),
                    user: user.clone(),
                    password: password.clone(),
                    system,
                    insecure: self.bmc_insecure,
                };
                Ok(Some(if kind == Kind::Ipmi { Power::Ipmi(controller) } else { Power::Redfish(controller) }))
            }
        }
    }
}
