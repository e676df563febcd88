//! Writes what a site's own DHCP server needs to know (`dhcp.mode = "off"`): the nodes' reservations and the way to the loader.
//!
//! The boot logic stays in the head: the site's server only names a loader by TFTP, and to iPXE the first script by HTTP.
//! So nothing of this has to be written again when a node is assigned or reinstalled, only when nodes come and go.

use std::fmt::{self, Write};

use super::Result;
use crate::config::Config;
use crate::domain::node::Node;
use crate::provision::hosts::names;
use crate::provision::loader::{LOADERS, Loader};
use crate::store::Store;

/// The form to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A file for dnsmasq's `conf-file=` or `conf-dir=`.
    Dnsmasq,
    /// A file for an `include` in ISC dhcpd's `dhcpd.conf`.
    Dhcpd,
    /// Lines for `/etc/hosts`.
    Hosts,
    /// Lines for `/etc/ethers`.
    Ethers,
}

/// The text for all nodes of the store.
///
/// # Errors
/// The store cannot be read.
pub async fn export_dhcp(store: &dyn Store, config: &Config, form: Form) -> Result<String> {
    Ok(render(form, config, &store.nodes().await?))
}

/// The text for these nodes.
pub fn render(form: Form, config: &Config, nodes: &[Node]) -> String {
    let mut out = String::new();
    let written = match form {
        Form::Dnsmasq => dnsmasq(&mut out, config, nodes),
        Form::Dhcpd => dhcpd(&mut out, config, nodes),
        Form::Hosts => hosts(&mut out, config, nodes),
        Form::Ethers => ethers(&mut out, nodes),
    };
    debug_assert!(written.is_ok(), "a write to a String cannot fail");
    out
}

/// Everything is tagged `kickctl`, so that other networks of the same dnsmasq are left alone.
fn dnsmasq(out: &mut String, config: &Config, nodes: &[Node]) -> fmt::Result {
    let (subnet, dhcp) = (config.subnet, &config.dhcp);
    let lease = dhcp.lease.as_secs();
    writeln!(out, "# Written by `kickctl export dnsmasq`; write it again after adding or removing nodes.")?;
    writeln!(out, "# For a dhcp-range of your own in {subnet}: begin it with set:kickctl, and its machines can be discovered.")?;
    writeln!(out, "dhcp-range=set:kickctl,{},static,{},{lease}", subnet.network(), subnet.netmask())?;
    if let Some(pool) = dhcp.pool {
        writeln!(out, "dhcp-range=set:kickctl,{},{},{},{lease}", pool.first, pool.last, subnet.netmask())?;
    }
    writeln!(out, "dhcp-option=tag:kickctl,option:router{}", dhcp.gateway.map(|gateway| format!(",{gateway}")).unwrap_or_default())?;
    writeln!(out, "dhcp-option=tag:kickctl,option:dns-server,{}", list(&dhcp.dns, ","))?;
    if !dhcp.ntp.is_empty() {
        writeln!(out, "dhcp-option=tag:kickctl,option:ntp-server,{}", list(&dhcp.ntp, ","))?;
    }
    writeln!(out, "dhcp-option=tag:kickctl,option:domain-name,{}", config.domain)?;

    writeln!(out, "\n# Firmware gets a loader by TFTP from the head; iPXE, which the loader is, gets its first script by HTTP.")?;
    writeln!(out, "dhcp-userclass=set:kickctl-ipxe,iPXE")?;
    writeln!(out, "dhcp-match=set:kickctl-ipxe,175")?;
    for loader in LOADERS {
        for code in loader.client_types {
            writeln!(out, "dhcp-match=set:kickctl-{},option:client-arch,{code}", tag(loader))?;
        }
    }
    for loader in LOADERS {
        let (tag, file) = (tag(loader), loader.file);
        writeln!(out, "dhcp-boot=tag:kickctl,tag:!kickctl-ipxe,tag:kickctl-{tag},{file},,{}", config.address)?;
    }
    writeln!(out, "dhcp-boot=tag:kickctl,tag:kickctl-ipxe,{},,{}", first_script(config), config.address)?;

    writeln!(out, "\n# {} nodes.", nodes.len())?;
    for node in nodes {
        let address = node.address.map(|address| format!("{address},")).unwrap_or_default();
        writeln!(out, "dhcp-host={},set:kickctl,{address}{}", list(&node.macs, ","), node.name)?;
    }
    Ok(())
}

fn dhcpd(out: &mut String, config: &Config, nodes: &[Node]) -> fmt::Result {
    let (subnet, dhcp) = (config.subnet, &config.dhcp);
    writeln!(out, "# Written by `kickctl export dhcpd`; write it again after adding or removing nodes, and restart dhcpd.")?;
    writeln!(out, "option kickctl-client-type code 93 = string;")?;
    writeln!(out, "subnet {} netmask {} {{", subnet.network(), subnet.netmask())?;
    writeln!(out, "  # One machine, one address: firmware, loader, installer and system send different client identifiers.")?;
    writeln!(out, "  ignore-client-uids true;")?;
    writeln!(out, "  default-lease-time {0};\n  max-lease-time {0};", dhcp.lease.as_secs())?;
    if let Some(gateway) = dhcp.gateway {
        writeln!(out, "  option routers {gateway};")?;
    }
    writeln!(out, "  option domain-name-servers {};", list(&dhcp.dns, ", "))?;
    if !dhcp.ntp.is_empty() {
        writeln!(out, "  option ntp-servers {};", list(&dhcp.ntp, ", "))?;
    }
    writeln!(out, "  option domain-name \"{}\";", config.domain)?;
    if let Some(pool) = dhcp.pool {
        writeln!(out, "  pool {{ range {} {}; }}", pool.first, pool.last)?;
    }
    writeln!(out, "  # Firmware gets a loader by TFTP from the head; iPXE, which the loader is, gets its first script by HTTP.")?;
    writeln!(out, "  next-server {};", config.address)?;
    // RFC 3004 puts a length before each user class; iPXE sends the bare word.
    writeln!(out, "  if option user-class = \"iPXE\" or substring(option user-class, 1, 4) = \"iPXE\" {{")?;
    writeln!(out, "    filename \"{}\";", first_script(config))?;
    for loader in LOADERS {
        let is = |code: &u16| format!("substring(option kickctl-client-type, 0, 2) = {:02x}:{:02x}", code >> 8, code & 0xff);
        writeln!(out, "  }} elsif {} {{", list(&loader.client_types.iter().map(is).collect::<Vec<_>>(), " or "))?;
        writeln!(out, "    filename \"{}\";", loader.file)?;
    }
    writeln!(out, "  }}\n}}\n\n# {} nodes. dhcpd wants one name for each Ethernet address.", nodes.len())?;
    for node in nodes {
        for (at, mac) in node.macs.iter().enumerate() {
            // No node's name holds an underscore, so this collides with none.
            let suffix = if at == 0 { String::new() } else { format!("_{}", at + 1) };
            let address = node.address.map(|address| format!(" fixed-address {address};")).unwrap_or_default();
            let name = &node.name;
            writeln!(out, "host {name}{suffix} {{ hardware ethernet {mac};{address} option host-name \"{name}\"; }}")?;
        }
    }
    Ok(())
}

fn hosts(out: &mut String, config: &Config, nodes: &[Node]) -> fmt::Result {
    for (node, address) in nodes.iter().filter_map(|node| Some((node, node.address?))) {
        writeln!(out, "{address}\t{}", names(node.name.as_str(), &config.domain))?;
    }
    Ok(())
}

fn ethers(out: &mut String, nodes: &[Node]) -> fmt::Result {
    for node in nodes {
        for mac in &node.macs {
            writeln!(out, "{mac}\t{}", node.address.map_or_else(|| node.name.to_string(), |address| address.to_string()))?;
        }
    }
    Ok(())
}

fn first_script(config: &Config) -> String {
    format!("{}/boot.ipxe", config.http_base())
}

fn tag(loader: &Loader) -> String {
    format!("{}-{}", loader.firmware, loader.arch)
}

fn list<T: fmt::Display>(items: &[T], between: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn config(more: &str) -> Config {
        let text = format!("interface = \"eth1\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n{more}");
        Config::parse(&Source::new("kickctl.toml", text)).unwrap()
    }

    fn node(json: serde_json::Value) -> Node {
        serde_json::from_value(json).unwrap()
    }

    fn nodes() -> Vec<Node> {
        vec![
            node(serde_json::json!({"name": "node07", "macs": ["52:54:00:00:00:07", "52:54:00:00:01:07"], "address": "10.0.0.7"})),
            node(serde_json::json!({"name": "node08", "macs": ["52:54:00:00:00:08"]})),
        ]
    }

    #[test]
    fn all_addresses_of_a_machine_share_its_reservation() {
        let text = render(Form::Dnsmasq, &config(""), &nodes());
        assert!(text.contains("dhcp-host=52:54:00:00:00:07,52:54:00:00:01:07,set:kickctl,10.0.0.7,node07\n"), "{text}");
        assert!(text.contains("dhcp-host=52:54:00:00:00:08,set:kickctl,node08\n"), "{text}");
        let text = render(Form::Dhcpd, &config(""), &nodes());
        assert!(
            text.contains("host node07_2 { hardware ethernet 52:54:00:00:01:07; fixed-address 10.0.0.7; option host-name \"node07\"; }")
        );
    }

    #[test]
    fn without_a_gateway_none_is_named() {
        // dnsmasq names itself as the router unless it is told an empty list.
        assert!(render(Form::Dnsmasq, &config(""), &[]).contains("option:router\n"));
        assert!(render(Form::Dnsmasq, &config("[dhcp]\ngateway = \"10.0.0.254\"\n"), &[]).contains("option:router,10.0.0.254\n"));
        assert!(!render(Form::Dhcpd, &config(""), &[]).contains("routers"));
    }

    #[test]
    fn hosts_and_ethers_read_as_usual() {
        assert_eq!(render(Form::Hosts, &config("domain = \"hpc.local\"\n"), &nodes()), "10.0.0.7\tnode07.hpc.local node07\n");
        let ethers = "52:54:00:00:00:07\t10.0.0.7\n52:54:00:00:01:07\t10.0.0.7\n52:54:00:00:00:08\tnode08\n";
        assert_eq!(render(Form::Ethers, &config(""), &nodes()), ethers);
    }
}
