//! Redfish (DMTF DSP0266): a small client of `ComputerSystem`.

use reqwest::header::{ETAG, IF_MATCH};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use super::LIMIT;
use crate::domain::power::{BootFrom, Controller, PowerState};

/// Most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// One conversation with a controller about one system.
struct Session<'a> {
    at: &'a Controller,
    client: Client,
    base: String,
    system: String,
}

impl<'a> Session<'a> {
    async fn open(at: &'a Controller) -> Result<Self, String> {
        // An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(LIMIT).tls_danger_accept_invalid_certs(at.insecure).no_proxy().build();
        let client = client.map_err(|error| format!("no HTTP client: {error}"))?;
        let base = if at.address.contains("://") { at.address.trim_end_matches('/').to_owned() } else { format!("https://{}", at.address) };
        let mut session = Self { at, client, base, system: at.system.clone().unwrap_or_default() };
        if session.system.is_empty() {
            session.system = session.only_system().await?;
        }
        Ok(session)
    }

    async fn only_system(&self) -> Result<String, String> {
        let (systems, _) = self.get("/redfish/v1/Systems").await?;
        let members = systems["Members"].as_array().map(Vec::as_slice).unwrap_or_default();
        match members {
            [one] => one["@odata.id"].as_str().map(str::to_owned).ok_or_else(|| "its system has no @odata.id".into()),
            several => Err(format!("it has {} systems: name one with --bmc-system, such as /redfish/v1/Systems/1", several.len())),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, etag: Option<String>) -> Result<Response, String> {
        let told = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = request.basic_auth(&self.at.user, Some(self.at.password.reveal()));
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| format!("{told}: {}", chain(&error.without_url())))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let said = bounded(answer).await.unwrap_or_default();
        Err(format!("{told}: answered {status}: {}", said.chars().take(300).collect::<String>()))
    }

    async fn get(&self, path: &str) -> Result<(Value, Option<String>), String> {
        let answer = self.send(Method::GET, path, None, None).await?;
        let etag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let text = bounded(answer).await?;
        Ok((serde_json::from_str(&text).map_err(|error| format!("GET {path}: {error}"))?, etag))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

async fn bounded(mut answer: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub async fn state(at: &Controller) -> Result<PowerState, String> {
    let session = Session::open(at).await?;
    let (system, _) = session.get(&session.system).await?;
    match system["PowerState"].as_str() {
        // On its way is not there yet.
        Some("On" | "PoweringOff") => Ok(PowerState::On),
        Some("Off" | "PoweringOn") => Ok(PowerState::Off),
        other => Err(format!("its PowerState is {other:?}")),
    }
}

pub async fn turn(at: &Controller, to: PowerState) -> Result<(), String> {
    let session = Session::open(at).await?;
    let (system, _) = session.get(&session.system).await?;
    let target = system["Actions"]["#ComputerSystem.Reset"]["target"].as_str().map(str::to_owned);
    let target = target.unwrap_or_else(|| format!("{}/Actions/ComputerSystem.Reset", session.system));
    let kind = match to {
        PowerState::On => "On",
        PowerState::Off => "ForceOff",
    };
    session.send(Method::POST, &target, Some(json!({ "ResetType": kind })), None).await.map(|_| ())
}

pub async fn boot_once(at: &Controller, from: BootFrom, uefi: bool) -> Result<(), String> {
    let session = Session::open(at).await?;
    let target = match from {
        BootFrom::Network => "Pxe",
        BootFrom::Disk => "Hdd",
    };
    let mut boot = json!({ "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": target });
    if uefi {
        boot["BootSourceOverrideMode"] = "UEFI".into();
    }
    // Some controllers take a change only of what was read just before.
    let (_, etag) = session.get(&session.system).await?;
    session.send(Method::PATCH, &session.system, Some(json!({ "Boot": boot })), etag).await?;
    let (system, _) = session.get(&session.system).await?;
    match system["Boot"]["BootSourceOverrideTarget"].as_str() {
        Some(read) if read == target => Ok(()),
        read => Err(format!("it was told to boot from {target}, and reads back {read:?}")),
    }
}
