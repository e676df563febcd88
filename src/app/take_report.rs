//! Takes what an installer or an installed system reports. Everything may come twice, late, or not at all.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::authorize::{Granted, authorize};
use super::change_attempt::update_attempt;
use super::head::Head;
use super::{Error, Result};
use crate::domain::attempt::{AttemptId, Event};
use crate::domain::mirror::PackageFormat;
use crate::domain::occurrence::{Occurrence, What};
use crate::domain::package::Installed;
use crate::provision::decide::Request;
use crate::store::{LogLine, NodePackages, Sighting};

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A sign of life, which is no progress; a running diskless node tells more with it.
    Heartbeat(BTreeMap<String, String>),
    /// What the installer is doing.
    Step {
        /// Its word for it.
        step: String,
        /// 0 to 100.
        percent: u8,
        /// Units of work done so far, such as packages set up; 0 if it does not count them.
        units: u32,
    },
    /// The installer is done.
    Done,
    /// The installer gave up.
    Failed(String),
    /// Log lines.
    Logs(String),
    /// A node that runs its fallback profile tells what it knows of its trouble: kernel messages, disks, hardware.
    Rescue(String),
    /// The installed system calls home.
    Home(BTreeMap<String, String>),
    /// The running system tells its packages: at its call home, and when they changed.
    Packages(PackageFormat, Vec<Installed>),
}

/// Most key-value pairs that a call home may bring, and the longest value.
const MAX_HOME: (usize, usize) = (64, 1024);

/// Takes a report; false if the token does not open it now.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn take_report(head: &Head, token: &str, report: Report, peer: Ipv4Addr, now: OffsetDateTime) -> Result<bool> {
    let request = if matches!(report, Report::Home(_)) { Request::Home } else { Request::Report };
    let Some(granted) = authorize(head, token, request, peer).await? else { return Ok(false) };
    let id = granted.attempt.id;
    if let Report::Packages(format, packages) = report {
        head.store.put_packages(&NodePackages { node: granted.node.name, attempt: id, at: now, format, packages }).await?;
        return Ok(true);
    }
    if granted.attempt.order.kind.is_diskless()
        && let Report::Heartbeat(told) | Report::Home(told) = &report
    {
        head.store.put_sighting(&sighting(&granted, told, now)).await?;
        if matches!(report, Report::Heartbeat(_)) {
            return Ok(true);
        }
    }
    let (event, home) = match report {
        // Somebody has the token and lives, nothing more: no step, no percent.
        Report::Heartbeat(_) => (Event::Reported { step: String::new(), percent: 0, units: 0 }, None),
        Report::Step { step, percent, units } => (Event::Reported { step, percent, units }, None),
        Report::Done => (Event::Done, None),
        Report::Failed(reason) => (Event::GaveUp { reason }, None),
        Report::Home(told) => (Event::CalledHome, Some(bounded(told))),
        Report::Packages(..) => return Ok(true),
        Report::Logs(text) => {
            append(head, id, "installer", &text, now).await?;
            return Ok(true);
        }
        Report::Rescue(text) => return take_rescue(head, &granted, &text, now).await.map(|()| true),
    };
    let changed = update_attempt(&*head.store, id, now, |attempt| {
        let effects = attempt.advance(&event, now)?;
        if let Some(told) = &home {
            attempt.progress.home = Some(told.clone());
        }
        Ok(effects)
    });
    match changed.await {
        Ok(_) => Ok(true),
        // It came too late to matter, and the reporter can do nothing about it.
        Err(Error::Rejected(rejected)) => {
            tracing::info!(node = %granted.node.name, %rejected, "a report changed nothing");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

async fn append(head: &Head, id: AttemptId, source: &str, text: &str, now: OffsetDateTime) -> Result<()> {
    let line = |text: &str| LogLine { seq: 0, at: now, source: source.to_owned(), text: text.to_owned() };
    Ok(head.store.append_log(id, &text.lines().map(line).collect::<Vec<_>>()).await?)
}

/// Keeps it in the log of the boot that it came from, once.
async fn take_rescue(head: &Head, granted: &Granted, text: &str, now: OffsetDateTime) -> Result<()> {
    let attempt = &granted.attempt;
    if attempt.progress.rescued {
        return Ok(());
    }
    append(head, attempt.id, "rescue", text, now).await?;
    let noted = update_attempt(&*head.store, attempt.id, now, |attempt| {
        attempt.progress.rescued = true;
        Ok(vec![])
    });
    noted.await?;
    let (node, number) = (&granted.node.name, attempt.number);
    let told = format!("a report of {} lines arrived: `kickctl logs {node} --attempt {number}`", text.lines().count());
    let event = Occurrence { seq: 0, at: now, node: Some(node.clone()), attempt: Some(number), what: What::Rescue, text: told };
    Ok(head.store.add_events(&[event], now).await?)
}

fn sighting(granted: &Granted, told: &BTreeMap<String, String>, now: OffsetDateTime) -> Sighting {
    Sighting {
        node: granted.node.name.clone(),
        attempt: granted.attempt.id,
        at: now,
        // Shells read /proc/uptime, which has a fraction.
        uptime: told.get("uptime").and_then(|text| text.split('.').next()?.trim().parse().ok()).unwrap_or(0),
        version: told.get("version").map(|text| text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()).unwrap_or_default(),
    }
}

fn bounded(told: BTreeMap<String, String>) -> serde_json::Value {
    let (pairs, length) = MAX_HOME;
    let cut = |text: String| serde_json::Value::from(text.chars().take(length).collect::<String>());
    told.into_iter().take(pairs).map(|(key, value)| (key.chars().take(length).collect::<String>(), cut(value))).collect()
}
