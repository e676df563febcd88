//! `kickctl init`: configuration, state and keys of a new head.

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::head_keys::{signing_key, token_secret};
use super::{Error, Result};
use crate::config::{self, Config, DhcpMode, Source};
use crate::domain::subnet::Subnet;
use crate::store::SqliteStore;
use crate::sys::data_dir::DataDir;
use crate::sys::interface::{Interface, interfaces};
use crate::sys::private_file;

/// What the administrator said.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// The interface towards the nodes.
    pub interface: String,
    /// The nodes' network.
    pub subnet: Subnet,
    /// The head's address; by default what the interface has in the network, else the network's first.
    pub address: Option<Ipv4Addr>,
    /// `server`, `off` or `proxy`.
    pub dhcp: String,
    /// `FIRST-LAST`.
    pub pool: Option<String>,
    /// The nodes' DNS domain.
    pub domain: Option<String>,
    /// The nodes' router.
    pub gateway: Option<Ipv4Addr>,
    /// The nodes' DNS servers; empty: the head.
    pub dns: Vec<Ipv4Addr>,
}

/// What will be made. Nothing has been yet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the configuration goes.
    pub file: PathBuf,
    /// What is written there.
    pub text: String,
    /// What that means.
    pub config: Config,
    /// The data folder.
    pub data: PathBuf,
    /// What to type next, in order.
    pub next: Vec<String>,
    /// What is not as it should be, and need not be yet.
    pub warning: Option<String>,
}

/// Decides everything, changes nothing.
///
/// # Errors
/// [`Error::Refused`] if there is a configuration already, [`Error::Usage`] if the answers do not fit each other.
pub fn plan(answers: &Answers) -> Result<Plan> {
    let plan = decide(answers, &interfaces().unwrap_or_default())?;
    if plan.file.exists() {
        return Err(refusal(&plan.file));
    }
    Ok(plan)
}

/// Makes folders, keys and state, and the configuration last: what fails before can simply be run again. Keys and state
/// that an earlier run with `--data` made are kept. Returns the fingerprint of the signing key.
///
/// # Errors
/// [`Error::Refused`] if there is a configuration by now, [`Error::Io`] and [`Error::Store`] if something cannot be made.
pub async fn carry_out(plan: &Plan) -> Result<String> {
    let data = DataDir::new(&plan.data);
    for (folder, mode) in [(data.root().to_owned(), 0o755), (data.objects(), 0o700)] {
        private_file::folder(&folder, mode).map_err(|source| cannot_make(&folder, source))?;
    }
    let key = signing_key(&data)?;
    token_secret(&data)?;
    SqliteStore::open(&data.state()).await?.close().await;
    let above = plan.file.parent().unwrap_or(Path::new("/"));
    private_file::folder(above, 0o755).map_err(|source| cannot_make(above, source))?;
    match private_file::create(&plan.file, plan.text.as_bytes(), 0o644) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(refusal(&plan.file)),
        Err(source) => Err(cannot_make(&plan.file, source)),
        Ok(()) => Ok(key.fingerprint()),
    }
}

fn refusal(file: &Path) -> Error {
    let file = file.display();
    Error::Refused(format!("{file} exists, and init overwrites nothing: edit it, or move it away to begin anew (keys and state are kept)"))
}

fn cannot_make(path: &Path, source: io::Error) -> Error {
    Error::Io { what: format!("cannot make {}", path.display()), source }
}

fn decide(answers: &Answers, interfaces: &[Interface]) -> Result<Plan> {
    let own = interfaces.iter().find(|interface| interface.name == answers.interface);
    let present = own.and_then(|own| own.addresses.iter().find(|(address, _)| answers.subnet.is_host(*address)));
    let address = answers.address.or(present.map(|(address, _)| *address)).unwrap_or_else(|| answers.subnet.first_host());
    let file = config::file(answers.config.as_deref(), answers.data.as_deref());
    let text = write(answers, address);
    let config = Config::parse(&Source::new(&file, &*text)).map_err(|error| match error {
        config::Error::Wrong(wrong) => Error::Usage(wrong.told()),
        other => other.into(),
    })?;
    let data = config::data(answers.data.as_deref(), Some(&config));
    let has_address = own.is_some_and(|own| own.addresses.iter().any(|(own, _)| *own == address));
    let next = next_commands(answers, &config, has_address);
    let warning = if own.is_some() { None } else { Some(no_interface(&answers.interface, interfaces)) };
    Ok(Plan { file, text, config, data, next, warning })
}

/// A head may be configured before its network card is there, so this is no error.
fn no_interface(name: &str, interfaces: &[Interface]) -> String {
    let names: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
    let there = if names.is_empty() { "`ip link` shows none".to_owned() } else { format!("there are {}", names.join(", ")) };
    format!("there is no interface `{name}` on this machine yet: {there}")
}

/// The file: what was said, and what one most likely wants to say next as a comment.
fn write(answers: &Answers, address: Ipv4Addr) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut out = String::from("# kickctl's configuration. `kickctl doctor` checks it against this machine.\n");
    let mut line = |text: String| {
        // A write to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    // With --data alone the file lies in the data folder and is found through it.
    if let (Some(_), Some(data)) = (&answers.config, &answers.data) {
        line("\n# State, mirrors, keys.".into());
        line(format!("data = {}", quoted(&data.display().to_string())));
    }
    line("\n# The interface towards the nodes, this machine's address on it, and their network.".into());
    line(format!("interface = {}", quoted(&answers.interface)));
    line(format!("address = \"{address}\""));
    line(format!("subnet = \"{}\"", answers.subnet));
    line(format!("domain = {}", quoted(answers.domain.as_deref().unwrap_or("cluster"))));
    line("\n[dhcp]".into());
    line("# \"server\": kickctl gives the nodes their addresses. \"off\": the site's own server does, see `kickctl export`.".into());
    line(format!("mode = {}", quoted(&answers.dhcp)));
    match &answers.pool {
        Some(pool) => line(format!("pool = {}", quoted(pool))),
        None => {
            line("# Addresses for machines that are no nodes yet, so that they can be discovered; without it they get no answer.".into());
            line(format!("# pool = \"{}\"", suggested_pool(answers.subnet)));
        }
    }
    match answers.gateway {
        Some(gateway) => line(format!("gateway = \"{gateway}\"")),
        None => line("# The nodes' way out, if they have one.\n# gateway = \"ADDRESS\"".into()),
    }
    if !answers.dns.is_empty() {
        let dns = answers.dns.iter().map(|dns| format!("\"{dns}\"")).collect::<Vec<_>>().join(", ");
        line(format!("dns = [{dns}]"));
    }
    out
}

/// The network's last addresses, a fifth of a small one and no more than 50.
fn suggested_pool(subnet: Subnet) -> String {
    let last = u32::from(subnet.broadcast()) - 1;
    let hosts = last - u32::from(subnet.network());
    let first = last - (hosts / 5).min(50).saturating_sub(1);
    format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last))
}

fn next_commands(answers: &Answers, config: &Config, has_address: bool) -> Vec<String> {
    let option =
        |name: &str, value: &Option<PathBuf>| value.as_ref().map(|value| format!(" --{name} {}", shell_word(value))).unwrap_or_default();
    let kickctl = match (&answers.config, &answers.data) {
        (Some(_), _) => format!("kickctl{}", option("config", &answers.config)),
        (None, data) => format!("kickctl{}", option("data", data)),
    };
    let node = (u32::from(config.subnet.network()) + 11).min(u32::from(config.subnet.broadcast()) - 1);
    let mut next = vec![];
    if !has_address {
        next.push(format!("ip address add {}/{} dev {}", config.address, config.subnet.prefix(), config.interface));
        next.push(format!("ip link set {} up", config.interface));
    }
    next.push(format!("{kickctl} doctor"));
    next.push(format!("{kickctl} mirror add debian-13"));
    next.push(format!("{kickctl} mirror sync debian-13"));
    next.push(format!("{kickctl} node add node01 --mac 52:54:00:00:00:01 --address {}", Ipv4Addr::from(node)));
    next.push(format!("{kickctl} profile assign node01 debian-13"));
    if config.dhcp.mode == DhcpMode::Off {
        next.push(format!("{kickctl} export dnsmasq    # or dhcpd: for the site's own DHCP server"));
    }
    next.push(format!("{kickctl} serve"));
    next.push(format!("{kickctl} reinstall node01    # then let it boot over the network"));
    next
}

/// As it can be pasted into a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-+=:@%,".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            config: None,
            data: Some("/srv/head's data".into()),
            interface: "eth1".into(),
            subnet: "10.0.0.0/24".parse().unwrap(),
            address: None,
            dhcp: "server".into(),
            pool: None,
            domain: None,
            gateway: None,
            dns: vec![],
        }
    }

    fn eth1(address: [u8; 4]) -> Vec<Interface> {
        vec![Interface { name: "eth1".into(), up: true, carrier: true, addresses: vec![(address.into(), 24)] }]
    }

    #[test]
    fn the_interfaces_own_address_is_taken_if_it_lies_in_the_network() {
        assert_eq!(decide(&answers(), &eth1([10, 0, 0, 9])).unwrap().config.address, Ipv4Addr::new(10, 0, 0, 9));
        let plan = decide(&answers(), &eth1([192, 0, 2, 9])).unwrap();
        assert_eq!(plan.config.address, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(plan.next[0], "ip address add 10.0.0.1/24 dev eth1");
        let said = Answers { address: Some(Ipv4Addr::new(10, 0, 0, 5)), ..answers() };
        assert_eq!(decide(&said, &eth1([10, 0, 0, 9])).unwrap().config.address, Ipv4Addr::new(10, 0, 0, 5));
    }

    #[test]
    fn an_interface_that_is_not_there_is_told_with_those_that_are() {
        let nope = Answers { interface: "nope".into(), ..answers() };
        let told = decide(&nope, &eth1([10, 0, 0, 9])).unwrap().warning;
        assert_eq!(told.as_deref(), Some("there is no interface `nope` on this machine yet: there are eth1"));
        assert_eq!(decide(&answers(), &eth1([10, 0, 0, 9])).unwrap().warning, None);
    }

    #[test]
    fn what_to_type_next_can_be_pasted() {
        let plan = decide(&answers(), &eth1([10, 0, 0, 1])).unwrap();
        assert_eq!(plan.next[0], r"kickctl --data '/srv/head'\''s data' doctor");
        assert_eq!(plan.file, Path::new("/srv/head's data/kickctl.toml"));
    }

    #[test]
    fn the_suggested_pool_is_one_that_the_file_would_take() {
        for subnet in ["10.0.0.0/24", "10.0.0.0/8", "10.0.0.0/29", "10.0.0.0/30"] {
            let subnet: Subnet = subnet.parse().unwrap();
            let plan = decide(&Answers { subnet, pool: Some(suggested_pool(subnet)), ..answers() }, &[]).unwrap();
            assert!(plan.config.dhcp.pool.is_some_and(|pool| pool.len() <= 50), "{subnet}");
        }
    }

    #[test]
    fn answers_that_do_not_fit_are_told_without_a_file_that_does_not_exist() {
        let told = |answers| decide(&answers, &[]).unwrap_err().to_string();
        let pool = told(Answers { pool: Some("10.0.0.1-10.0.0.9".into()), ..answers() });
        assert!(pool.starts_with("dhcp.pool = \"10.0.0.1-10.0.0.9\": contains the head's address"), "{pool}");
        assert!(told(Answers { dhcp: "proxy".into(), ..answers() }).contains("planned"));
        assert!(
            told(Answers {
                interface: "a\"b\nc = 1".into(),
                subnet: "10.0.0.0/24".parse().unwrap(),
                domain: Some("\"".into()),
                ..answers()
            })
            .contains("interface")
        );
    }

    #[test]
    fn everything_that_was_said_is_in_the_file() {
        let said = Answers {
            config: Some("/etc/x.toml".into()),
            gateway: Some(Ipv4Addr::new(10, 0, 0, 254)),
            dns: vec![Ipv4Addr::new(10, 0, 0, 53)],
            domain: Some("hpc.local".into()),
            dhcp: "off".into(),
            ..answers()
        };
        let plan = decide(&said, &[]).unwrap();
        assert_eq!(plan.data, Path::new("/srv/head's data"));
        assert_eq!((plan.config.dhcp.gateway, &plan.config.dhcp.dns), (said.gateway, &said.dns));
        assert_eq!((plan.config.domain.as_str(), plan.config.dhcp.mode), ("hpc.local", DhcpMode::Off));
        assert!(plan.next.iter().any(|command| command.contains("export dnsmasq")));
    }
}
