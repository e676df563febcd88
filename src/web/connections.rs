//! The loop that accepts connections: how many there may be, and how long one may say nothing.
//!
//! A head that serves strangers on an open segment must not be brought to a stop by one that opens connections and is silent.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::files::plain;

/// What one server, and one address, may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time. More wait in the kernel's queue.
    pub connections: usize,
    /// Connections at a time of one address; more are closed at once. A node's package manager opens a dozen.
    pub of_one: usize,
    /// How long a connection may take to send the head of its (next) request.
    pub header: Duration,
    /// How long a posted body may take.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 16_384, of_one: 256, header: Duration::from_secs(60), body: Duration::from_secs(120) }
    }
}

/// A machine that lost its power says nothing any more: its connections end after about this long.
const SILENT: Duration = Duration::from_secs(60);
/// Pause after accepting failed, which it does when descriptors or memory have run out.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Answers until `shutdown` completes; then requests under way are finished, and connections closed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let peers = Peers::default();
    let stop = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let Some(guest) = peers.enter(peer.ip(), limits.of_one) else {
            tracing::debug!(%peer, "closed: {} connections of this address are open already", limits.of_one);
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let _held = (place, guest);
            if let Err(error) = answer(stream, peer, router, limits, stop).await {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        });
    }
    drop(listener);
    stop.cancel();
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // The peer's own doing (ECONNABORTED) is no reason to wait.
            if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(EXHAUSTED).await;
            }
            None
        }
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, router: Router, limits: Limits, stop: CancellationToken) -> hyper::Result<()> {
    let socket = SockRef::from(&stream);
    // Comforts: a connection works without them.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(SILENT));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENT / 2).with_interval(SILENT / 6).with_retries(3));
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        within(router.clone(), request, limits.body)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// A body that trickles in for ever would keep its request for ever; what is sent may take as long as it does.
async fn within(router: Router, request: Request<Body>, limit: Duration) -> Result<Response<Body>, std::convert::Infallible> {
    let posts = request.method() == Method::POST;
    let answer = router.oneshot(request);
    if !posts {
        return answer.await;
    }
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Ok(plain(StatusCode::REQUEST_TIMEOUT, "too slow\n")))
}

/// How many connections each address has open.
#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Peers {
    fn enter(&self, peer: IpAddr, most: usize) -> Option<Guest> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Guest { peers: self.clone(), peer })
    }
}

/// An open connection of an address.
#[derive(Debug)]
struct Guest {
    peers: Peers,
    peer: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SHORT: Limits = Limits { connections: 64, of_one: 2, header: Duration::from_millis(300), body: Duration::from_millis(300) };

    async fn server() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            "slow"
        };
        let router = Router::new()
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
            .route("/slow", get(slow))
            .route("/body", post(|body: String| async move { body }));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, SHORT, stop.clone().cancelled_owned()));
        (address, stop, task)
    }

    /// What comes back until the server closes the connection.
    async fn said(stream: &mut TcpStream) -> String {
        let mut all = Vec::new();
        // A reset is an end, too.
        let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut all)).await.expect("the server closes");
        String::from_utf8_lossy(&all).into_owned()
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed_before_and_between_requests() {
        let (address, _stop, _task) = server().await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(!said(&mut silent).await.contains("200"));
        let mut trickling = TcpStream::connect(address).await.unwrap();
        trickling.write_all(b"GET /peer HTTP/1.1\r\nHost:").await.unwrap();
        assert!(!said(&mut trickling).await.contains("200"));
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /peer HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let answer = said(&mut idle).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_may_take_longer_than_a_question() {
        let (address, _stop, _task) = server().await;
        let mut patient = TcpStream::connect(address).await.unwrap();
        patient.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(said(&mut patient).await.ends_with("slow"));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let (address, _stop, _task) = server().await;
        let mut posting = TcpStream::connect(address).await.unwrap();
        posting.write_all(b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123").await.unwrap();
        let answer = said(&mut posting).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    #[tokio::test]
    async fn one_address_cannot_hold_every_connection() {
        let (address, _stop, _task) = server().await;
        let peers = Peers::default();
        let first = peers.enter(address.ip(), 2);
        let second = peers.enter(address.ip(), 2);
        assert!(first.is_some() && second.is_some() && peers.enter(address.ip(), 2).is_none());
        assert!(peers.enter(Ipv4Addr::new(10, 0, 0, 9).into(), 2).is_some());
        drop(first);
        assert!(peers.enter(address.ip(), 2).is_some());
        drop(second);
        assert!(peers.0.lock().unwrap().is_empty(), "nothing is kept of an address that has gone");
    }

    #[tokio::test]
    async fn a_request_under_way_is_finished_when_the_server_stops() {
        let (address, stop, task) = server().await;
        let mut patient = TcpStream::connect(address).await.unwrap();
        patient.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
        assert!(said(&mut patient).await.ends_with("slow"));
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
