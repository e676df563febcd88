//! `kickctl serve`: one process that answers DHCP, TFTP, HTTP, NFS and syslog on the cluster interface.
//!
//! Sockets are bound first, in plain code; then privileges are dropped; only then do threads start, so that no thread keeps them.

mod dhcp;
mod log_lines;
mod nfs;
mod other_servers;
mod privileges;
mod tftp;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::diskless_material::NFS_PORT;
use crate::app::{DataDir, Error, Head, Result};
use crate::config::{Config, DhcpMode, Nfs};
use crate::sys::condition;
use crate::{net, reconcile, web};
pub use other_servers::other_servers;

/// How long requests under way may take when the daemon is told to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// The sockets, bound and not yet served.
#[derive(Debug)]
pub struct Bound {
    dhcp: Option<Dhcp>,
    tftp: net::tftp::Server,
    http: TcpListener,
    syslog: net::syslog::Server,
    nfs: Option<net::nfs::Server>,
}

/// The DHCP server, and the socket to look for others from before it begins.
#[derive(Debug)]
struct Dhcp {
    server: net::dhcp::Server,
    probe: Option<net::dhcp::Probe>,
}

/// Binds every socket to the cluster interface and then gives up every privilege.
///
/// # Errors
/// [`Error::Io`] names the server and the port; `kickctl doctor` tells who holds it.
pub fn bind(config: &Config, data: &DataDir, token_secret: &[u8; 32]) -> Result<Bound> {
    let at = |port| SocketAddr::from((config.address, port));
    let dhcp = match config.dhcp.mode {
        DhcpMode::Server => Some(bind_dhcp(config).map_err(cannot_bind("DHCP", at(config.dhcp.port)))?),
        DhcpMode::Off => None,
    };
    let tftp = net::tftp::Config { address: at(config.tftp_port), ..net::tftp::Config::new(config.address.into()) };
    let syslog = net::syslog::Config { address: at(config.syslog_port), ..net::syslog::Config::new(config.address.into()) };
    let bound = Bound {
        dhcp,
        tftp: net::tftp::Server::bind(tftp).map_err(cannot_bind("TFTP", at(config.tftp_port)))?,
        http: listen(at(config.http_port)).map_err(cannot_bind("HTTP", at(config.http_port)))?,
        syslog: net::syslog::Server::bind(syslog).map_err(cannot_bind("syslog", at(config.syslog_port)))?,
        nfs: bind_nfs(config, data, token_secret)?,
    };
    raise_open_files();
    privileges::drop_all().map_err(|source| Error::Io { what: "privileges could not be dropped".into(), source })?;
    Ok(bound)
}

/// A cluster that powers on at once has a connection a node and more; the usual soft limit of 1024 descriptors is too low.
fn raise_open_files() {
    if let Err(error) = condition::raise_open_files() {
        tracing::warn!(%error, "the limit of open files could not be raised: many nodes at once may have to wait");
    }
}

/// NFS is served if it can be, and has to be only where there are images: a head that installs nodes is none the worse without it.
fn bind_nfs(config: &Config, data: &DataDir, token_secret: &[u8; 32]) -> Result<Option<net::nfs::Server>> {
    if config.nfs != Nfs::Embedded {
        return Ok(None);
    }
    let address = SocketAddr::from((config.address, NFS_PORT));
    match nfs::bind(address.ip(), token_secret) {
        Ok(server) => Ok(Some(server)),
        Err(error) if data.images().exists() => Err(cannot_bind("NFS", address)(error)),
        Err(error) => {
            tracing::warn!("NFS is not served on {address}: {error}; diskless nodes will need it (`kickctl doctor`)");
            Ok(None)
        }
    }
}

fn bind_dhcp(config: &Config) -> io::Result<Dhcp> {
    let place = net::dhcp::Config { interface: config.interface.clone(), address: config.address, port: config.dhcp.port };
    let server = net::dhcp::Server::bind(&place)?;
    let probe = if config.dhcp.beside_other_server { None } else { Some(net::dhcp::Probe::bind(&config.interface)?) };
    Ok(Dhcp { server, probe })
}

/// A whole cluster that powers on connects at once; the usual 128 waiting connections are too few (the kernel caps the number by
/// `net.core.somaxconn`, 4096).
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn cannot_bind(server: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { what: format!("the {server} server cannot listen on {address}; `kickctl doctor` tells why"), source }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// If a server fails, or another DHCP server answers on the segment.
pub async fn serve(head: Head, bound: Bound) -> Result<()> {
    let stop = CancellationToken::new();
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    let failed = |what: &'static str| move |source| Error::Io { what: format!("the {what} server failed"), source };

    let http = tokio::net::TcpListener::from_std(bound.http).map_err(failed("HTTP"))?;
    let (answers, stopped) = (head.clone(), stop.clone());
    tasks.spawn(async move {
        web::serve(http, answers, stopped.cancelled_owned()).await;
        Ok(())
    });
    tasks.spawn(run(bound.tftp.run(Arc::new(tftp::Tftp(head.clone())), stop.clone()), failed("TFTP")));
    if let Some(server) = bound.nfs {
        tasks.spawn(run(server.run(Arc::new(nfs::Nfs(head.clone())), stop.clone()), failed("NFS")));
    }
    let (lines, received) = log_lines::channel();
    tasks.spawn(run(bound.syslog.run(Arc::new(lines), stop.clone()), failed("syslog")));
    tasks.spawn(until(stop.clone(), log_lines::write(head.clone(), received)));
    let (attempts, outbox, pruned, refreshed) = (head.clone(), head.clone(), head.clone(), head.clone());
    tasks.spawn(until(stop.clone(), async move { reconcile::attempts(&attempts).await }));
    tasks.spawn(until(stop.clone(), async move { reconcile::outbox(&outbox).await }));
    tasks.spawn(until(stop.clone(), async move { reconcile::pruning(&pruned).await }));
    tasks.spawn(until(stop.clone(), async move { reconcile::due_mirrors(&refreshed).await }));
    tracing::info!("serving on {}: {}", head.config.interface, head.config.http_base());
    if let Some(Dhcp { server, probe }) = bound.dhcp {
        let (head, stop) = (head.clone(), stop.clone());
        tasks.spawn(async move {
            if let Some(probe) = probe {
                refuse_beside_others(&head.config, probe).await?;
            }
            ready();
            server.run(Arc::new(dhcp::Answers(head)), stop).await.map_err(failed("DHCP"))
        });
    } else {
        ready();
    }
    let outcome = tokio::select! {
        first = tasks.join_next() => first.map_or(Ok(()), flatten),
        signal = stop_signal() => signal.map_err(failed("signal")),
    };
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    let _ = tokio::time::timeout(STOPPING, async { while tasks.join_next().await.is_some() {} }).await;
    outcome
}

async fn run(server: impl Future<Output = io::Result<()>>, failed: impl Fn(io::Error) -> Error) -> Result<()> {
    server.await.map_err(failed)
}

async fn until(stop: CancellationToken, task: impl Future<Output = ()>) -> Result<()> {
    stop.run_until_cancelled(task).await;
    stop.cancelled().await;
    Ok(())
}

fn flatten(joined: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    joined.unwrap_or_else(|panic| Err(Error::Io { what: "a server stopped".into(), source: io::Error::other(panic) }))
}

/// Two DHCP servers on one segment give machines wrong addresses and wrong boot files at random.
async fn refuse_beside_others(config: &Config, probe: net::dhcp::Probe) -> Result<()> {
    let others = other_servers::answering(probe).await.map_err(|why| {
        Error::Refused(format!("other DHCP servers on {} could not be looked for, and two would do harm: {why}", config.interface))
    })?;
    let others: Vec<String> = others.iter().filter(|other| **other != config.address).map(ToString::to_string).collect();
    if others.is_empty() {
        tracing::info!("no other DHCP server answers: DHCP is being served");
        return Ok(());
    }
    Err(Error::Refused(format!(
        "another DHCP server answers on {}: {}. Stop it, or set `dhcp.mode = \"off\"` and use `kickctl export`, or set \
         `dhcp.beside_other_server = true` if you know that it ignores these machines",
        config.interface,
        others.join(", ")
    )))
}

/// Tells systemd, once there is nothing left that could make the start fail.
fn ready() {
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
}

async fn stop_signal() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}
