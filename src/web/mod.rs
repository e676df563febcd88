//! HTTP: boot files, reports from nodes, published mirrors. No logic: each route calls a use case.
//!
//! | route | for |
//! |---|---|
//! | `GET /boot.ipxe`, `GET /script?mac=...` | loaders |
//! | `GET /boot/TOKEN/FILE` | booting nodes: `linux`, `initrd.gz`, `preseed.cfg`, `ks.cfg` or `user-data`, `meta-data` and `vendor-data`, `takeover.sh` |
//! | `GET /boot/TOKEN/FILE` | diskless nodes: `vmlinuz`, `initrd.img`, `node.cpio`, `root.squashfs`, `base.squashfs` |
//! | `POST /boot/TOKEN/takeover` | diskless nodes: report token and secrets, once |
//! | `POST /report/EVENT`, `GET /report/late.sh` | installers and installed systems, report token as bearer |
//! | `GET /mirror/NAME/PATH` | the published snapshot |
//! | `GET /snapshots/NAME/ID/PATH` | a named snapshot |
//! | `GET /key.gpg`, `GET /key.asc` | the head's public signing key |
//! | `GET /healthz` | anyone who watches the head |

mod boot;
mod connections;
pub mod files;
pub mod range;
mod report;
mod repository;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::app::{self, Head};
use files::plain;

/// Largest body that a node may post: the logs of an installation.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// Answers HTTP on `listener` until `shutdown` completes; requests under way are finished.
pub async fn serve(listener: TcpListener, head: Head, shutdown: impl Future<Output = ()>) {
    connections::serve(listener, router(head), connections::Limits::default(), shutdown).await;
}

fn router(head: Head) -> Router {
    Router::new()
        .route("/healthz", get(|| async { plain(StatusCode::OK, "ok\n") }))
        .route("/boot.ipxe", get(boot::first))
        // Asking for these moves an attempt, which looking at their size must not.
        .route("/script", get(boot::script).head(only_get))
        .route("/boot/{token}/{file}", get(boot::file))
        .route("/boot/{token}/takeover.sh", get(boot::take_over_script).head(only_get))
        .route("/boot/{token}/takeover", post(boot::take_over_archive))
        .route("/report/late.sh", get(report::late))
        .route("/report/gate", post(report::gate))
        .route("/report/{event}", post(report::report))
        .route("/mirror/{name}/{*path}", get(repository::published))
        .route("/snapshots/{name}/{id}/{*path}", get(repository::snapshot))
        .route("/key.gpg", get(repository::key_binary))
        .route("/key.asc", get(repository::key_armoured))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(head)
}

async fn only_get() -> Response<Body> {
    plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n")
}

/// A node's IPv4 address; a node speaks IPv4 to the head.
fn ipv4(peer: SocketAddr) -> Ipv4Addr {
    match peer.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
    }
}

/// What a node is told when a use case failed: nothing of the cause, which the log has.
fn failed(error: &app::Error) -> Response<Body> {
    tracing::error!(error = %chain(error), "a request could not be answered");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "kickctl could not answer; the head's log says why\n")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn refused() -> Response<Body> {
    plain(StatusCode::FORBIDDEN, "refused\n")
}
