//! Roots of RPM distributions: `dnf --installroot` installs the packages. It reads nothing of the head: no repositories, no variables, no
//! plug-ins, no macros of rpm.

use std::collections::BTreeSet;
use std::process::Command;

use super::room::{BUILD, MIRROR, Room};
use crate::domain::node::Arch;

/// The program that installs.
pub const PROGRAM: (&str, &str) = ("dnf", "dnf");
/// Where an image names its package sources.
pub const SOURCES: &str = "/etc/yum.repos.d/kickctl.repo";
/// Where it keeps their keys.
pub const KEYS: &str = "/etc/pki/rpm-gpg";
/// How its package sources name the snapshot of a build.
pub const SNAPSHOT: &str = "file:///run/kickctl/mirror";

/// What every image needs to boot over the network, whatever its recipe says.
pub const NEEDED: [&str; 16] = [
    "bash",
    "coreutils",
    "cpio",
    "curl",
    "dracut",
    "dracut-network",
    "findutils",
    "iproute",
    "kmod",
    "rpm",
    "sed",
    "shadow-utils",
    "systemd",
    "systemd-udev",
    "tar",
    "util-linux",
];

/// Where the head's rpm keeps the list of packages meanwhile: distributions, and releases of rpm, keep it in different places.
const DATABASE: &str = "/var/lib/rpm";

/// RPM repositories to take packages from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repositories {
    /// They.
    pub all: Vec<Repository>,
    /// Such as `platform:el9`: which module streams fit. None where the distribution has no modules.
    pub platform: Option<String>,
}

/// A repository of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its name, such as `BaseOS`.
    pub name: String,
    /// Its folder within the snapshot's tree; empty for the tree's root.
    pub path: String,
    /// File names of the keys that it, or its packages, are signed with.
    pub keys: BTreeSet<String>,
    /// Its metadata must be signed.
    pub repo_gpgcheck: bool,
    /// Each package must be signed.
    pub gpgcheck: bool,
}

impl Repositories {
    /// Sections of a .repo file. `tree`: the address of the snapshot's tree; `keys`: the folder of the keys.
    pub fn sections(&self, tree: &str, keys: &str) -> String {
        let section = |repository: &Repository| {
            let Repository { name, path, .. } = repository;
            let address = format!("{tree}/{path}");
            let yes = |asked: bool| u8::from(asked);
            let rings: Vec<String> = repository.keys.iter().map(|key| format!("file://{keys}/{key}")).collect();
            let key = if rings.is_empty() { String::new() } else { format!("gpgkey={}\n", rings.join(" ")) };
            format!(
                "[{name}]\nname={name}, from the head\nbaseurl={}\nenabled=1\nrepo_gpgcheck={}\ngpgcheck={}\n{key}",
                address.trim_end_matches('/'),
                yes(repository.repo_gpgcheck),
                yes(repository.gpgcheck)
            )
        };
        self.all.iter().map(section).collect::<Vec<_>>().join("\n")
    }

    /// What dnf and rpm are told in the build's `keys/`, which is their home.
    pub fn aids(&self) -> Vec<(String, Vec<u8>)> {
        let platform = self.platform.as_ref().map(|platform| format!("module_platform_id={platform}\n")).unwrap_or_default();
        // Recommended packages are not taken: what is in an image is what its recipe names, and what that needs.
        let main = format!(
            "[main]\nreposdir={BUILD}/none\nvarsdir={BUILD}/none\nplugins=0\ninstall_weak_deps=0\nbest=1\nassumeyes=1\nskip_if_unavailable=0\n\
             color=never\n{platform}\n"
        );
        let text = main + &self.sections(&format!("file://{MIRROR}"), &format!("{BUILD}/keys"));
        vec![("dnf.conf".to_owned(), text.into_bytes()), (".rpmmacros".to_owned(), format!("%_dbpath {DATABASE}\n").into_bytes())]
    }
}

/// Installs packages into the room's `root/`, which must be empty. [`Repositories::aids`] lie in the build's `keys/`, the keys among them.
pub fn install(room: &Room<'_>, packages: &[String], arch: Arch) -> Command {
    let mut command = room.beside(PROGRAM.0);
    command.env("HOME", format!("{BUILD}/keys"));
    command.args(["-y", &format!("--config={BUILD}/keys/dnf.conf"), &format!("--installroot={BUILD}/root")]);
    command.arg(format!("--forcearch={}", arch.rpm())).arg("install").args(packages);
    command
}

/// Gives the image's own rpm the list of packages where it looks for it. Repositories that packages brought are put aside: they are reached
/// over the internet, which a build and a node have not.
pub const SETTLE: &str = r#"
for file in /etc/yum.repos.d/*.repo; do
    case $file in
    */kickctl.repo | *'*'*) ;;
    *) mv "$file" "$file.upstream" ;;
    esac
done
database=$(rpm --eval '%{_dbpath}')
if [ "$(readlink -f "$database")" != "$(readlink -f /var/lib/rpm)" ]; then
    mkdir -p "$database"
    cp -a /var/lib/rpm/. "$database/"
    rm -rf /var/lib/rpm
fi
if [ -z "$(rpm -qa --qf '%{NAME}\n' | head -n 1)" ]; then
    echo "the image's own rpm ($(rpm --version)) does not read the list of packages that the head's rpm wrote: build it on a head whose rpm is as new" >&2
    exit 1
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dnf_is_told_the_repositories_their_keys_and_nothing_of_the_head() {
        let repository = |name: &str, path: &str, keys: &[&str]| Repository {
            name: name.to_owned(),
            path: path.to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            repo_gpgcheck: !keys.is_empty(),
            gpgcheck: keys.len() > 1,
        };
        let all = vec![repository("BaseOS", "BaseOS/x86_64/os", &["kickctl.asc", "rocky.asc"]), repository("all", "", &[])];
        let repositories = Repositories { all, platform: Some("platform:el9".to_owned()) };
        let sections = "[BaseOS]\nname=BaseOS, from the head\nbaseurl=file:///run/kickctl/mirror/BaseOS/x86_64/os\nenabled=1\nrepo_gpgcheck=1\ngpgcheck=1\n\
                        gpgkey=file:///etc/pki/rpm-gpg/kickctl.asc file:///etc/pki/rpm-gpg/rocky.asc\n\n\
                        [all]\nname=all, from the head\nbaseurl=file:///run/kickctl/mirror\nenabled=1\nrepo_gpgcheck=0\ngpgcheck=0\n";
        assert_eq!(repositories.sections(SNAPSHOT, KEYS), sections);
        let aids = repositories.aids();
        let text = String::from_utf8(aids[0].1.clone()).unwrap();
        for line in ["reposdir=/mnt/build/none\n", "plugins=0\n", "module_platform_id=platform:el9\n", "baseurl=file:///mnt/mirror\n"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("gpgkey=file:///mnt/build/keys/kickctl.asc "), "{text}");
    }
}
