//! `kickctl serve`.

use super::context::Context;
use super::{Exit, runtime};
use crate::app::head_keys::token_secret;
use crate::app::unpack_loaders::unpack_loaders;
use crate::{app, daemon};

/// Serves DHCP, TFTP, HTTP, NFS and syslog to the nodes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kickctl serve                         in the foreground, until SIGTERM or Ctrl-C
  kickctl -v serve                      with every request in the log
  systemctl enable --now kickctl        as a service (packaging/kickctl.service)")]
pub struct Args {}

/// Binds, drops privileges, then starts threads: in this order, because privileges belong to threads.
pub(super) fn run(context: &Context) -> app::Result<Exit> {
    let bound = daemon::bind(&context.config()?, &context.data, &token_secret(&context.data)?)?;
    runtime()?.block_on(async {
        let head = context.head().await?;
        for file in unpack_loaders(&head)? {
            context.note(&format!("unpacked {} from the mirror", file.display()));
        }
        daemon::serve(head, bound).await
    })?;
    Ok(Exit::Done)
}
