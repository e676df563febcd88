//! What runs in the diskless node itself, and so is put into every image: the boot scripts of the initial RAM disk, and the agent of the
//! running system.
//!
//! `boot=kickctl` on the kernel command line makes initramfs-tools source `scripts/kickctl`, whose `mountroot` runs `boot/main.sh`; dracut
//! sources the hooks of the module `kickctl`, the last of which does the same. Those adapters know how a file gets into the initial RAM disk,
//! what fetches there (busybox wget, or curl) and what gives the card its address (ipconfig, or ip); all else is the same for both:
//!
//! ```text
//! lib.sh     /kickctl/env (from the node's own archive), console, HTTP, what to do when it fails
//! nic.sh     the network card that the node booted from; lease.sh, what DHCP told where there is no ipconfig
//! root.sh    the root, by kind: NFS with an overlay, NFS writable, a squashfs in memory, that and /usr over NFS
//! own.sh     the take-over (report token and secrets), the node's files, its services
//! disks.sh   which local disk is meant, and whether it is blank or ours
//! local.sh   scratch, swap, folders that are written elsewhere than in memory
//! ```
//!
//! Nothing of it knows a node or a head: all of that comes with `/kickctl/env`. Everything is for busybox ash, dash and bash.

/// A file of every image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestFile {
    /// Where it goes: absolute, within the image.
    pub path: &'static str,
    /// Its permissions; it belongs to root.
    pub mode: u32,
    /// What it holds.
    pub content: &'static [u8],
}

macro_rules! files {
    ($($path:literal, $mode:literal, $source:literal;)*) => {
        &[$(GuestFile { path: $path, mode: $mode, content: include_bytes!($source) }),*]
    };
}

/// What makes the initial RAM disk of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Debian's own.
    InitramfsTools,
    /// The one of RPM distributions, which Debian has too.
    Dracut,
}

impl Maker {
    const fn adapter(self) -> &'static [GuestFile] {
        match self {
            Self::InitramfsTools => INITRAMFS_TOOLS,
            Self::Dracut => DRACUT,
        }
    }
}

const INITRAMFS_TOOLS: &[GuestFile] = files! {
    "/etc/initramfs-tools/conf.d/kickctl", 0o644, "initramfs/conf";
    "/usr/share/initramfs-tools/hooks/kickctl", 0o755, "initramfs/hook";
    "/usr/share/initramfs-tools/scripts/kickctl", 0o644, "initramfs/kickctl";
};

const DRACUT: &[GuestFile] = files! {
    "/etc/dracut.conf.d/kickctl.conf", 0o644, "dracut/conf";
    "/usr/lib/dracut/modules.d/90kickctl/module-setup.sh", 0o755, "dracut/module-setup.sh";
    "/usr/lib/dracut/modules.d/90kickctl/cmdline.sh", 0o755, "dracut/cmdline.sh";
    "/usr/lib/dracut/modules.d/90kickctl/mount.sh", 0o755, "dracut/mount.sh";
};

const COMMON: &[GuestFile] = files! {
    "/usr/lib/kickctl/boot/main.sh", 0o644, "boot/main.sh";
    "/usr/lib/kickctl/boot/lib.sh", 0o644, "boot/lib.sh";
    "/usr/lib/kickctl/boot/nic.sh", 0o644, "boot/nic.sh";
    "/usr/lib/kickctl/boot/lease.sh", 0o755, "boot/lease.sh";
    "/usr/lib/kickctl/boot/root.sh", 0o644, "boot/root.sh";
    "/usr/lib/kickctl/boot/own.sh", 0o644, "boot/own.sh";
    "/usr/lib/kickctl/boot/disks.sh", 0o644, "boot/disks.sh";
    "/usr/lib/kickctl/boot/local.sh", 0o644, "boot/local.sh";
    "/usr/lib/kickctl/agent", 0o755, "agent/agent";
    "/usr/lib/kickctl/log", 0o755, "agent/log";
    "/usr/lib/systemd/system/kickctl-agent.service", 0o644, "agent/kickctl-agent.service";
    "/usr/lib/systemd/system/kickctl-log.service", 0o644, "agent/kickctl-log.service";
};

/// Everything that an image needs to boot on a node, before its initial RAM disk is made.
pub fn files(maker: Maker) -> Vec<GuestFile> {
    maker.adapter().iter().chain(COMMON).copied().collect()
}
