//! Shows what a node would be given, without giving it.

use super::material::{render, snapshot};
use super::preflight::Bench;
use super::render_diskless::render_diskless;
use super::{Error, Head, Result};
use crate::domain::name::{NodeName, ProfileName};
use crate::domain::node::Firmware;
use crate::provision::context::Secrets;
use crate::provision::{Machine, Settings, gate, kernel_args};

/// What can be shown beside the profile's own templates.
pub const KERNEL_ARGUMENTS: &str = "kernel-arguments";
/// The write gate's yes, for a disk that stands for the one that would be chosen.
pub const GATE: &str = "gate";

/// The memory of the machine that `gate` is shown for, in bytes: how much a node has, its installer tells.
const SHOWN_MEMORY: u64 = 16 << 30;

/// Renders one file for a node, by default its installer's answers, for the profile it is assigned or for another one. Secrets are masked unless asked for; the report token
/// does not exist before there is an attempt and is masked always.
///
/// # Errors
/// If the node, its profile or the published snapshot is not there, or the file cannot be rendered.
pub async fn render_profile(
    head: &Head,
    name: &NodeName,
    profile: Option<&ProfileName>,
    file: Option<&str>,
    secrets: bool,
) -> Result<String> {
    let node = head.store.node(name).await?.ok_or_else(|| crate::store::Error::NoNode(name.clone()))?;
    let assignment = head.store.assignment(name).await?;
    let profile = profile.or(assignment.as_ref().map(|assignment| &assignment.profile)).ok_or_else(|| {
        Error::Usage(format!("{name} has no profile: `kickctl profile assign {name} PROFILE` gives it one, or --profile tries one"))
    })?;
    let bench = Bench::new(head).await?;
    let pinned = assignment.as_ref().and_then(|assignment| assignment.snapshot.as_ref());
    let order = bench.order(&node, profile, pinned).await?;
    let settings = Settings::read(&order.variables)
        .map_err(|wrong| Error::Refused(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let Some(installer) = order.kind.installer() else {
        return render_diskless(&bench, &node, &order, settings, file.unwrap_or("env"));
    };
    let (snapshot, _) = snapshot(&head.data, &order.mirror, &order.snapshot)?;
    let firmware = node.firmware.unwrap_or(Firmware::Bios);
    let context = bench.context(&node, firmware, &order, &snapshot, settings)?;
    let answers = installer.answers();
    match file.unwrap_or(answers) {
        KERNEL_ARGUMENTS => Ok(kernel_args(&context) + "\n"),
        GATE => Ok(gate::answer("/dev/DISK", &context.settings, Machine { kind: installer, firmware, memory: SHOWN_MEMORY })),
        file if installer.boot_files().contains(&file) => render(&bench.library, &context, file, None),
        file => {
            let all = Secrets::new(&context.settings, crate::provision::context::MASK);
            let shown = if secrets { all } else { all.masked() };
            render(&bench.library, &context, file, Some(&shown))
        }
    }
}
