//! Loaders and booting nodes.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use time::OffsetDateTime;

use super::files::{self, plain};
use super::{failed, ipv4, refused};
use crate::app::Head;
use crate::app::answer_script::{Ask, answer_script, first_script};
use crate::app::boot_file::{Content, Name, boot_file};
use crate::app::take_over::take_over;
use crate::app::take_over_diskless::take_over_diskless;
use crate::domain::facts::Facts;
use crate::domain::node::{Arch, Firmware};

/// Most parameters that are looked at.
const MAX_QUERY: usize = 64;

/// The facts that the first script makes iPXE send, and what they are called here.
const FACTS: [(&str, &str); 7] = [
    ("uuid", "uuid"),
    ("serial", "serial"),
    ("manufacturer", "manufacturer"),
    ("product", "product"),
    ("asset", "asset"),
    ("memory", "memory_mib"),
    ("nic", "nic"),
];

/// The script that DHCP names.
pub(super) async fn first(State(head): State<Head>) -> Response<Body> {
    plain(StatusCode::OK, first_script(&head))
}

/// The script for one machine.
pub(super) async fn script(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    // iPXE percent-encodes, but leaves a plus sign as it is: in a form it would be a blank.
    let query = query.unwrap_or_default().replace('+', "%2B");
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).take(MAX_QUERY).collect();
    let value = |wanted: &str| query.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_ref());
    let mut facts = Facts::default();
    for (sent, name) in FACTS {
        facts.set(name, value(sent).unwrap_or_default());
    }
    let ask = Ask {
        mac: value("mac").and_then(|mac| mac.parse().ok()),
        peer: ipv4(peer),
        firmware: if value("platform") == Some("efi") { Firmware::Uefi } else { Firmware::Bios },
        arch: if value("arch") == Some("arm64") { Arch::Arm64 } else { Arch::Amd64 },
        facts,
    };
    match answer_script(&head, &ask, OffsetDateTime::now_utc()).await {
        Ok(script) => plain(StatusCode::OK, script),
        Err(error) => failed(&error),
    }
}

/// A file of an attempt.
pub(super) async fn file(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((token, file)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let name = match file.as_str() {
        "linux" | "vmlinuz" => Name::Kernel,
        "initrd.gz" | "initrd.img" => Name::Initrd,
        "preseed.cfg" => Name::Answers("preseed.cfg"),
        "ks.cfg" => Name::Answers("ks.cfg"),
        "user-data" => Name::Answers("user-data"),
        "meta-data" => Name::Answers("meta-data"),
        "vendor-data" => Name::Answers("vendor-data"),
        "node.cpio" => Name::Archive,
        "root.squashfs" => Name::Root("root.squashfs"),
        "base.squashfs" => Name::Root("base.squashfs"),
        _ => return refused(),
    };
    match boot_file(&head, &token, name, ipv4(peer), method == Method::GET, OffsetDateTime::now_utc()).await {
        Ok(Some(Content::File(path))) => files::serve(path, &method, &headers).await,
        Ok(Some(Content::Text(text))) => plain(StatusCode::OK, text),
        Ok(Some(Content::Bytes(bytes))) => files::archive(bytes),
        Ok(None) => refused(),
        Err(error) => failed(&error),
    }
}

/// A diskless root takes over.
pub(super) async fn take_over_archive(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(token): Path<String>,
) -> Response<Body> {
    match take_over_diskless(&head, &token, ipv4(peer), OffsetDateTime::now_utc()).await {
        Ok(Some(bytes)) => files::archive(bytes),
        Ok(None) => refused(),
        Err(error) => failed(&error),
    }
}

/// The installer takes over.
pub(super) async fn take_over_script(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(token): Path<String>,
) -> Response<Body> {
    match take_over(&head, &token, ipv4(peer), OffsetDateTime::now_utc()).await {
        Ok(Some(script)) => plain(StatusCode::OK, script),
        Ok(None) => refused(),
        Err(error) => failed(&error),
    }
}
