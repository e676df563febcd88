//! Node sets: how the command line names many nodes at once, and how lists of nodes are printed short.
//!
//! ```text
//! node07                    one node
//! node[01-64]               zero padding is kept
//! node[1-3,7,09-11]         lists and ranges
//! rack[1-2]n[01-20]         every combination
//! node[01-64],-node05       union by comma; a leading - takes away from what stands before it
//! @gpu,login1               a group
//! all                       every node
//! ```

mod fold;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::name::{GroupName, NodeName};
use super::natural;
use super::node::Node;
pub use fold::fold;

/// Most names one set may spell out.
pub const MAX_NAMES: usize = 100_000;
/// Longest text of a set, in bytes.
const MAX_TEXT: usize = 1 << 20;
/// The word that no node may be called.
pub const ALL: &str = "all";

/// A parsed node set. What groups and `all` stand for is decided when it is expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSet {
    text: String,
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    takes_away: bool,
    term: Term,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    All,
    Group(GroupName),
    Names(Vec<NodeName>),
}

/// Text that is not a node set.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("node set `{text}`, character {position}: {problem}")]
pub struct BadNodeSet {
    text: String,
    position: usize,
    problem: String,
}

/// A set that names a group without members.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("no node is in group `{0}`: `kickctl node set NODES --group {0}` adds some")]
pub struct EmptyGroup(pub GroupName);

impl NodeSet {
    /// The names that the set stands for, given all nodes there are; in natural order, each once. Names are spelt out
    /// whether or not there are such nodes.
    ///
    /// # Errors
    /// [`EmptyGroup`]; a group that is taken away may be empty.
    pub fn expand(&self, nodes: &[Node]) -> Result<Vec<NodeName>, EmptyGroup> {
        let mut chosen: BTreeSet<NodeName> = BTreeSet::new();
        for item in &self.items {
            let names: Vec<NodeName> = match &item.term {
                Term::All => nodes.iter().map(|node| node.name.clone()).collect(),
                Term::Group(group) => nodes.iter().filter(|node| node.groups.contains(group)).map(|node| node.name.clone()).collect(),
                Term::Names(names) => names.clone(),
            };
            match &item.term {
                _ if item.takes_away => {
                    for name in &names {
                        chosen.remove(name);
                    }
                }
                Term::Group(group) if names.is_empty() => return Err(EmptyGroup(group.clone())),
                _ => chosen.extend(names),
            }
        }
        let mut chosen: Vec<NodeName> = chosen.into_iter().collect();
        chosen.sort_by(|a, b| natural::compare(a.as_str(), b.as_str()));
        Ok(chosen)
    }

    /// The name, if that is all that was written: `node07`, and neither `node[07]` nor `node07,-node08`.
    pub fn plain_name(&self) -> Option<&NodeName> {
        match self.items.as_slice() {
            [Item { takes_away: false, term: Term::Names(names) }] => names.first().filter(|name| name.as_str() == self.text.trim()),
            _ => None,
        }
    }

    /// True for the word `all` alone.
    pub fn is_all(&self) -> bool {
        matches!(self.items.as_slice(), [Item { takes_away: false, term: Term::All }])
    }

    /// The names in the order in which they are written, if the set needs no knowledge of what nodes there are and takes
    /// nothing away.
    pub fn spelt_out(&self) -> Option<Vec<NodeName>> {
        let names = self.items.iter().map(|item| match &item.term {
            Term::Names(names) if !item.takes_away => Some(names.clone()),
            _ => None,
        });
        Some(names.collect::<Option<Vec<_>>>()?.concat())
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for NodeSet {
    type Err = BadNodeSet;

    fn from_str(text: &str) -> Result<Self, BadNodeSet> {
        let bad = |(at, problem): (usize, String)| BadNodeSet {
            text: text.chars().take(80).collect(),
            position: text.get(..at).map_or(0, |before| before.chars().count()) + 1,
            problem,
        };
        if text.len() > MAX_TEXT {
            return Err(bad((0, format!("it is longer than {MAX_TEXT} bytes"))));
        }
        let mut items = vec![];
        let mut room = MAX_NAMES;
        for (start, piece) in pieces(text).map_err(bad)? {
            let item = item(start, piece, room).map_err(bad)?;
            if item.takes_away && items.is_empty() {
                return Err(bad((start, "nothing stands before this that `-` could take away from: write `all,-…`".into())));
            }
            if let Term::Names(names) = &item.term {
                room = room.saturating_sub(names.len());
            }
            items.push(item);
        }
        Ok(Self { text: text.to_owned(), items })
    }
}

/// A byte position and what is wrong there.
type Problem = (usize, String);

/// Splits at the commas outside brackets; blanks around a piece do not count.
fn pieces(text: &str) -> Result<Vec<(usize, &str)>, Problem> {
    let mut pieces = vec![];
    let (mut start, mut open) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, open) {
            ('[', None) => open = Some(at),
            ('[', Some(_)) => return Err((at, "a bracket within a bracket".into())),
            (']', None) => return Err((at, "`]` without `[` before it".into())),
            (']', Some(_)) => open = None,
            (',', None) => {
                pieces.push((start, &text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    if let Some(at) = open {
        return Err((at, "`[` without `]` after it".into()));
    }
    pieces.push((start, &text[start..]));
    Ok(pieces.into_iter().map(|(start, piece)| (start + piece.len() - piece.trim_start().len(), piece.trim())).collect())
}

fn item(start: usize, piece: &str, room: usize) -> Result<Item, Problem> {
    let (takes_away, start, piece) = match piece.strip_prefix('-') {
        Some(rest) => (true, start + 1, rest),
        None => (false, start, piece),
    };
    let term = match piece.strip_prefix('@') {
        _ if piece.is_empty() => return Err((start, "a name is missing: write a name, `node[01-64]`, `@group` or `all`".into())),
        Some(group) => Term::Group(group.parse().map_err(|error| (start + 1, format!("{error}")))?),
        None if piece == ALL => Term::All,
        None => Term::Names(spell_out(start, piece, room)?),
    };
    Ok(Item { takes_away, term })
}

/// Spells out one pattern, such as `rack[1-2]n[01-20]`. At most `room` names are made.
fn spell_out(start: usize, pattern: &str, room: usize) -> Result<Vec<NodeName>, Problem> {
    let mut names = vec![String::new()];
    let (mut at, mut rest) = (start, pattern);
    while !rest.is_empty() {
        let (literal, bracket) = rest.split_at(rest.find('[').unwrap_or(rest.len()));
        names.iter_mut().for_each(|name| name.push_str(literal));
        at += literal.len();
        let Some((inside, after)) = bracket.strip_prefix('[').and_then(|bracket| bracket.split_once(']')) else { break };
        let numbers = numbers(at + 1, inside, room)?;
        if names.len().saturating_mul(numbers.len()) > room {
            return Err((at, too_many()));
        }
        names = names.iter().flat_map(|name| numbers.iter().map(move |number| format!("{name}{number}"))).collect();
        // A name is at most 63 long anyway; this keeps a text of many brackets from growing in memory first.
        if names.first().is_some_and(|name| name.len() > 63) {
            return Err((start, format!("`{}…` is longer than a node's name can be, 63 characters", &pattern[..pattern.len().min(20)])));
        }
        at += inside.len() + 2;
        rest = after;
    }
    if names.len() > room {
        return Err((start, too_many()));
    }
    names.into_iter().map(|name| name.parse().map_err(|error| (start, format!("{error}")))).collect()
}

fn too_many() -> String {
    format!("the set spells out more than {MAX_NAMES} names: name a group (`@group`) or `all` instead")
}

/// The numbers in a bracket, as text with their padding.
fn numbers(start: usize, inside: &str, room: usize) -> Result<Vec<String>, Problem> {
    let mut numbers = vec![];
    let mut at = start;
    for part in inside.split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(at, low)?, number(at + part.len() - high.len(), high)?);
        if last < first {
            return Err((at, format!("the range `{part}` runs backwards: write `{high}-{low}`")));
        }
        // `[9-10]` and `[01-100]` are clear, `[1-010]` is not.
        if high.len() < low.len() || (high.starts_with('0') && high.len() != low.len()) {
            return Err((
                at,
                format!("the ends of the range `{part}` are padded differently: write `{first:0width$}-{high}`", width = high.len()),
            ));
        }
        if last - first >= (room.saturating_sub(numbers.len())) as u64 {
            return Err((at, too_many()));
        }
        numbers.extend((first..=last).map(|number| format!("{number:0width$}", width = low.len())));
        at += part.len() + 1;
    }
    Ok(numbers)
}

/// Digits that fit an integer with room to spare.
fn number(at: usize, digits: &str) -> Result<u64, Problem> {
    let allowed = "in brackets stand numbers of up to 18 digits and ranges of them, such as [01-64] or [1-3,7]";
    if (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits.parse().map_err(|_| (at, allowed.into()));
    }
    let shown: String = digits.chars().take(20).collect();
    Err((at, format!("`{shown}` is not a number: {allowed}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spelt(text: &str) -> Vec<String> {
        let set: NodeSet = text.parse().unwrap_or_else(|error| panic!("{error}"));
        set.expand(&[]).unwrap().iter().map(ToString::to_string).collect()
    }

    fn told(text: &str) -> String {
        text.parse::<NodeSet>().unwrap_err().to_string()
    }

    fn names(texts: &[&str]) -> Vec<NodeName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn node(name: &str, groups: &[&str]) -> Node {
        Node {
            name: name.parse().unwrap(),
            macs: vec![],
            address: None,
            arch: Default::default(),
            firmware: None,
            uuid: None,
            serial: None,
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            variables: Default::default(),
        }
    }

    #[test]
    fn sets_spell_out_in_natural_order() {
        assert_eq!(spelt("node07"), ["node07"]);
        assert_eq!(spelt("node[1-3,7,09-11]"), ["node1", "node2", "node3", "node7", "node09", "node10", "node11"]);
        assert_eq!(spelt("r[1-2]n[09-10]x"), ["r1n09x", "r1n10x", "r2n09x", "r2n10x"]);
        assert_eq!(spelt("n[98-101]"), ["n98", "n99", "n100", "n101"]);
        assert_eq!(spelt("n[01-03],-n02, n10"), ["n01", "n03", "n10"]);
        assert_eq!(spelt("[1-2]"), ["1", "2"]);
        assert_eq!(spelt("n1,-n1"), [] as [&str; 0]);
    }

    #[test]
    fn groups_and_all_are_what_the_nodes_say() {
        let nodes = [node("a1", &["gpu"]), node("a2", &["gpu", "old"]), node("b1", &[])];
        let expand = |text: &str| text.parse::<NodeSet>().unwrap().expand(&nodes).map(|names| fold(&names));
        assert_eq!(expand("all").unwrap(), "a[1-2],b1");
        assert_eq!(expand("@gpu,-@old").unwrap(), "a1");
        assert_eq!(expand("all,-@none").unwrap(), "a[1-2],b1");
        assert_eq!(expand("@none").unwrap_err(), EmptyGroup("none".parse().unwrap()));
        assert_eq!("@gpu".parse::<NodeSet>().unwrap().spelt_out(), None);
        let plain = |text: &str| text.parse::<NodeSet>().unwrap().plain_name().map(ToString::to_string);
        assert_eq!(plain("node07").as_deref(), Some("node07"));
        for set in ["node[07]", "node07,-node08", "node07,node08", "all", "@gpu"] {
            assert_eq!(plain(set), None, "{set}");
        }
        assert_eq!("b2,b1".parse::<NodeSet>().unwrap().spelt_out(), Some(names(&["b2", "b1"])));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_is_allowed() {
        assert_eq!(told("node[01-64"), "node set `node[01-64`, character 5: `[` without `]` after it");
        assert_eq!(told("a,,b"), "node set `a,,b`, character 3: a name is missing: write a name, `node[01-64]`, `@group` or `all`");
        assert_eq!(
            told("n,m[1-x]"),
            "node set `n,m[1-x]`, character 7: `x` is not a number: in brackets stand numbers of up to 18 digits and ranges of them, \
             such as [01-64] or [1-3,7]"
        );
        assert!(told("n[9-1]").contains("character 3: the range `9-1` runs backwards: write `1-9`"));
        assert!(told("n[1-010]").contains("padded differently: write `001-010`"));
        assert!(told("n[001-10]").contains("padded differently"));
        assert!(told("-n1").contains("character 1: nothing stands before this"));
        assert!(told("n1,Node2").contains("character 4: `Node2` is not a node name"));
        assert!(told("n[1[2]]").contains("a bracket within a bracket"));
        assert!(told("n]").contains("`]` without `[`"));
        assert!(told("@").contains("is not a group name"));
    }

    #[test]
    fn a_set_cannot_exhaust_memory() {
        for text in ["n[0-100000]", "n[0-999999999999999999]", "n[0-999]x[0-999]", "n[0-99999],m[0-1]", &"[0-1]".repeat(60)] {
            assert!(told(text).contains("more than 100000 names"), "{text}");
        }
        assert!(told(&"[0]".repeat(100_000)).contains("longer than"));
        assert_eq!(spelt("n[0-99999]").len(), MAX_NAMES);
    }

    #[test]
    fn names_fold_back() {
        for (list, folded) in [
            (vec!["node01", "node02", "node03", "node64"], "node[01-03,64]"),
            (vec!["n9", "n10", "n11"], "n[9-11]"),
            (vec!["n09", "n9", "n10"], "n[9,09-10]"),
            (vec!["n099", "n100"], "n[099-100]"),
            (vec!["n99", "n0100"], "n[99,0100]"),
            (vec!["r1n01", "r1n02", "r2n01", "r2n02"], "r[1-2]n[01-02]"),
            (vec!["r1n01", "r1n02", "r2n01"], "r1n[01-02],r2n01"),
            (vec!["login", "node1", "a"], "a,login,node1"),
            (vec![], ""),
        ] {
            assert_eq!(fold(&names(&list)), folded);
        }
    }

    proptest! {
        #[test]
        fn a_folded_set_means_the_same_names(list in proptest::collection::btree_set("([a-b]{1,2}|[0-1]{1,3}|[8-9]{1,3}){1,4}", 1..60)) {
            let list: BTreeSet<NodeName> = list.iter().map(|name| name.parse().unwrap()).collect();
            let folded: NodeSet = fold(&list).parse().unwrap();
            let again: BTreeSet<NodeName> = folded.expand(&[]).unwrap().into_iter().collect();
            prop_assert_eq!(again, list);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-c0-9\\[\\],@ é-]{0,40}", any in ".{0,30}") {
            let _ = text.parse::<NodeSet>().map(|set| set.expand(&[]));
            let _ = any.parse::<NodeSet>();
        }
    }
}
