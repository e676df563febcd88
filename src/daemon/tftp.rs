//! Translates between TFTP and the use case that finds network boot programs.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use async_trait::async_trait;

use crate::app::Head;
use crate::app::find_loader::find_loader;
use crate::net::tftp::{Content, Finished, Handler, Refused};
use crate::provision::loader;

pub(super) struct Tftp(pub(super) Head);

#[async_trait]
impl Handler for Tftp {
    async fn open(&self, peer: SocketAddr, name: &str) -> Result<Content, Refused> {
        // Some firmware asks with a leading slash.
        let Some(loader) = loader::for_file(name.trim_start_matches('/')) else {
            tracing::info!(%peer, name, "TFTP: not offered");
            return Err(Refused::NotFound);
        };
        let Some(path) = find_loader(&self.0.config, &self.0.data, loader) else {
            tracing::error!(%peer, file = loader.file, "this network boot program is missing on the head: `kickctl doctor` tells the remedy");
            return Err(Refused::NotFound);
        };
        open(&path).map_err(|error| {
            tracing::error!(path = %path.display(), %error, "a network boot program cannot be read");
            Refused::NotFound
        })
    }

    async fn finished(&self, transfer: Finished) {
        tracing::info!(?transfer, "TFTP");
    }
}

fn open(path: &Path) -> io::Result<Content> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(Content::File { file, length })
}
