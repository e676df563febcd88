//! Carries syslog lines into the attempts' logs, many at a time: an installer writes a hundred lines in a burst, and each
//! transaction costs a disk write.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::app::Head;
use crate::app::take_log_lines::take_log_lines;
use crate::net::syslog::{Handler, Line};
use crate::store::LogLine;

/// Lines that may wait; what comes beyond is dropped, as syslog over UDP may be anyway.
const WAITING: usize = 8192;
/// How long lines are collected.
const COLLECT: Duration = Duration::from_millis(300);

type Received = (Ipv4Addr, LogLine);

pub(super) struct LogLines(mpsc::Sender<Received>);

/// The receiving end for the syslog server, and the writing end that runs until the receiver is dropped.
pub(super) fn channel() -> (LogLines, mpsc::Receiver<Received>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (LogLines(sender), receiver)
}

/// Writes what comes, in batches.
pub(super) async fn write(head: Head, mut receiver: mpsc::Receiver<Received>) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, WAITING).await > 0 {
        tokio::time::sleep(COLLECT).await;
        while let Ok(line) = receiver.try_recv() {
            batch.push(line);
        }
        if let Err(error) = take_log_lines(&head, std::mem::take(&mut batch)).await {
            tracing::error!(%error, "syslog lines could not be kept");
        }
    }
}

#[async_trait]
impl Handler for LogLines {
    async fn line(&self, peer: IpAddr, line: Line) {
        let IpAddr::V4(peer) = peer else { return };
        let line = LogLine { seq: 0, at: OffsetDateTime::now_utc(), source: line.tag.unwrap_or_default(), text: line.message };
        if self.0.try_send((peer, line)).is_err() {
            tracing::debug!(%peer, "a syslog line was dropped: too many at once");
        }
    }
}
