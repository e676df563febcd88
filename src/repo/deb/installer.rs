//! Which udebs a network installation needs.

use super::closure::{Selection, Why, in_order};
use super::initrd::Installed;
use super::relation;
use super::resolve::{Closure, Follow, Given};
use super::universe::{Summary, Universe};
use crate::repo::glob;

/// What an unattended installation with plain or LVM partitions, on BIOS or UEFI, is made of. anna loads by itself only udebs of priority
/// `standard` and what they need; these roots are not all of that priority upstream, where a menu would ask for them.
const ROOTS: &[&str] = &[
    "apt-mirror-setup",
    "apt-setup-udeb",
    "base-installer",
    "bootstrap-base",
    "clock-setup",
    "di-utils-mapdevfs",
    "finish-install",
    "grub-installer",
    "partman-auto",
    "partman-auto-lvm",
    "partman-base",
    "partman-basicfilesystems",
    "partman-basicmethods",
    "partman-efi",
    "partman-ext3",
    "partman-target",
    "pkgsel",
    "user-setup-udeb",
    // Virtual: `scsi-modules-<kernel>-di` provides it (virtio_blk is in there).
    "ext4-modules",
    "fat-modules",
    "scsi-modules",
];

/// Selects the udebs that the installer loads by itself (Priority `standard`), the roots of an unattended installation (partitioning, base
/// system, boot loader), the kernel modules of `kernel_release`, and `extra` (names and globs), closed under dependencies.
/// What the initrd holds already is not needed again; modules of other kernels are never taken.
///
/// `udebs`: one architecture with `all`. `initrd`: from [`super::initrd::installed`].
pub fn installer_closure(udebs: &Universe, initrd: &[Installed], kernel_release: &str, extra: &[String]) -> Selection {
    let other_kernel = |summary: &Summary<'_>| {
        let other = !summary.kernel_version.is_empty() && summary.kernel_version != kernel_release;
        other.then_some(Why::OtherKernel)
    };
    let mut architectures = udebs.ids().map(|id| udebs.summary(id).architecture);
    let architecture = architectures.find(|name| *name != "all").unwrap_or("all");
    let mut closure = Closure::new(udebs, architecture, Follow { depends: true, recommends: false }, &other_kernel);
    for udeb in initrd {
        closure.give(&Given { name: &udeb.name, version: &udeb.version, provides: &udeb.provides });
    }
    for id in closure.offered() {
        let summary = udebs.summary(id);
        let asked = extra.iter().any(|pattern| glob::matches(pattern, summary.name));
        let held = initrd.iter().any(|udeb| udeb.name == summary.name);
        if asked || (summary.priority == "standard" && !held) {
            closure.take(id);
        }
    }
    for root in ROOTS {
        closure.need(root, "the installer");
    }
    let mut unknown_names = Vec::new();
    for name in extra.iter().filter(|name| !glob::is_glob(name) && udebs.named(name).is_empty()) {
        if closure.is_provided(name) {
            closure.need(name, "the mirror's definition");
        } else {
            unknown_names.push(name.clone());
        }
    }
    let (packages, missing) = closure.close();
    Selection { packages: in_order(udebs, packages), missing: missing.into_iter().collect(), unknown_names }
}

/// True if a rebuilt index must give this udeb Priority `standard`: anna loads by itself only those and what they depend on.
pub fn is_root(name: &str, provides: &str, extra: &[String]) -> bool {
    let virtual_names = relation::parse(provides).unwrap_or_default();
    let provided = virtual_names.iter().flat_map(|dependency| &dependency.alternatives).map(|relation| relation.name);
    std::iter::once(name).chain(provided).any(|name| ROOTS.contains(&name) || extra.iter().any(|pattern| glob::matches(pattern, name)))
}

#[cfg(test)]
mod tests {
    use super::super::universe::tests::universe;
    use super::*;

    const KERNEL: &str = "6.12.94+deb13-amd64";

    fn roots() -> Vec<(String, String)> {
        let plain = ROOTS.iter().filter(|root| !root.ends_with("-modules")).map(|root| (format!("{root} 1 all"), String::new()));
        let modules = ["6.12.94+deb13-amd64", "6.12.107+deb13-amd64"].into_iter().flat_map(|kernel| {
            ["ext4-modules", "fat-modules", "scsi-modules", "nic-modules"].map(move |name| {
                let priority = if name == "nic-modules" { "standard" } else { "optional" };
                (format!("{name}-{kernel}-di 1 amd64"), format!("Kernel-Version: {kernel}\nProvides: {name}\nPriority: {priority}"))
            })
        });
        plain.chain(modules).collect()
    }

    fn udebs(further: &[(&str, &str)]) -> Universe {
        let roots = roots();
        let all: Vec<(&str, &str)> = roots.iter().map(|(a, b)| (a.as_str(), b.as_str())).chain(further.iter().copied()).collect();
        universe(&all)
    }

    fn initrd(name: &str, provides: &str) -> Installed {
        Installed { name: name.into(), version: "1".into(), provides: provides.into() }
    }

    fn names(udebs: &Universe, selection: &Selection) -> Vec<String> {
        selection.packages.iter().map(|id| udebs.summary(*id).name.to_owned()).collect()
    }

    #[test]
    fn modules_of_the_initrds_kernel_only() {
        let udebs = udebs(&[("other 1 all", "Priority: optional")]);
        let selection = installer_closure(&udebs, &[], KERNEL, &[]);
        assert_eq!(selection.missing, []);
        let names = names(&udebs, &selection);
        for name in ["ext4-modules", "fat-modules", "scsi-modules", "nic-modules"] {
            assert!(names.contains(&format!("{name}-{KERNEL}-di")), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("6.12.107") || name == "other"), "{names:?}");
        assert_eq!(names.len(), ROOTS.len() + 1);
    }

    #[test]
    fn what_the_initrd_holds_or_provides_is_not_needed() {
        let udebs = udebs(&[
            ("a 1 all", "Priority: standard\nDepends: libc6-udeb (>= 1), cdebconf-terminal, b"),
            ("b 1 all", ""),
            ("c 1 all", "Priority: standard"),
        ]);
        let held = [initrd("libc6-udeb", ""), initrd("cdebconf-newt", "cdebconf-terminal"), initrd("c", ""), initrd("nic", "scsi-modules")];
        let selection = installer_closure(&udebs, &held, KERNEL, &[]);
        assert_eq!(selection.missing, []);
        let names = names(&udebs, &selection);
        assert!(names.contains(&"a".to_owned()) && names.contains(&"b".to_owned()));
        assert!(!names.iter().any(|name| name == "c" || name.starts_with("scsi-modules")), "{names:?}");
    }

    #[test]
    fn a_mirror_without_the_installers_modules_is_told_so() {
        let udebs = udebs(&[]);
        let missing = installer_closure(&udebs, &[], "6.1.0-amd64", &[]).missing;
        let told: Vec<_> = missing.iter().map(|missing| missing.needs.as_str()).collect();
        assert_eq!(told, ["ext4-modules", "fat-modules", "scsi-modules"]);
    }

    #[test]
    fn extras_may_be_globs_and_become_roots() {
        let udebs = udebs(&[("network-console 1 all", "Depends: openssh-server-udeb"), ("openssh-server-udeb 1 all", "")]);
        let extra = ["network-*".to_owned(), "nothing".to_owned()];
        let selection = installer_closure(&udebs, &[], KERNEL, &extra);
        assert!(names(&udebs, &selection).contains(&"openssh-server-udeb".to_owned()));
        assert_eq!(selection.unknown_names, ["nothing"]);
        assert!(is_root("network-console", "", &extra));
        assert!(is_root("ext4-modules-6.12.94+deb13-amd64-di", "ext4-modules", &[]));
        assert!(!is_root("openssh-server-udeb", "", &extra));
    }
}
