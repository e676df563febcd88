//! What templates see: one typed context per node and attempt, and the secrets apart from it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::hosts::{Hosts, fqdn};
use super::kickstart::Release;
use super::repositories::{self, Repository};
use super::variables::{Settings, Upgrade};
use crate::domain::attempt::AttemptId;
use crate::domain::mac::MacAddr;
use crate::domain::mirror::{PublishedSuite, Snapshot};
use crate::domain::name::{MirrorName, NodeName, ProfileName, SnapshotId};
use crate::domain::node::{Arch, Firmware};
use crate::domain::profile::Installer;

/// Everything that a node's files are rendered from, but the secrets.
#[derive(Clone, Debug, Serialize)]
pub struct Context {
    /// What the profile makes of the node, and with which installer.
    pub kind: Installer,
    /// The machine.
    pub node: NodeFacts,
    /// The head.
    pub head: HeadFacts,
    /// The nodes' network.
    pub net: NetFacts,
    /// What is installed from, and what the installed system uses.
    pub mirror: MirrorFacts,
    /// The attempt.
    pub attempt: AttemptFacts,
    /// All nodes with a fixed address, for `/etc/hosts`.
    #[serde(skip)]
    pub hosts: Arc<Hosts>,
    /// True if templates see them one by one too, which for thousands of nodes is more work than all the rest of a file.
    #[serde(skip)]
    pub hosts_listed: bool,
    /// The merged variables, validated.
    pub settings: Settings,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub struct NodeFacts {
    /// Name and host name.
    pub name: NodeName,
    /// Its fixed address, if it has one.
    pub address: Option<Ipv4Addr>,
    /// The interface it booted from.
    pub mac: Option<MacAddr>,
    /// Its architecture.
    pub arch: Arch,
    /// How it booted.
    pub firmware: Firmware,
}

/// The head.
#[derive(Clone, Debug, Serialize)]
pub struct HeadFacts {
    /// Its host name, one label: part of the name of its key's file.
    pub name: String,
    /// `http://10.0.0.1:8080`, without a slash at the end.
    pub url: String,
    /// Where its HTTP server is.
    pub address: Ipv4Addr,
    /// The HTTP server's TCP port.
    pub port: u16,
    /// UDP port of its syslog receiver.
    pub syslog_port: u16,
}

/// The nodes' network.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NetFacts {
    /// The DNS domain; may be empty.
    pub domain: String,
    /// The way out.
    pub router: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
}

/// The mirror.
#[derive(Clone, Debug, Serialize)]
pub struct MirrorFacts {
    /// Its name.
    pub name: MirrorName,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// `10.0.0.1:8080`.
    pub host: String,
    /// The snapshot's folder on it, with a leading slash: what is installed cannot change under an attempt.
    pub directory: String,
    /// The published mirror's folder on it: what the installed system follows.
    pub published: String,
    /// The suite to install.
    pub suite: String,
    /// The suite that holds the installer's packages.
    pub udeb_suite: String,
    /// Its components.
    pub components: Vec<String>,
    /// All suites that the installed system shall use.
    pub suites: Vec<Suite>,
    /// All RPM repositories that installer and installed system shall use.
    pub repositories: Vec<Repository>,
    /// The folder of the kickstart tree within the snapshot; empty for its root.
    pub tree: Option<String>,
    /// The release of the kickstart tree.
    pub release: Option<Release>,
    /// The image that a live medium's installer runs from, within the snapshot.
    pub live: Option<String>,
}

/// A suite of the installed system's sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suite {
    /// Its name under `dists/`.
    pub name: String,
    /// Its components.
    pub components: Vec<String>,
    /// True if the head signed it, false if it carries upstream's signature.
    pub signed_by_head: bool,
}

/// The attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptFacts {
    /// Unique within the head.
    pub id: AttemptId,
    /// Counts for each node.
    pub number: u32,
    /// The profile.
    pub profile: ProfileName,
    /// `http://10.0.0.1:8080/boot/TOKEN`.
    pub boot_url: String,
}

/// What only the node itself may know. `takeover.sh` and what follows it are rendered with it; a boot file that asks for a secret
/// does not render.
#[derive(Clone, Debug, Serialize)]
pub struct Secrets {
    /// Opens the gate and is accepted for reports.
    pub report_token: String,
    /// root's password hash; `*` where there is none.
    pub root_password_hash: String,
    /// The users' password hashes.
    pub password_hashes: Vec<UserHash>,
    /// The site's own.
    pub secret: Map<String, Value>,
}

/// A user's password hash.
#[derive(Clone, Debug, Serialize)]
pub struct UserHash {
    /// The user.
    pub name: String,
    /// The hash; `*` where there is none.
    pub hash: String,
}

/// Matches no password and, unlike `!`, is no lock: sshd without PAM refuses a key to a locked account.
const NO_PASSWORD: &str = "*";

/// What `profile render` shows instead.
pub const MASK: &str = "********";

impl Secrets {
    /// The secrets of an attempt.
    pub fn new(settings: &Settings, report_token: &str) -> Self {
        let hash = |hash: &Option<super::values::PasswordHash>| hash.as_ref().map_or(NO_PASSWORD, |hash| hash.as_str()).to_owned();
        Self {
            report_token: report_token.to_owned(),
            root_password_hash: hash(&settings.root_password_hash),
            password_hashes: settings
                .users
                .iter()
                .map(|(name, user)| UserHash { name: name.as_str().to_owned(), hash: hash(&user.password_hash) })
                .collect(),
            secret: settings.secret.clone(),
        }
    }

    /// The same shape with nothing in it that must not be seen.
    #[must_use]
    pub fn masked(&self) -> Self {
        let hash = |hash: &str| if hash == NO_PASSWORD { hash.to_owned() } else { MASK.to_owned() };
        Self {
            report_token: MASK.into(),
            root_password_hash: hash(&self.root_password_hash),
            password_hashes: self.password_hashes.iter().map(|user| UserHash { name: user.name.clone(), hash: hash(&user.hash) }).collect(),
            secret: self.secret.iter().map(|(key, value)| (key.clone(), mask(value))).collect(),
        }
    }
}

fn mask(value: &Value) -> Value {
    match value {
        Value::Object(table) => table.iter().map(|(key, value)| (key.clone(), mask(value))).collect(),
        Value::Array(items) => items.iter().map(mask).collect(),
        _ => MASK.into(),
    }
}

impl MirrorFacts {
    /// What a snapshot offers to a node of this architecture: Debian suites, or RPM repositories and a kickstart tree. Without `security`
    /// those that only bring updates are left out. `None` if the snapshot has neither.
    pub fn of(snapshot: &Snapshot, host: &str, arch: Arch, security: bool) -> Option<Self> {
        let installer = snapshot.installers.iter().find(|installer| installer.arch == arch);
        let tree = installer.and_then(|installer| installer.tree.as_ref());
        let live = installer.and_then(|installer| installer.live.as_ref());
        let facts = Self {
            name: snapshot.mirror.clone(),
            snapshot: snapshot.id.clone(),
            host: host.to_owned(),
            directory: format!("/snapshots/{}/{}", snapshot.mirror, snapshot.id),
            published: format!("/mirror/{}", snapshot.mirror),
            suite: String::new(),
            udeb_suite: String::new(),
            components: vec![],
            suites: vec![],
            repositories: repositories::of(snapshot, security),
            tree: tree.map(|tree| tree.root.clone()),
            release: tree.and_then(|tree| Release::of_tree(&tree.family, &tree.version)),
            live: live.map(|live| live.image.clone()),
        };
        match (facts.repositories.is_empty(), snapshot.suites.is_empty()) {
            (false, _) => Some(facts),
            // A live medium installs what it holds, with an archive or without.
            (true, true) => facts.live.is_some().then_some(facts),
            (true, false) => facts.with_suites(snapshot, security),
        }
    }

    /// The first suite that is no appendix of another is installed; its `-updates` and `-security` join it where they are wanted and the
    /// snapshot has them apart. `None` if the snapshot has no suite at all.
    fn with_suites(self, snapshot: &Snapshot, security: bool) -> Option<Self> {
        let appendix = |suite: &PublishedSuite| ["-updates", "-security", "-backports"].iter().any(|end| suite.suite.ends_with(end));
        let main = snapshot.suites.iter().find(|suite| !appendix(suite)).or_else(|| snapshot.suites.first())?;
        let belongs = |suite: &PublishedSuite| {
            let of_main = |name: &str| suite.suite == format!("{name}-updates") || suite.suite == format!("{name}-security");
            security && (of_main(&main.suite) || of_main(&main.codename))
        };
        let suites = std::iter::once(main).chain(snapshot.suites.iter().filter(|suite| belongs(suite)));
        let installable = |suite: &PublishedSuite| -> Vec<String> {
            suite.components.iter().filter(|component| !component.ends_with("/debian-installer")).cloned().collect()
        };
        Some(Self {
            suite: main.suite.clone(),
            udeb_suite: main.suite.clone(),
            components: installable(main),
            suites: suites
                .map(|suite| Suite { name: suite.suite.clone(), components: installable(suite), signed_by_head: suite.rebuilt })
                .collect(),
            ..self
        })
    }
}

impl Context {
    /// The node's name with its domain, if there is one.
    pub fn fqdn(&self) -> String {
        fqdn(self.node.name.as_str(), &self.net.domain)
    }

    /// The time servers.
    pub fn ntp(&self) -> Vec<String> {
        match &self.settings.ntp {
            Some(servers) => servers.iter().map(|server| server.as_str().to_owned()).collect(),
            None => self.net.ntp.iter().map(ToString::to_string).collect(),
        }
    }

    /// What templates see. Without secrets a template that asks for one does not render.
    ///
    /// # Errors
    /// If a value has no JSON form, which none of these types lacks.
    pub fn view(&self, secrets: Option<&Secrets>) -> Result<Value, serde_json::Error> {
        let mut view = serde_json::to_value(self)?;
        let upgrade = match self.settings.upgrade {
            Upgrade::None => "none",
            Upgrade::Safe => "safe-upgrade",
            Upgrade::Full => "full-upgrade",
            Upgrade::WhenUpdated if self.mirror.suites.len() > 1 => "safe-upgrade",
            Upgrade::WhenUpdated => "none",
        };
        let uefi = self.node.firmware == Firmware::Uefi;
        let derived = json!({
            "fqdn": self.fqdn(),
            "kernel": self.kernel(),
            "ntp": self.ntp(),
            "packages": self.packages(),
            "upgrade": upgrade,
            "uefi": uefi,
            "network_first": uefi && self.settings.network_first,
            "power_off": self.settings.when_done == super::variables::WhenDone::PowerOff,
            "more_suites": self.mirror.suites.iter().skip(1).collect::<Vec<_>>(),
            "contrib": self.mirror.components.iter().any(|component| component == "contrib"),
            "non_free": self.mirror.components.iter().any(|component| component == "non-free"),
            "non_free_firmware": self.mirror.components.iter().any(|component| component == "non-free-firmware"),
            "users": self.users(),
            "language": self.language(),
            "rpm": self.repositories(),
            "archive_keyring": self.archive_keyring(),
            "apt": self.archive(),
            "hosts_lines": self.hosts.lines_of_others(self.node.name.as_str()).trim_end(),
            "all_updates": self.settings.upgrade == Upgrade::Full,
        });
        view["derived"] = derived;
        let listed: Vec<_> = self.hosts.others(self.node.name.as_str()).filter(|_| self.hosts_listed).collect();
        view["hosts"] = serde_json::to_value(listed)?;
        if let Some(secrets) = secrets {
            view["secrets"] = serde_json::to_value(secrets)?;
        }
        Ok(view)
    }

    /// Users as a list, with every key there.
    fn users(&self) -> Vec<Value> {
        let user = |(name, user): (&super::values::UserName, &super::variables::User)| {
            json!({
                "name": name,
                "full_name": user.full_name,
                "ssh_keys": user.ssh_keys,
                "sudo": user.sudo,
                "asks_password": user.password_hash.is_some(),
                "groups": user.groups,
                "shell": user.shell.as_ref().map_or("/bin/bash", |shell| shell.as_str()),
                "uid": user.uid,
            })
        };
        self.settings.users.iter().map(user).collect()
    }
}
