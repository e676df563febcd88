//! A program of the site's own.

use super::LIMIT;
use crate::domain::name::NodeName;
use crate::domain::power::{BootFrom, PowerState};
use crate::sys::run::run;

async fn call(command: &[String], node: &NodeName, words: &[&str]) -> Result<String, String> {
    let argv: Vec<String> = command.iter().cloned().chain(words.iter().map(|&word| word.to_owned())).collect();
    run(&argv, &[("KICKCTL_NODE", node.as_str())], b"", LIMIT).await
}

pub async fn state(command: &[String], node: &NodeName) -> Result<PowerState, String> {
    let said = call(command, node, &["status"]).await?;
    match said.as_str() {
        "on" => Ok(PowerState::On),
        "off" => Ok(PowerState::Off),
        other => Err(format!("`status` has to print on or off, and printed `{}`", other.chars().take(80).collect::<String>())),
    }
}

pub async fn turn(command: &[String], node: &NodeName, to: PowerState) -> Result<(), String> {
    call(command, node, &[&to.to_string()]).await.map(|_| ())
}

pub async fn boot_once(command: &[String], node: &NodeName, from: BootFrom) -> Result<(), String> {
    call(command, node, &["boot", &from.to_string()]).await.map(|_| ())
}
