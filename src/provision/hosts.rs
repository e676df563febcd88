//! All nodes with a fixed address, as every node's `/etc/hosts` has them.

use std::net::Ipv4Addr;

use serde::Serialize;

/// A node in `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its name without the domain.
    pub name: String,
}

/// All of them. The lines are made once for all nodes: thousands of nodes, each of which gets thousands of lines, would be more work than everything else
/// in their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    all: Vec<Host>,
    /// One line each, in the order of `all`, each with its end.
    lines: String,
}

impl Hosts {
    /// These nodes, in a domain that may be empty.
    pub fn new(domain: &str, all: Vec<Host>) -> Self {
        let lines = all.iter().map(|host| format!("{}\t{}\n", host.address, names(&host.name, domain))).collect();
        Self { all, lines }
    }

    /// The first `most` of them.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        Self { all: self.all.iter().take(most).cloned().collect(), lines: self.lines.split_inclusive('\n').take(most).collect() }
    }

    /// All but `node`, whose own line is not like the others.
    pub fn others(&self, node: &str) -> impl Iterator<Item = &Host> {
        self.all.iter().filter(move |host| host.name != node)
    }

    /// The lines of all but `node`, each with its end.
    pub fn lines_of_others(&self, node: &str) -> String {
        let named = self.all.iter().zip(self.lines.split_inclusive('\n'));
        named.filter(|(host, _)| host.name != node).map(|(_, line)| line).collect()
    }
}

/// A node's name with its domain, if there is one.
pub fn fqdn(node: &str, domain: &str) -> String {
    if domain.is_empty() { node.to_owned() } else { format!("{node}.{domain}") }
}

/// A node's names as `/etc/hosts` has them: with the domain first.
pub fn names(node: &str, domain: &str) -> String {
    if domain.is_empty() { node.to_owned() } else { format!("{} {node}", fqdn(node, domain)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(domain: &str) -> Hosts {
        let host = |last: u8| Host { address: Ipv4Addr::new(10, 0, 0, last), name: format!("node0{last}") };
        Hosts::new(domain, (1..=3).map(host).collect())
    }

    #[test]
    fn every_node_has_the_lines_of_the_others() {
        let all = hosts("");
        assert_eq!(all.lines_of_others("node01"), "10.0.0.2\tnode02\n10.0.0.3\tnode03\n");
        assert_eq!(all.lines_of_others("node02"), "10.0.0.1\tnode01\n10.0.0.3\tnode03\n");
        assert_eq!(all.lines_of_others("node03"), "10.0.0.1\tnode01\n10.0.0.2\tnode02\n");
        assert_eq!(all.lines_of_others("node04").lines().count(), 3);
        assert_eq!(all.others("node02").map(|host| host.name.as_str()).collect::<Vec<_>>(), ["node01", "node03"]);
        assert_eq!(Hosts::default().lines_of_others("node01"), "");
    }

    #[test]
    fn a_domain_comes_with_the_first_name_and_some_are_as_good_as_all() {
        let some = hosts("cluster.test").first(2);
        assert_eq!(some.lines_of_others("node01"), "10.0.0.2\tnode02.cluster.test node02\n");
        assert_eq!(some, hosts("cluster.test").first(2).first(9));
    }
}
