//! IPMI 2.0 over the network, by `ipmitool`. The password goes by the environment: every user can read a list of arguments.

use super::LIMIT;
use crate::domain::power::{BootFrom, Controller, PowerState};
use crate::sys::run::run;

async fn ipmitool(at: &Controller, words: &[&str]) -> Result<String, String> {
    let (host, port) = match at.address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port),
        _ => (at.address.as_str(), "623"),
    };
    let fixed = ["ipmitool", "-I", "lanplus", "-H", host, "-p", port, "-U", &at.user, "-E"];
    let argv: Vec<String> = fixed.iter().chain(words).map(|&word| word.to_owned()).collect();
    run(&argv, &[("IPMITOOL_PASSWORD", at.password.reveal())], b"", LIMIT).await
}

pub async fn state(at: &Controller) -> Result<PowerState, String> {
    let said = ipmitool(at, &["chassis", "power", "status"]).await?;
    match said.rsplit(' ').next() {
        Some("on") => Ok(PowerState::On),
        Some("off") => Ok(PowerState::Off),
        _ => Err(format!("`chassis power status` said `{said}`")),
    }
}

pub async fn turn(at: &Controller, to: PowerState) -> Result<(), String> {
    ipmitool(at, &["chassis", "power", &to.to_string()]).await.map(|_| ())
}

/// Boot parameter 5 (IPMI 2.0 section 28.13, boot flags).
pub async fn boot_once(at: &Controller, from: BootFrom, uefi: bool) -> Result<(), String> {
    let (device, expected) = match from {
        BootFrom::Network => ("pxe", "PXE"),
        BootFrom::Disk => ("disk", "Hard-Drive"),
    };
    let mut words = vec!["chassis", "bootdev", device];
    if uefi {
        words.push("options=efiboot");
    }
    ipmitool(at, &words).await?;
    let flags = ipmitool(at, &["chassis", "bootparam", "get", "5"]).await?;
    match flags.lines().find(|line| line.contains("Boot Device Selector")) {
        Some(line) if line.contains(expected) => Ok(()),
        Some(line) => Err(format!("it was told to boot from {device}, and reads back `{}`", line.trim())),
        None => Err(format!("it was told to boot from {device}, and boot parameter 5 does not read back")),
    }
}
