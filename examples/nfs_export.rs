//! Exports directories by NFS to everybody who comes from a reserved port: `nfs_export ADDRESS[:PORT] /PATH=DIRECTORY[:rw]...`.
//! With a port there is no portmapper: clients must know it.
//!
//! The smallest program around `net::nfs`, and the server of `tests/lab/test-nfs.sh` and `tests/lab/bench/nfs.sh`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kickctl::net::nfs::{Access, Config, Export, ExportId, Exports, HandleKey, Server, Squash, Verdict};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exports by their paths; the place in the list is the id.
struct Table(Vec<(String, Export)>);

impl Table {
    fn find(&self, fits: impl Fn(&(String, Export)) -> bool) -> Verdict {
        self.0.iter().find(|row| fits(row)).map_or(Verdict::Refused, |(_, export)| Verdict::Granted(export.clone()))
    }
}

#[async_trait::async_trait]
impl Exports for Table {
    async fn mount(&self, _peer: SocketAddr, path: &str) -> Verdict {
        self.find(|(known, _)| known == path)
    }

    async fn export(&self, _peer: SocketAddr, id: ExportId) -> Verdict {
        self.find(|(_, export)| export.id == id)
    }
}

fn row((number, argument): (u64, String)) -> Option<(String, Export)> {
    let (path, directory) = argument.split_once('=')?;
    let (root, access) = match directory.strip_suffix(":rw") {
        Some(root) => (root, Access::ReadWrite),
        None => (directory, Access::ReadOnly),
    };
    Some((path.to_owned(), Export { id: ExportId(number), root: root.into(), access, squash: Squash::None }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or("usage: nfs_export ADDRESS[:PORT] /PATH=DIRECTORY[:rw]...")?;
    let table: Option<Vec<_>> = (1..).zip(arguments).map(row).collect();
    let table = Table(table.ok_or("an export is /PATH=DIRECTORY or /PATH=DIRECTORY:rw")?);
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // A daemon keeps 32 secret bytes; here whoever can reach the port may have everything anyway.
    let key = HandleKey::new(&[1; 32]);
    let usual = match place.parse::<SocketAddr>() {
        Ok(address) => Config { address, portmap: None, ..Config::new(address.ip(), key) },
        Err(_) => Config::new(place.parse::<IpAddr>()?, key),
    };
    let config = Config { connections_per_client: 512, ..usual };
    let server = Server::bind(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let (mut terminate, stopped) = (signal(SignalKind::terminate())?, stop.clone());
        tokio::spawn(async move {
            terminate.recv().await;
            stopped.cancel();
        });
        eprintln!("serving on {}", server.address());
        server.run(Arc::new(table), stop).await
    })?;
    Ok(())
}
