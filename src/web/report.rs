//! Installers and installed systems. The report token comes as `Authorization: Bearer TOKEN`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use time::OffsetDateTime;

use super::files::plain;
use super::{failed, ipv4, refused};
use crate::app::answer_gate::{Answer, answer_gate};
use crate::app::late_script::late_script;
use crate::app::take_report::{Report, take_report};
use crate::app::{Head, package_report};

/// The write gate.
pub(super) async fn gate(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return refused() };
    let inventory = String::from_utf8_lossy(&body);
    match answer_gate(&head, token, &inventory, ipv4(peer), OffsetDateTime::now_utc()).await {
        Ok(Some(Answer::Yes(answers))) => plain(StatusCode::OK, answers),
        Ok(Some(Answer::No(reason))) => plain(StatusCode::FORBIDDEN, format!("{reason}\n")),
        Ok(None) => refused(),
        Err(error) => failed(&error),
    }
}

/// The end of an installation.
pub(super) async fn late(State(head): State<Head>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return refused() };
    match late_script(&head, token, ipv4(peer)).await {
        Ok(Some(script)) => plain(StatusCode::OK, script),
        Ok(None) => refused(),
        Err(error) => failed(&error),
    }
}

/// Everything else.
pub(super) async fn report(
    State(head): State<Head>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(event): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return refused() };
    let Some(report) = read(&event, &body) else {
        return plain(StatusCode::BAD_REQUEST, "this is no report that kickctl knows\n");
    };
    match take_report(&head, token, report, ipv4(peer), OffsetDateTime::now_utc()).await {
        Ok(true) => plain(StatusCode::OK, "ok\n"),
        Ok(false) => refused(),
        Err(error) => failed(&error),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn read(event: &str, body: &[u8]) -> Option<Report> {
    let text = || String::from_utf8_lossy(body).trim().to_owned();
    Some(match event {
        "heartbeat" => Report::Heartbeat(form(body)),
        "step" => {
            let form = form(body);
            let units = form.get("units").map_or(Some(0), |units| units.parse().ok())?;
            Report::Step { step: form.get("step")?.clone(), percent: form.get("percent")?.parse().ok()?, units }
        }
        "done" => Report::Done,
        "failed" => Report::Failed(text()),
        "logs" => Report::Logs(text()),
        "rescue" => Report::Rescue(text()),
        "home" => Report::Home(form(body)),
        "packages" => package_report(body)?,
        _ => return None,
    })
}

/// `key=value&...` as forms send it; also a line a pair, which is easier to write in a shell.
fn form(body: &[u8]) -> BTreeMap<String, String> {
    let joined: Vec<u8> = body.iter().map(|byte| if *byte == b'\n' { b'&' } else { *byte }).collect();
    form_urlencoded::parse(&joined).into_owned().filter(|(key, _)| !key.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_as_shells_send_them() {
        let step = Report::Step { step: "base-system".into(), percent: 40, units: 0 };
        assert_eq!(read("step", b"step=base-system&percent=40"), Some(step.clone()));
        assert_eq!(read("step", b"step=base-system\npercent=40\n"), Some(step));
        let counted = Report::Step { step: "packages".into(), percent: 70, units: 1300 };
        assert_eq!(read("step", b"step=packages&percent=70&units=1300"), Some(counted));
        assert_eq!(read("step", b"step=x&percent=400"), None);
        assert_eq!(read("failed", b"no disk\n"), Some(Report::Failed("no disk".into())));
        let Some(Report::Home(home)) = read("home", b"name=node07&os=Debian%2013\n") else { panic!("home") };
        assert_eq!(home["os"], "Debian 13");
        assert_eq!(read("exec", b""), None);
    }
}
