//! The packages of a root, as its own package manager tells them.

use std::process::Command;

use super::room::Room;
use super::{Error, Result};
use crate::domain::image::Package;

/// The packages of a root, by name. The room's root has dpkg, or rpm.
///
/// # Errors
/// If the image has neither, or it fails.
pub fn installed(room: &Room<'_>) -> Result<Vec<Package>> {
    let mut command = if room.build.join("root/var/lib/dpkg/status").is_file() { by_dpkg(room) } else { by_rpm(room) };
    let output = command.output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Usage(format!(
            "the image's packages cannot be listed: its package manager ended with {}: {}",
            output.status,
            told.trim()
        )));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn by_dpkg(room: &Room<'_>) -> Command {
    let mut command = room.inside("dpkg-query");
    command.args(["--show", "--showformat=${db:Status-Status}\\t${Package}\\t${Version}\\t${Architecture}\\n"]);
    command
}

fn by_rpm(room: &Room<'_>) -> Command {
    let mut command = room.inside("rpm");
    command.args(["-qa", "--qf", "installed\\t%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"]);
    command
}

/// Packages that are removed but for their settings are none, nor are the keys that rpm keeps among its packages.
fn parse(text: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let installed = fields.next()? == "installed";
            let mut next = || fields.next().map(str::to_owned);
            let package = Package { name: next()?, version: next()?, arch: next()? };
            (installed && package.name != "gpg-pubkey").then_some(package)
        })
        .collect();
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_is_a_package_of_the_image() {
        let text = "installed\tzlib1g\t1:1.3\tamd64\nconfig-files\told\t1\tall\ninstalled\tadduser\t3.1\tall\ninstalled\tgpg-pubkey\t1-2\t(none)\n";
        let names: Vec<String> = parse(text).into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["adduser", "zlib1g"]);
    }
}
