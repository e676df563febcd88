//! Everything that can be known before a node reboots for it: the profile renders, the installer knows every question, every package is
//! in the snapshot, the installer's kernel and its modules are too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::material::{Surroundings, installer, render, snapshot};
use super::snapshot_packages::SnapshotPackages;
use super::{Error, Head, Result};
use crate::config::{Config, DhcpMode};
use crate::domain::attempt::Order;
use crate::domain::mirror::{InstallerFiles, Snapshot};
use crate::domain::name::{GroupName, MirrorName, ProfileName, SnapshotId};
use crate::domain::node::{Arch, Firmware, Node};
use crate::domain::profile::{Assignment, Installer};
use crate::domain::variables::{Merged, Variables, merge};
use crate::mirror::layout::MirrorDir;
use crate::provision::arguments::MAX_ARGUMENTS;
use crate::provision::context::{AttemptFacts, Context, Secrets};
use crate::provision::kickstart::{self, Release};
use crate::provision::library::Library;
use crate::provision::variables::{Filesystem, Label};
use crate::provision::{Machine, Settings, autoinstall, gate, kernel_args, preseed};

/// The files that a profile must render besides the installer's answers.
pub const FILES: [&str; 2] = ["takeover.sh", "late.sh"];
/// What the installer needs beside its kernel's modules, whatever the node is like.
const UDEBS: [&str; 10] = [
    "base-installer",
    "bootstrap-base",
    "finish-install",
    "apt-setup-udeb",
    "grub-installer",
    "partman-auto",
    "partman-base",
    "partman-target",
    "pkgsel",
    "user-setup-udeb",
];

/// A node that can be installed, and what would be ordered.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The node.
    pub node: Node,
    /// What an attempt would freeze.
    pub order: Order,
}

/// Something that would keep an installation from succeeding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The nodes that have it, or the profile where no node is concerned.
    pub concerns: String,
    /// The file and line, the variable or the snapshot where it is.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; empty if the problem says it.
    pub remedy: String,
    /// True if an installation can succeed all the same.
    pub warning: bool,
}

/// Looks at assignments and tells what an attempt of each would order.
///
/// # Errors
/// [`Error::Refused`] with every finding of every node.
pub async fn preflight(head: &Head, assignments: &[Assignment]) -> Result<Vec<Ready>> {
    let (ready, findings) = examine(head, assignments).await?;
    if findings.iter().all(|finding| finding.warning) {
        return Ok(ready);
    }
    let told: BTreeSet<String> = findings.iter().filter(|finding| !finding.warning).map(ToString::to_string).collect();
    Err(Error::Refused(told.into_iter().collect::<Vec<_>>().join("\n")))
}

/// Looks at assignments; the nodes without a finding that is more than a warning are ready.
///
/// # Errors
/// If the state cannot be read, or a site's profile is no profile at all.
pub async fn examine(head: &Head, assignments: &[Assignment]) -> Result<(Vec<Ready>, Vec<Finding>)> {
    let mut bench = Bench::new(head).await?;
    bench.surroundings = bench.surroundings.sampled();
    let (mut ready, mut findings) = (vec![], vec![]);
    for assignment in assignments {
        let node = head.store.node(&assignment.node).await?.ok_or_else(|| crate::store::Error::NoNode(assignment.node.clone()))?;
        match bench.order(&node, &assignment.profile, assignment.snapshot.as_ref()).await {
            Ok(order) => {
                let found = bench.look(&node, &order).await?;
                if found.iter().all(|finding| finding.warning) {
                    ready.push(Ready { node, order });
                }
                findings.extend(found);
            }
            Err(Error::Refused(problem)) => findings.push(Finding::of(&node, format!("profile {}", assignment.profile), problem, "")),
            Err(other) => return Err(other),
        }
    }
    Ok((ready, findings))
}

impl Finding {
    pub(super) fn of(node: &Node, place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { concerns: node.name.to_string(), place: place.into(), problem: problem.into(), remedy: remedy.into(), warning: false }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.concerns, self.place, self.problem)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " ({})", self.remedy) }
    }
}

/// What is read once for all nodes.
pub(super) struct Bench<'a> {
    pub(super) head: &'a Head,
    pub library: Library,
    pub surroundings: Surroundings,
    snapshots: BTreeMap<(MirrorName, SnapshotId, Arch), SnapshotPackages>,
}

impl<'a> Bench<'a> {
    pub async fn new(head: &'a Head) -> Result<Self> {
        Ok(Self { head, library: head.profiles()?, surroundings: Surroundings::of(head).await?, snapshots: BTreeMap::new() })
    }

    /// The merged variables of a node under a profile, each value with its layer.
    pub async fn variables(&self, node: &Node, profile: &ProfileName) -> Result<Merged> {
        let mut groups: BTreeMap<GroupName, Variables> = BTreeMap::new();
        for group in &node.groups {
            groups.insert(group.clone(), self.head.store.group_variables(group).await?);
        }
        let layers = self.library.layers(profile, &groups, Some(node)).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(merge(&layers))
    }

    /// What an attempt would freeze.
    pub async fn order(&self, node: &Node, profile: &ProfileName, wanted: Option<&SnapshotId>) -> Result<Order> {
        let refused = |error: crate::provision::library::LibraryError| Error::Refused(error.to_string());
        let kind = self.library.kind(profile).map_err(refused)?;
        if kind.is_diskless() {
            let pinned = wanted.and_then(|wanted| wanted.as_str().parse().ok());
            return self.diskless_order(node, profile, kind, pinned).await;
        }
        let mirror = self.library.mirror(profile).map_err(refused)?.ok_or_else(|| {
            Error::Refused(format!(
                "neither profile `{profile}` nor what it extends names a mirror: write `mirror = \"NAME\"` into its profile.toml"
            ))
        })?;
        let published = || MirrorDir::new(&self.head.data, &mirror).published();
        let snapshot = wanted
            .cloned()
            .or_else(published)
            .ok_or_else(|| Error::Refused(format!("mirror `{mirror}` has published nothing yet: `kickctl mirror sync {mirror}`")))?;
        let profile_digest = self.library.digest(profile).map_err(refused)?;
        Ok(Order {
            profile: profile.clone(),
            kind,
            profile_digest,
            mirror,
            snapshot,
            image: None,
            fallback_of: None,
            variables: self.variables(node, profile).await?,
        })
    }

    /// The context of a node for an attempt that does not exist yet.
    pub fn context(&self, node: &Node, firmware: Firmware, order: &Order, snapshot: &Snapshot, settings: Settings) -> Result<Context> {
        let attempt = AttemptFacts {
            id: 0,
            number: 0,
            profile: order.profile.clone(),
            boot_url: format!("{}/boot/{}", self.surroundings.url(), crate::provision::context::MASK),
        };
        self.surroundings.context(node, (order.kind, firmware, node.macs.first().copied()), snapshot, settings, attempt)
    }

    /// Everything that is wrong for one node.
    async fn look(&mut self, node: &Node, order: &Order) -> Result<Vec<Finding>> {
        let settings = match Settings::read(&order.variables) {
            Ok(settings) => settings,
            Err(wrong) => {
                let finding = |wrong: &crate::provision::variables::BadVariable| Finding::of(node, "variables", wrong.to_string(), "");
                return Ok(wrong.iter().map(finding).collect());
            }
        };
        let Some(reads) = order.kind.installer() else { return self.look_diskless(node, order, settings).await };
        let (snapshot, tree) = match snapshot(&self.head.data, &order.mirror, &order.snapshot) {
            Ok(found) => found,
            Err(error) => return Ok(vec![Finding::of(node, format!("mirror {}", order.mirror), error.to_string(), "")]),
        };
        let key = (order.mirror.clone(), order.snapshot.clone(), node.arch);
        if !self.snapshots.contains_key(&key) {
            self.snapshots.insert(key.clone(), SnapshotPackages::read(&tree, &snapshot, node.arch)?);
        }
        let none = SnapshotPackages::default();
        let packages = self.snapshots.get(&key).unwrap_or(&none);
        let place = format!("snapshot {} of mirror {}", snapshot.id, snapshot.mirror);
        let mut findings = match installer(&snapshot, node) {
            Ok(files) if files.installer() != reads => {
                let problem = format!("has no installer that reads {}", reads.answers());
                return Ok(vec![Finding::of(node, &place, problem, "name another mirror in the profile, or another profile")]);
            }
            Ok(_) if reads != Installer::Preseed => vec![],
            Ok(files) => missing_udebs(node, &settings, &files, packages, &place),
            Err(error) => vec![Finding::of(node, &place, error.to_string(), "")],
        };
        // A firmware that is not known yet may be either.
        for firmware in node.firmware.map_or(vec![Firmware::Bios, Firmware::Uefi], |known| vec![known]) {
            let context = self.context(node, firmware, order, &snapshot, settings.clone())?;
            findings.extend(missing_packages(node, &context, packages, &place));
            findings.extend(wrong_files(&self.library, node, &context));
        }
        findings.extend(wrong_settings(node, &settings));
        findings.extend(wrong_address(node, &self.head.config));
        let mut seen = BTreeSet::new();
        findings.retain(|finding| seen.insert(finding.to_string()));
        Ok(findings)
    }
}

fn missing_udebs(node: &Node, settings: &Settings, files: &InstallerFiles, packages: &SnapshotPackages, place: &str) -> Vec<Finding> {
    let release = &files.kernel_release;
    let mut needed: Vec<String> = UDEBS.map(str::to_owned).to_vec();
    needed.extend(["scsi-modules", "ext4-modules"].map(|modules| format!("{modules}-{release}-di")));
    let filesystems = std::iter::once(settings.filesystem).chain(settings.partitions.iter().map(|partition| partition.filesystem));
    needed.extend(filesystems.map(|filesystem| {
        match filesystem {
            Filesystem::Ext4 => "partman-ext3",
            Filesystem::Xfs => "partman-xfs",
            Filesystem::Btrfs => "partman-btrfs",
        }
        .to_owned()
    }));
    if node.firmware == Some(Firmware::Uefi) {
        needed.extend(["partman-efi".to_owned(), format!("fat-modules-{release}-di")]);
    }
    let remedy = "the mirror's `installer` table names further udebs; a kernel newer than the udebs needs a new sync or `local` packages";
    let finding =
        |name: &String| Finding::of(node, place, format!("has no installer package `{name}` (installer kernel {release})"), remedy);
    needed.iter().filter(|name| !packages.has_udeb(name)).map(finding).collect()
}

fn missing_packages(node: &Node, context: &Context, packages: &SnapshotPackages, place: &str) -> Vec<Finding> {
    let finding = |(name, why): (String, &'static str)| {
        let remedy = match packages.like(&name).as_slice() {
            [] if context.mirror.live.is_some() => "the medium does not carry it: take it out of the profile".to_owned(),
            [] => "add it to the mirror's filter and sync, or take it out of the profile".to_owned(),
            near => format!("it has {}; or add it to the mirror's filter and sync", near.join(", ")),
        };
        Finding::of(node, place, format!("has no package `{name}`, which is needed for {why}"), remedy)
    };
    context.required_packages().into_iter().filter(|(name, _)| !packages.has(name)).map(finding).collect()
}

fn wrong_files(library: &Library, node: &Node, context: &Context) -> Vec<Finding> {
    let secrets = Secrets::new(&context.settings, crate::provision::context::MASK);
    let mut findings = Vec::new();
    let (answers, boot_files) = (context.kind.answers(), context.kind.boot_files());
    for file in boot_files.iter().copied().chain(FILES) {
        // As it will be served: a boot file that asks for a secret must fail here.
        let secrets = (!boot_files.contains(&file)).then_some(&secrets);
        match render(library, context, file, secrets) {
            Ok(text) if file == answers => findings.extend(wrong_answers(node, context, file, &text)),
            Ok(_) => {}
            Err(error) => findings.push(Finding::of(node, file, error.to_string(), "")),
        }
    }
    let machine = Machine { kind: context.kind, firmware: context.node.firmware, memory: 1 << 30 };
    let yes = gate::answer("/dev/sda", &context.settings, machine);
    match gate::added_to(context.kind) {
        None => findings.extend(wrong_answers(node, context, "the write gate's answer", &yes)),
        // As the installer reads both.
        Some(file) => match render(library, context, file, None) {
            Ok(text) => findings.extend(wrong_answers(node, context, &format!("{file} with the write gate's answer"), &(text + &yes))),
            Err(error) => findings.push(Finding::of(node, file, error.to_string(), "")),
        },
    }
    let arguments = kernel_args(context);
    if arguments.len() > MAX_ARGUMENTS {
        let problem = format!("{} bytes; the kernel reads {MAX_ARGUMENTS}", arguments.len());
        findings.push(Finding::of(node, "kernel arguments", problem, "shorten kernel_args, installer_args or console"));
    }
    findings
}

fn wrong_answers(node: &Node, context: &Context, file: &str, text: &str) -> Vec<Finding> {
    let found = match context.kind {
        Installer::Preseed => preseed::lint(text),
        Installer::Autoinstall => autoinstall::lint(text),
        Installer::Kickstart => kickstart::lint(text, context.mirror.release.unwrap_or(Release::NEWEST)),
    };
    found.into_iter().map(|found| Finding::of(node, format!("{file}:{}", found.line), found.problem, found.remedy)).collect()
}

pub(super) fn wrong_address(node: &Node, config: &Config) -> Option<Finding> {
    let remedy = format!("`kickctl node set {} --address IP` with a free address of {}", node.name, config.subnet);
    let problem = match node.address {
        Some(address) => config.unfit_for_a_node(address)?,
        None if config.dhcp.mode == DhcpMode::Off => "has no address, and kickctl serves no DHCP that could tell it".to_owned(),
        None if config.dhcp.pool.is_none() => "has no address, and there is no `dhcp.pool` to lend one from".to_owned(),
        None => return None,
    };
    Some(Finding::of(node, "address", problem, remedy))
}

fn wrong_settings(node: &Node, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.label == Label::Msdos && node.firmware == Some(Firmware::Uefi) {
        findings.push(Finding::of(node, "variable `label`", "UEFI firmware boots from a GUID partition table", "set label = \"gpt\""));
    }
    let enters = settings.root_password_hash.is_some()
        || !settings.root_ssh_keys.is_empty()
        || settings.users.values().any(|user| user.password_hash.is_some() || !user.ssh_keys.is_empty());
    if !enters {
        let problem = "nobody could log in: there is no password and no ssh key";
        let remedy = "set root_ssh_keys, root_password_hash or users.NAME.ssh_keys";
        findings.push(Finding { warning: true, ..Finding::of(node, "variables", problem, remedy) });
    }
    findings
}
