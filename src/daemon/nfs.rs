//! Binds the NFS server, and translates between it and the use case that tells who may mount what.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::app::Head;
use crate::app::answer_mount::{Mount, answer_mount, mounts_of};
use crate::app::diskless_material::NFS_PORT;
use crate::net::nfs::{Access, Config, Export, ExportId, Exports, HandleKey, Server, Squash, Verdict};
use crate::provision::tokens;

/// Binds the NFS server, with a portmapper if nobody else has its port: nodes are told the port of NFS and need none.
pub(super) fn bind(address: IpAddr, token_secret: &[u8; 32]) -> io::Result<Server> {
    let config = Config::new(address, HandleKey::new(&tokens::handle_key(token_secret)));
    let (place, portmap) = (SocketAddr::new(address, NFS_PORT), config.portmap);
    let config = Config { address: place, ..config };
    Server::bind(config.clone()).or_else(|error| {
        let server = Server::bind(Config { portmap: None, ..config })?;
        tracing::info!(
            "no portmapper on {}: {error}; diskless nodes do without it",
            portmap.map_or_else(String::new, |place| place.to_string())
        );
        Ok(server)
    })
}

pub(super) struct Nfs(pub(super) Head);

#[async_trait]
impl Exports for Nfs {
    async fn mount(&self, peer: SocketAddr, path: &str) -> Verdict {
        let IpAddr::V4(address) = peer.ip().to_canonical() else { return Verdict::Refused };
        verdict(answer_mount(&self.0, address, path, OffsetDateTime::now_utc()).await)
    }

    async fn export(&self, peer: SocketAddr, id: ExportId) -> Verdict {
        let IpAddr::V4(address) = peer.ip().to_canonical() else { return Verdict::Refused };
        verdict(mounts_of(&self.0, address).await.map(|mounts| mounts.into_iter().find(|mount| mount.id == id.0)))
    }
}

fn verdict(found: crate::app::Result<Option<Mount>>) -> Verdict {
    match found {
        Ok(Some(mount)) => Verdict::Granted(Export {
            id: ExportId(mount.id),
            root: mount.root,
            access: if mount.writable { Access::ReadWrite } else { Access::ReadOnly },
            // The node's root user is the owner of its root, which he reads as a whole and, if he may change it, changes as a whole.
            squash: Squash::None,
        }),
        Ok(None) => Verdict::Refused,
        // The node waits and asks again; a refusal would be final.
        Err(error) => {
            tracing::error!(%error, "NFS: it cannot be told who may mount what");
            Verdict::Unknown
        }
    }
}
