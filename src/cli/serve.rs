//! `kickctl serve`.

use super::context::Context;
use super::{Exit, runtime};
use crate::app::unpack_loaders::unpack_loaders;
use crate::{app, daemon};

/// Serves DHCP, TFTP, HTTP and syslog to the nodes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kickctl serve                         in the foreground, until SIGTERM or Ctrl-C
  kickctl -v serve                      with every request in the log
  systemctl enable --now kickctl        as a service (packaging/kickctl.service)")]
pub struct Args {}

/// Binds, drops privileges, then starts threads: in this order, because privileges belong to threads.
pub(super) fn run(context: &Context) -> app::Result<Exit> {
    let bound = daemon::bind(&context.config()?)?;
    runtime()?.block_on(async {
        let head = context.head().await?;
        for file in unpack_loaders(&head)? {
            context.note(&format!("unpacked {} from the mirror", file.display()));
        }
        daemon::serve(head, bound).await
    })?;
    Ok(Exit::Done)
}
