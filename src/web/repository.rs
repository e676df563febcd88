//! Published mirrors, named snapshots, and the key they are signed with.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};

use super::files::{self, plain};
use crate::app::Head;
use crate::domain::name::{MirrorName, SnapshotId};
use crate::sys::join;

/// The published snapshot of a mirror.
pub(super) async fn published(
    State(head): State<Head>,
    Path((name, path)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let Ok(name) = name.parse::<MirrorName>() else { return not_found() };
    tree(head.data.mirror(&name).join("current/tree"), &path, &method, &headers).await
}

/// A named snapshot of a mirror.
pub(super) async fn snapshot(
    State(head): State<Head>,
    Path((name, id, path)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let (Ok(name), Ok(id)) = (name.parse::<MirrorName>(), id.parse::<SnapshotId>()) else { return not_found() };
    tree(head.data.mirror(&name).join("snapshots").join(id.as_str()).join("tree"), &path, &method, &headers).await
}

/// The head's public key as a keyring that `Signed-By` takes.
pub(super) async fn key_binary(State(head): State<Head>, method: Method, headers: HeaderMap) -> Response<Body> {
    files::serve(head.data.keys().join("signing.gpg"), &method, &headers).await
}

/// The head's public key as text.
pub(super) async fn key_armoured(State(head): State<Head>, method: Method, headers: HeaderMap) -> Response<Body> {
    files::serve(head.data.keys().join("signing.asc"), &method, &headers).await
}

async fn tree(root: PathBuf, path: &str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    match join::inside(&root, path) {
        Ok(path) => files::serve(path, method, headers).await,
        Err(_) => not_found(),
    }
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "not found\n")
}
