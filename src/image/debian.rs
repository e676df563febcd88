//! Roots of Debian and its kin: mmdebstrap installs the packages, dpkg tells which there are. Another family of distributions would be
//! another file with these two functions.

use std::process::Command;

use super::room::{BUILD, Room};
use super::source::PackageSource;
use super::{Error, Result};
use crate::domain::image::{Package, Recipe};

/// The program that installs.
pub const PROGRAM: (&str, &str) = ("mmdebstrap", "mmdebstrap");

/// What every image needs to boot over the network, whatever its recipe says.
const NEEDED: [&str; 6] = ["initramfs-tools", "systemd-sysv", "udev", "kmod", "iproute2", "busybox"];

/// The packages that a recipe asks for, with those that every image needs.
pub fn packages(recipe: &Recipe) -> Vec<String> {
    let mut packages: Vec<String> = std::iter::once(recipe.kernel.clone()).chain(recipe.packages.iter().cloned()).collect();
    packages.extend(NEEDED.map(str::to_owned));
    packages.sort();
    packages.dedup();
    packages
}

/// Installs a recipe's packages into the room's `root/`, which must be empty. The keyrings of the source lie in the build's `keys/`.
pub fn install(room: &Room<'_>, recipe: &Recipe, source: &PackageSource) -> Command {
    let mut command = room.outside(PROGRAM.0);
    // Not with `important`: what is in an image is what its recipe names.
    command.args(["--mode=root", "--variant=minbase", "--format=directory", "--verbose"]);
    command.arg(format!("--architectures={}", source.arch.debian()));
    // A snapshot is as old as it is. Both files that these options end up in are removed with the caches.
    command.args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io"]);
    // mmdebstrap copies the head's own.
    command.arg("--customize-hook=rm -f \"$1/etc/hostname\" \"$1/etc/resolv.conf\" && : >\"$1/etc/resolv.conf\"");
    command.arg(format!("--include={}", packages(recipe).join(",")));
    command.arg(source.suite()).arg(format!("{BUILD}/root")).args(source.lines(&format!("{BUILD}/keys")));
    command
}

/// The packages of a root, by name.
///
/// # Errors
/// If the image has no dpkg, or it fails.
pub fn installed(room: &Room<'_>) -> Result<Vec<Package>> {
    let mut command = room.inside("dpkg-query");
    let output = command.args(["--show", "--showformat=${db:Status-Status}\\t${Package}\\t${Version}\\t${Architecture}\\n"]).output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Usage(format!(
            "the image's packages cannot be listed: dpkg-query ended with {}: {}",
            output.status,
            told.trim()
        )));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(text: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let installed = fields.next()? == "installed";
            let mut next = || fields.next().map(str::to_owned);
            let package = Package { name: next()?, version: next()?, arch: next()? };
            installed.then_some(package)
        })
        .collect();
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::fixture;

    #[test]
    fn every_image_gets_what_it_needs_to_boot_once() {
        let mut recipe = fixture::recipe();
        recipe.packages = vec!["udev".to_owned(), "htop".to_owned()];
        let packages = packages(&recipe);
        assert_eq!(packages.iter().filter(|name| *name == "udev").count(), 1);
        assert!(["htop", "linux-image-amd64", "initramfs-tools"].iter().all(|name| packages.contains(&(*name).to_owned())));
    }

    #[test]
    fn only_what_is_installed_is_a_package_of_the_image() {
        let text = "installed\tzlib1g\t1:1.3\tamd64\nconfig-files\told\t1\tall\ninstalled\tadduser\t3.1\tall\n";
        let names: Vec<String> = parse(text).into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["adduser", "zlib1g"]);
    }
}
