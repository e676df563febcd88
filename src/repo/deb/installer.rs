//! Which udebs a network installation needs.

use super::closure::Selection;
use super::initrd::Installed;
use super::universe::Universe;

/// Selects the udebs that the installer loads by itself (Priority `standard`), the roots of an unattended installation (partitioning, base
/// system, boot loader), the kernel modules of `kernel_release`, and `extra` (names and globs), closed under dependencies.
/// What the initrd holds already is not needed again; modules of other kernels are never taken.
///
/// `udebs`: one architecture with `all`. `initrd`: from [`super::initrd::installed`].
pub fn installer_closure(udebs: &Universe, initrd: &[Installed], kernel_release: &str, extra: &[String]) -> Selection {
    todo!()
}

/// True if a rebuilt index must give this udeb Priority `standard`: anna loads by itself only those and what they depend on.
pub fn is_root(name: &str, provides: &str, extra: &[String]) -> bool {
    todo!()
}
