//! Takes what an installer or an installed system reports. Everything may come twice, late, or not at all.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::authorize::authorize;
use super::change_attempt::update_attempt;
use super::head::Head;
use super::{Error, Result};
use crate::domain::attempt::Event;
use crate::provision::decide::Request;
use crate::store::LogLine;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A sign of life, which is no progress.
    Heartbeat,
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
    /// The installed system calls home.
    Home(BTreeMap<String, String>),
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
    let (event, home) = match report {
        // Somebody has the token and lives, nothing more: no step, no percent.
        Report::Heartbeat => (Event::Reported { step: String::new(), percent: 0, units: 0 }, None),
        Report::Step { step, percent, units } => (Event::Reported { step, percent, units }, None),
        Report::Done => (Event::Done, None),
        Report::Failed(reason) => (Event::GaveUp { reason }, None),
        Report::Home(told) => (Event::CalledHome, Some(bounded(told))),
        Report::Logs(text) => {
            let lines: Vec<LogLine> =
                text.lines().map(|text| LogLine { seq: 0, at: now, source: "installer".into(), text: text.into() }).collect();
            head.store.append_log(id, &lines).await?;
            return Ok(true);
        }
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

fn bounded(told: BTreeMap<String, String>) -> serde_json::Value {
    let (pairs, length) = MAX_HOME;
    let cut = |text: String| serde_json::Value::from(text.chars().take(length).collect::<String>());
    told.into_iter().take(pairs).map(|(key, value)| (key.chars().take(length).collect::<String>(), cut(value))).collect()
}
