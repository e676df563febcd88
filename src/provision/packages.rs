//! Which packages a node needs: what is named, and what its other settings bring, by the distribution's own names.

use std::collections::BTreeSet;

use super::context::Context;
use super::variables::{Filesystem, Initramfs};
use crate::domain::node::{Arch, Firmware};
use crate::domain::profile::Installer;

/// What a distribution calls the packages that settings bring along.
struct Names {
    nfs: &'static str,
    time: &'static str,
}

const DEBIAN: Names = Names { nfs: "nfs-common", time: "systemd-timesyncd" };
const RPM: Names = Names { nfs: "nfs-utils", time: "chrony" };

impl Context {
    /// The kernel package.
    pub fn kernel(&self) -> String {
        match (self.settings.kernel.as_str(), self.kind) {
            ("default", Installer::Preseed) => format!("linux-image-{}", self.node.arch.debian()),
            ("default", Installer::Kickstart) => "kernel".to_owned(),
            ("default", Installer::Autoinstall) => "linux-generic".to_owned(),
            (named, _) => named.to_owned(),
        }
    }

    /// What the installer adds to the base system: what is named, and what other settings need. In a kickstart, `@` begins a group and
    /// `-` a package that is left out.
    pub fn packages(&self) -> Vec<String> {
        let settings = &self.settings;
        let names = match self.kind {
            Installer::Preseed | Installer::Autoinstall => DEBIAN,
            Installer::Kickstart => RPM,
        };
        let mut packages: Vec<String> = settings.packages.iter().map(|name| name.as_str().to_owned()).collect();
        let keys = !settings.root_ssh_keys.is_empty() || settings.users.values().any(|user| !user.ssh_keys.is_empty());
        let needed = [
            (keys, "openssh-server"),
            (settings.users.values().any(|user| user.sudo), "sudo"),
            (settings.mounts.iter().any(|mount| mount.kind.as_str().starts_with("nfs")), names.nfs),
            (!self.ntp().is_empty(), names.time),
        ];
        packages.extend(needed.into_iter().filter(|(needed, _)| *needed).map(|(_, name)| name.to_owned()));
        if self.kind == Installer::Kickstart {
            packages.extend(self.rpm_extras());
        }
        let mut seen = BTreeSet::new();
        packages.retain(|name| seen.insert(name.clone()));
        packages
    }

    /// What the Debian installer is told by answers, and Anaconda by packages.
    fn rpm_extras(&self) -> Vec<String> {
        let mut extras = Vec::new();
        if self.settings.kernel.as_str() != "default" {
            extras.push(self.kernel());
        }
        if self.settings.initramfs == Initramfs::Most {
            extras.push("dracut-config-generic".to_owned());
        }
        extras.extend(self.language_pack());
        extras
    }

    /// C.UTF-8 is part of the C library; every other locale of a language comes with that language's package.
    fn language_pack(&self) -> Option<String> {
        let locale = self.settings.locale.as_str();
        let language: String = locale.chars().take_while(char::is_ascii_lowercase).collect();
        (!is_plain(locale) && !language.is_empty()).then(|| format!("glibc-langpack-{language}"))
    }

    /// The locale that Anaconda is given: it knows languages, and `C` is none.
    pub(super) fn language(&self) -> String {
        let settings = &self.settings;
        if is_plain(settings.locale.as_str()) {
            format!("{}_{}.UTF-8", settings.language.as_str(), settings.country.as_str())
        } else {
            settings.locale.as_str().to_owned()
        }
    }

    /// Everything that must be in the snapshot for this node, and why.
    pub fn required_packages(&self) -> Vec<(String, &'static str)> {
        let mut all = vec![(self.kernel(), "variable `kernel`")];
        all.extend(match self.kind {
            // The rest of the base system is on the medium, as a root file system.
            Installer::Autoinstall => vec![],
            Installer::Preseed => self.debian_base(),
            Installer::Kickstart => self.rpm_base(),
        });
        let settings = &self.settings;
        let filesystems = std::iter::once(settings.filesystem).chain(settings.partitions.iter().map(|partition| partition.filesystem));
        all.extend(filesystems.map(|filesystem| {
            let tools = match filesystem {
                Filesystem::Ext4 => "e2fsprogs",
                Filesystem::Xfs => "xfsprogs",
                Filesystem::Btrfs => "btrfs-progs",
            };
            (tools.to_owned(), "variable `filesystem`")
        }));
        let named = self.packages().into_iter().filter(|name| !name.starts_with('-'));
        all.extend(named.map(|name| (name, "variable `packages`, or what another variable needs")));
        let mut seen = BTreeSet::new();
        all.retain(|(name, _)| seen.insert(name.clone()));
        all
    }

    fn debian_base(&self) -> Vec<(String, &'static str)> {
        let loader = match (self.node.firmware, self.node.arch) {
            (Firmware::Bios, _) => "grub-pc",
            (Firmware::Uefi, Arch::Amd64) => "grub-efi-amd64",
            (Firmware::Uefi, Arch::Arm64) => "grub-efi-arm64",
        };
        let mut all: Vec<(&str, &'static str)> = ["initramfs-tools", "busybox", "zstd"].map(|name| (name, "the initial RAM disk")).into();
        all.extend(["grub-common", "os-prober", loader].map(|name| (name, "the boot loader")));
        if !is_plain(self.settings.locale.as_str()) {
            all.push(("locales", "variable `locale`"));
        }
        all.into_iter().map(|(name, why)| (name.to_owned(), why)).collect()
    }

    /// Anaconda takes the group `core` and these without being told.
    fn rpm_base(&self) -> Vec<(String, &'static str)> {
        let loader: &[&str] = match (self.node.firmware, self.node.arch) {
            (Firmware::Bios, _) => &["grub2-pc"],
            (Firmware::Uefi, Arch::Amd64) => &["grub2-efi-x64", "shim-x64", "efibootmgr"],
            (Firmware::Uefi, Arch::Arm64) => &["grub2-efi-aa64", "shim-aa64", "efibootmgr"],
        };
        let base = [("@core", "the base system"), ("dracut", "the initial RAM disk")];
        base.into_iter().chain(loader.iter().map(|name| (*name, "the boot loader"))).map(|(name, why)| (name.to_owned(), why)).collect()
    }
}

fn is_plain(locale: &str) -> bool {
    matches!(locale, "C" | "C.UTF-8" | "POSIX")
}

#[cfg(test)]
mod tests {
    use crate::domain::node::Firmware;
    use crate::domain::profile::Installer;
    use crate::provision::fixture::context;

    #[test]
    fn the_same_settings_bring_each_distributions_own_packages() {
        let toml = "packages = ['@development', '-plymouth', 'python3-PyYAML']\nntp = ['10.0.0.1']\ninitramfs = 'most'\nlocale = 'de_DE.UTF-8'\n\
                    mounts = [ { source = '10.0.0.1:/home', target = '/shared' } ]\n[users.ada]\nsudo = true\nssh_keys = ['ssh-ed25519 AAAA ada']";
        let mut context = context(toml, Firmware::Uefi);
        assert!(context.packages().ends_with(&["openssh-server", "sudo", "nfs-common", "systemd-timesyncd"].map(str::to_owned)));
        context.kind = Installer::Kickstart;
        assert_eq!(
            context.packages(),
            [
                "@development",
                "-plymouth",
                "python3-PyYAML",
                "openssh-server",
                "sudo",
                "nfs-utils",
                "chrony",
                "dracut-config-generic",
                "glibc-langpack-de"
            ]
        );
        let required: Vec<String> = context.required_packages().into_iter().map(|(name, _)| name).collect();
        for name in ["kernel", "@core", "shim-x64", "e2fsprogs", "@development"] {
            assert!(required.iter().any(|have| have == name), "{name}: {required:?}");
        }
        assert!(!required.iter().any(|name| name.starts_with('-')), "{required:?}");
        assert_eq!(context.language(), "de_DE.UTF-8");
    }
}
