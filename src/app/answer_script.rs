//! Answers a loader that asks for its script: the installer, the diskless root, or on to the local disk.

use std::net::Ipv4Addr;

use time::OffsetDateTime;

use super::boot_diskless::{Plan, boot_diskless, dhcp_sees_boots, plan_boot};
use super::change_attempt::{change_attempt, update_attempt};
use super::diskless_material::DisklessMaterial;
use super::head::Head;
use super::settle_failures::retry_at_boot;
use super::{Error, Result, material};
use crate::domain::attempt::{Attempt, Event, State};
use crate::domain::checksum::Sha256;
use crate::domain::facts::Facts;
use crate::domain::mac::MacAddr;
use crate::domain::node::{Arch, Discovered, Firmware, Node, Uuid};
use crate::provision::decide::{Answer, Asker, Request, decide};
use crate::provision::script;
use crate::provision::tokens::{self, Purpose};

/// What a loader tells of its machine.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The address of the card it booted from; a loader that cannot tell goes on to the local disk.
    pub mac: Option<MacAddr>,
    /// From where it asks.
    pub peer: Ipv4Addr,
    /// What it runs on.
    pub firmware: Firmware,
    /// The processor it was built for.
    pub arch: Arch,
    /// What else it told.
    pub facts: Facts,
}

/// Answers a loader. Every route ends here, so no other loader or protocol can serve an installer that this one refuses.
///
/// # Errors
/// If the state cannot be read or written.
pub async fn answer_script(head: &Head, ask: &Ask, now: OffsetDateTime) -> Result<String> {
    let local = |why: &str| Ok(script::local_disk(ask.firmware, why));
    let Some(mac) = ask.mac else { return local("kickctl: no MAC address came with the request, booting the local disk") };
    let Some(node) = head.store.node_by_mac(mac).await? else {
        discover(head, ask, mac, now).await?;
        return local("kickctl: this machine waits for `kickctl node approve`, booting its local disk");
    };
    if !head.addresses_of(&node).await?.contains(&ask.peer) {
        tracing::warn!(node = %node.name, peer = %ask.peer, "a loader asked for this node's script from an address that is not the node's");
        return local("kickctl: this is not the address of the machine it says it is, booting the local disk");
    }
    head.learn(&node, &ask.facts).await?;
    if let Some(why) = diskless(head, &node, now).await? {
        return local(&format!("kickctl: {} has no root to boot from: {why}", node.name));
    }
    let Some(attempt) = head.last_attempt(&node).await? else {
        return local(&format!("kickctl: nothing is ordered for {}, booting its local disk", node.name));
    };
    let installer = decide(Asker::Attempt(&attempt.state), Request::Script) == Answer::Installer;
    let attempt = head.note_loader(&attempt, ask, mac, now).await?;
    if !installer || !matches!(attempt.state, State::Booting { .. }) {
        return local(&format!("kickctl: {} is {}, booting its local disk", node.name, attempt.state.name()));
    }
    let made = match attempt.order.kind.is_diskless() {
        true => diskless_script(head, &node, &attempt).await,
        false => installer_script(head, &node, &attempt).await,
    };
    match made {
        Ok(script) => Ok(script),
        Err(error) => {
            let reason = format!("the loader's script could not be made: {error}");
            change_attempt(&*head.store, attempt.id, &Event::Unservable { reason }, now).await?;
            local(&format!("kickctl: {} cannot be booted as ordered, its log says why", node.name))
        }
    }
}

/// The script that DHCP names to every loader; it leads to [`answer_script`].
pub fn first_script(head: &Head) -> String {
    script::first(&head.config.http_base())
}

/// A digest over what does not change unless the machine does.
fn machine(facts: &Facts) -> Option<String> {
    let parts: Vec<String> =
        ["uuid", "serial", "product", "memory"].iter().filter_map(|key| Some(format!("{key}={}", facts.get(key)?))).collect();
    let digest = || Sha256::of(parts.join("\n").as_bytes()).to_string().chars().take(16).collect();
    (!parts.is_empty()).then(digest)
}

impl Head {
    /// Most machines tell at every boot what they told at the last one: that is not written again.
    async fn learn(&self, node: &Node, told: &Facts) -> Result<()> {
        let known = self.store.facts(&node.name).await?;
        let mut newer = known.clone();
        newer.update(told);
        if newer != known {
            self.store.update_facts(&node.name, told).await?;
        }
        Ok(())
    }

    async fn note_loader(&self, attempt: &Attempt, ask: &Ask, mac: MacAddr, now: OffsetDateTime) -> Result<Attempt> {
        update_attempt(&*self.store, attempt.id, now, |attempt| {
            if !attempt.state.is_over() {
                attempt.progress.booted_mac = Some(mac);
                attempt.progress.address = Some(ask.peer);
                attempt.progress.firmware = Some(ask.firmware);
                attempt.progress.machine = machine(&ask.facts);
            }
            attempt.advance(&Event::LoaderAsked, now)
        })
        .await
    }
}

async fn installer_script(head: &Head, node: &Node, attempt: &Attempt) -> Result<String> {
    let material = material::gather(head, node, attempt).await?;
    let boot = format!("{}/boot/{}", head.config.http_base(), tokens::mint(&head.token_secret, attempt.id, Purpose::Boot));
    let arguments = material.kernel_arguments()?;
    let banner = format!("kickctl: installing {} as {} (attempt {})", node.name, attempt.order.profile, attempt.number);
    Ok(script::installer(&format!("{boot}/linux"), &format!("{boot}/initrd.gz"), &arguments, &banner))
}

async fn diskless_script(head: &Head, node: &Node, attempt: &Attempt) -> Result<String> {
    let material = DisklessMaterial::of_attempt(head, node, attempt).await?;
    let image = attempt.order.image.as_ref().map(ToString::to_string).unwrap_or_default();
    let banner = format!("kickctl: {} boots {image} as {} (attempt {})", node.name, attempt.order.profile, attempt.number);
    Ok(script::diskless(material.boot_url(), &material.kernel_arguments(), &banner))
}

/// Sees to it that a node that is to run diskless has an attempt for this boot; why it cannot have one, if so.
async fn diskless(head: &Head, node: &Node, now: OffsetDateTime) -> Result<Option<String>> {
    if !dhcp_sees_boots(head) {
        retry_at_boot(head, &node.name, now).await?;
        return boot_diskless(head, node, now).await;
    }
    // What was frozen when it asked for its address is what it gets, even if something else was published a moment ago.
    if head.last_attempt(node).await?.is_some_and(|last| last.state.serves_installer()) {
        return Ok(None);
    }
    Ok(match plan_boot(head, node).await? {
        Plan::Last => None,
        Plan::Cannot(why) => Some(why),
        // Its loader has asked this head for an address before, and that was the boot. Whoever asks without is no loader.
        Plan::Arm(..) => Some("it asked without having asked for its address".into()),
    })
}

async fn discover(head: &Head, ask: &Ask, mac: MacAddr, now: OffsetDateTime) -> Result<()> {
    let uuid = ask.facts.get("uuid").and_then(|uuid| uuid.parse::<Uuid>().ok()).filter(|uuid| !uuid.is_placeholder());
    let seen = Discovered {
        mac,
        uuid,
        arch: ask.arch,
        firmware: ask.firmware,
        address: Some(ask.peer),
        facts: ask.facts.clone(),
        first_seen: now,
        last_seen: now,
    };
    head.store.discover(&seen).await.map_err(Error::from)
}
