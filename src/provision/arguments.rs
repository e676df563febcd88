//! The kernel command line of an installer.

use super::context::Context;
use crate::domain::profile::Installer;

/// Longest kernel command line on x86 (`COMMAND_LINE_SIZE` in Linux) less the byte that ends it.
pub const MAX_ARGUMENTS: usize = 2047;

/// The kernel arguments of a node's installer. No secret is in them: every user of the node can read `/proc/cmdline`.
pub fn kernel_args(context: &Context) -> String {
    let mut words = match context.kind {
        Installer::Preseed => debian_installer(context),
        Installer::Kickstart => anaconda(context),
        Installer::Autoinstall => subiquity(context),
    };
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn consoles(context: &Context) -> impl Iterator<Item = String> {
    context.settings.console.iter().map(|console| format!("console={}", console.as_str()))
}

/// Anaconda's. Those of the installed system are in the write gate's answer.
///
/// - Without an interface in `ip=`, dracut and NetworkManager bring up the one whose address is in `BOOTIF=`.
/// - `inst.ks.sendmac` and `inst.ks.sendsn` add the cards' addresses and the serial number to the request for the kickstart file.
/// - What follows `inst.syslog=` is spoken to over TCP (pyanaconda writes `*.* @@HOST:PORT` for rsyslog).
/// - A mirror whose tree is no repository, because all packages are in one elsewhere, needs the installer named apart.
fn anaconda(context: &Context) -> Vec<String> {
    let repositories = context.repositories();
    let tree = format!("{}{}", context.head.url, context.mirror.tree_directory());
    let mut words = vec![format!("inst.ks={}/ks.cfg", context.attempt.boot_url), "inst.ks.sendmac".into(), "inst.ks.sendsn".into()];
    words.push(format!("inst.repo={}", repositories.source));
    if repositories.source != tree {
        words.push(format!("inst.stage2={tree}"));
    }
    words.push("ip=dhcp".into());
    words.extend(context.node.mac.map(|mac| format!("BOOTIF={}", mac.bootif())));
    words.push(format!("inst.syslog={}:{}", context.head.address, context.head.syslog_port));
    words.extend(consoles(context));
    words.push(context.settings.installer_args.as_str().to_owned());
    words
}

/// Those of Ubuntu's live server and its installer; of the installed system after `---`, from where curtin takes them over.
///
/// - Casper fetches the image that `url=` names into memory and runs from it, if the name ends in `.iso`; `netboot=url` says so outright.
/// - cloud-init would take `url=` for a file of its own and fetch the image once more: `cloud-config-url=` comes before that.
/// - `autoinstall` says that nobody is to be asked before disks are written to. NoCloud adds file names to `s=` as they are, so it ends in a slash.
/// - The interface whose address stands in `BOOTIF=` is the one that `ip=dhcp` configures.
fn subiquity(context: &Context) -> Vec<String> {
    let image = context.mirror.live.as_deref().unwrap_or_default();
    let mut words = vec!["ip=dhcp".to_owned()];
    words.extend(context.node.mac.map(|mac| format!("BOOTIF={}", mac.bootif())));
    words.extend(["netboot=url".to_owned(), format!("url={}{}/{image}", context.head.url, context.mirror.directory)]);
    words.extend(["cloud-config-url=/dev/null".to_owned(), "autoinstall".to_owned()]);
    words.push(format!("ds=nocloud;s={}/", context.attempt.boot_url));
    words.extend(consoles(context));
    words.push(context.settings.installer_args.as_str().to_owned());
    words.push("---".into());
    words.extend(consoles(context));
    words.push(context.settings.kernel_args.as_str().to_owned());
    words
}

/// The Debian installer's, those of the installed system after `---`. The loader adds `initrd=`.
///
/// - DHCP option 12 beats `hostname=` and a preseeded `netcfg/get_hostname`; `netcfg/hostname=` forces the name.
/// - A network that leads nowhere is asked about, unless it is said that there is no default route.
/// - netcfg chooses the interface whose address stands in `BOOTIF=` if it was told `auto`: without both, a machine with two cards is asked.
fn debian_installer(context: &Context) -> Vec<String> {
    let name = &context.node.name;
    let mut words = vec!["auto=true".to_owned(), "priority=critical".to_owned(), format!("url={}/preseed.cfg", context.attempt.boot_url)];
    words.push("interface=auto".into());
    words.extend(context.node.mac.map(|mac| format!("BOOTIF={}", mac.bootif())));
    words.extend([format!("hostname={name}"), format!("netcfg/hostname={name}")]);
    if !context.net.domain.is_empty() {
        words.push(format!("domain={}", context.net.domain));
    }
    // netcfg's DHCP hook gives up at `ip route add default via ""` when DHCP names no router, before it writes the name servers down; both
    // are then asked, and no preseed file can be fetched to answer (seen with netcfg of Debian 13).
    if context.net.router.is_none() {
        words.push("netcfg/no_default_route=true".into());
        words.extend(context.net.dns.first().map(|server| format!("netcfg/get_nameservers={server}")));
    }
    // The full-screen front ends draw on a serial console what nobody can read afterwards.
    words.push("DEBIAN_FRONTEND=text".into());
    words.push(format!("log_host={}", context.head.address));
    words.push(format!("log_port={}", context.head.syslog_port));
    words.extend(consoles(context));
    words.push(context.settings.installer_args.as_str().to_owned());
    words.push("---".into());
    words.extend(consoles(context));
    words.push(context.settings.kernel_args.as_str().to_owned());
    words
}
