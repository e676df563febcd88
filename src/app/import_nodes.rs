//! Lists of nodes: reading them from other people's files, and writing them as CSV.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use super::plan_nodes::Plan;
use super::set_nodes::{blank, setting};
use super::{Error, Result};
use crate::domain::mac::MacAddr;
use crate::domain::name::NodeName;
use crate::domain::node::Node;
use crate::domain::nodeset::MAX_NAMES;
use crate::domain::variables::Variables;
use crate::store::{self, Store};

/// The columns that a CSV file may have; `name` must be there.
pub const COLUMNS: [&str; 9] = ["name", "mac", "address", "arch", "firmware", "uuid", "serial", "groups", "variables"];

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// Comma-separated with a header line that names [`COLUMNS`]; several MAC addresses or groups are separated by blanks or `;`.
    Csv,
    /// `name ip mac [mac…]`, separated by blanks; `-` for no address.
    Blanks,
}

impl ListFormat {
    /// Guesses: CSV if the first line that is no comment has a comma.
    pub fn guess(text: &str) -> Self {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        if first.is_some_and(|line| line.contains(',')) { Self::Csv } else { Self::Blanks }
    }
}

/// Plans to add or change the nodes of a list, all or nothing. Of a node that exists, only what the list has columns for
/// changes; an empty cell empties the field.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Refused`] name `source` and the line.
pub async fn import_nodes(store: &dyn Store, source: &str, text: &str, format: ListFormat) -> Result<Plan> {
    let held: BTreeMap<NodeName, Node> = store.nodes().await?.into_iter().map(|node| (node.name.clone(), node)).collect();
    let place = |line: usize, told: &dyn Display| format!("{source}, line {line}: {told}");
    let rows = rows(text, format).map_err(|(line, told)| Error::Usage(place(line, &told)))?;
    let mut lines: BTreeMap<NodeName, usize> = BTreeMap::new();
    let mut wanted = vec![];
    for (line, cells) in rows {
        let node = node(&cells, &held).map_err(|told| Error::Usage(place(line, &told)))?;
        if let Some(before) = lines.insert(node.name.clone(), line) {
            return Err(Error::Refused(place(line, &format!("{} is already on line {before}", node.name))));
        }
        wanted.push(node);
    }
    // Judged together, for two nodes may swap their addresses; a refusal then names the line of whom it is about.
    match Plan::new(store, wanted.clone()).await {
        Err(Error::Store(store::Error::Taken { what, value, claimant, owner })) => {
            let line = lines.get(&claimant).copied().unwrap_or_default();
            let there = lines.get(&owner).map_or_else(String::new, |line| format!(" (line {line})"));
            Err(Error::Refused(place(line, &format!("{what} `{value}` of {claimant} already belongs to {owner}{there}"))))
        }
        Err(Error::Usage(told)) => {
            // The message begins with the name.
            let line = lines.iter().find(|(name, _)| told.split(' ').next() == Some(name.as_str())).map_or(0, |(_, line)| *line);
            Err(Error::Usage(if line == 0 { format!("{source}: {told}") } else { place(line, &told) }))
        }
        other => other,
    }
}

/// A line of the list: its cells by their columns.
type Cells = Vec<(&'static str, String)>;

fn rows(text: &str, format: ListFormat) -> std::result::Result<Vec<(usize, Cells)>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let header = match format {
        ListFormat::Blanks => vec![],
        ListFormat::Csv => {
            let (line, header) = lines.next().ok_or((1, "the list is empty: its first line names the columns".to_owned()))?;
            columns(header).map_err(|told| (line, told))?
        }
    };
    let mut rows = vec![];
    for (line, text) in lines {
        if rows.len() == MAX_NAMES {
            return Err((line, format!("the list has more than {MAX_NAMES} nodes")));
        }
        let cells = match format {
            ListFormat::Blanks => blanks(text),
            ListFormat::Csv => csv(text).and_then(|cells| named(&header, cells)),
        };
        rows.push((line, cells.map_err(|told| (line, told))?));
    }
    Ok(rows)
}

fn columns(header: &str) -> std::result::Result<Vec<&'static str>, String> {
    let mut columns: Vec<&'static str> = vec![];
    for cell in csv(header)? {
        let cell = cell.trim().to_ascii_lowercase();
        let column = COLUMNS.into_iter().find(|column| *column == cell);
        let column = column.ok_or_else(|| format!("`{cell}` is no column: allowed are {}", COLUMNS.join(", ")))?;
        if columns.contains(&column) {
            return Err(format!("the column `{column}` is there twice"));
        }
        columns.push(column);
    }
    if columns.contains(&"name") { Ok(columns) } else { Err("the column `name` is missing in the first line".into()) }
}

fn named(header: &[&'static str], cells: Vec<String>) -> std::result::Result<Cells, String> {
    if header.len() != cells.len() {
        return Err(format!("there are {} cells, and {} columns in the first line", cells.len(), header.len()));
    }
    Ok(header.iter().copied().zip(cells).collect())
}

fn blanks(text: &str) -> std::result::Result<Cells, String> {
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, address, macs @ ..] = words.as_slice() else { return Err("write `name ip mac`, with `-` for no address".into()) };
    if macs.is_empty() {
        return Err(format!("the MAC address of {name} is missing: write `name ip mac`, with `-` for no address"));
    }
    let address = if *address == "-" { "" } else { address };
    Ok(vec![("name", (*name).to_owned()), ("address", address.to_owned()), ("mac", macs.join(" "))])
}

/// One line of CSV (RFC 4180 section 2, without line breaks in cells).
fn csv(line: &str) -> std::result::Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            ('"', true) => quoted = false,
            ('"', false) if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            (',', false) => cells.push(String::new()),
            _ => cell.push(c),
        }
    }
    if quoted { Err("a quotation mark is not closed on this line".into()) } else { Ok(cells) }
}

fn node(cells: &Cells, held: &BTreeMap<NodeName, Node>) -> std::result::Result<Node, String> {
    let cell = |wanted: &str| cells.iter().find(|(column, _)| *column == wanted).map(|(_, cell)| cell.trim());
    let name: NodeName = read(cell("name").unwrap_or_default())?;
    let mut node = held.get(&name).cloned().unwrap_or_else(|| blank(name));
    if let Some(cell) = cell("mac") {
        node.macs = words(cell).map(read::<MacAddr>).collect::<std::result::Result<_, _>>()?;
    }
    if let Some(cell) = cell("address") {
        node.address = maybe(cell).map_err(|_| format!("`{cell}` is not an IPv4 address, such as 10.0.0.7"))?;
    }
    if let Some(cell) = cell("arch") {
        node.arch = maybe(cell)?.unwrap_or_default();
    }
    if let Some(cell) = cell("firmware") {
        node.firmware = maybe(cell)?;
    }
    if let Some(cell) = cell("uuid") {
        node.uuid = maybe(cell)?;
    }
    if let Some(cell) = cell("serial") {
        node.serial = (!cell.is_empty()).then(|| cell.to_owned());
    }
    if let Some(cell) = cell("groups") {
        node.groups = words(cell).map(read).collect::<std::result::Result<_, _>>()?;
    }
    if let Some(cell) = cell("variables") {
        node.variables = variables(cell)?;
    }
    Ok(node)
}

/// A cell as [`export_nodes`] writes it, a JSON object, or as people do: `disk.pick=smallest;swap=false`.
fn variables(cell: &str) -> std::result::Result<Variables, String> {
    const EXAMPLE: &str = r#"write disk.pick=smallest;swap=false, or a JSON object such as "{""swap"":false}""#;
    if cell.starts_with(['{', '[']) {
        return serde_json::from_str(cell).map_err(|error| format!("the variables are no JSON object: {error}: {EXAMPLE}"));
    }
    let mut variables = Variables::default();
    for pair in cell.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let wrong = |told: &dyn Display| format!("`{pair}` sets no variable: {told}: {EXAMPLE}");
        let (path, value) = setting(pair).map_err(|told| wrong(&told))?;
        path.put(&mut variables, &value).map_err(|_| wrong(&"what it lies below has a value itself"))?;
    }
    Ok(variables)
}

fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split([';', ' ', '\t']).filter(|word| !word.is_empty())
}

fn read<T: FromStr<Err: Display>>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn maybe<T: FromStr<Err: Display>>(text: &str) -> std::result::Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

/// Writes nodes as CSV that [`import_nodes`] reads back to the same.
pub fn export_nodes(nodes: &[Node]) -> String {
    let line = |node: &Node| {
        let list = |items: Vec<String>| items.join(" ");
        let variables = if node.variables.0.is_empty() { None } else { serde_json::to_string(&node.variables).ok() };
        let cells = [
            node.name.to_string(),
            list(node.macs.iter().map(ToString::to_string).collect()),
            node.address.map_or_else(String::new, |address| address.to_string()),
            node.arch.to_string(),
            node.firmware.map_or_else(String::new, |firmware| firmware.to_string()),
            node.uuid.as_ref().map_or_else(String::new, ToString::to_string),
            node.serial.clone().unwrap_or_default(),
            list(node.groups.iter().map(ToString::to_string).collect()),
            variables.unwrap_or_default(),
        ];
        cells.map(|cell| quote(&cell)).join(",") + "\n"
    };
    COLUMNS.join(",") + "\n" + &nodes.iter().map(line).collect::<String>()
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '#']) || cell != cell.trim() { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{fresh, node};
    use crate::app::plan_nodes::Change;
    use proptest::prelude::*;

    async fn told(store: &dyn Store, text: &str) -> String {
        import_nodes(store, "list", text, ListFormat::guess(text)).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_is_exported_is_imported_as_the_same() {
        let (_folder, store) = fresh().await;
        let mut full = node("a", 1);
        full.serial = Some("S,\"1\"".into());
        full.groups = ["r1".parse().unwrap(), "gpu".parse().unwrap()].into();
        full.macs.push(MacAddr::new([2, 0, 0, 0, 9, 9]));
        full.variables.0.insert("disk".into(), serde_json::json!({"never": ["sda", "sdb"]}));
        let nodes = [full, node("b", 2)];
        let text = export_nodes(&nodes);
        let plan = import_nodes(&store, "-", &text, ListFormat::Csv).await.unwrap();
        assert_eq!(plan.changes, nodes.map(Change::Added));
        plan.apply(&store).await.unwrap();
        let again = import_nodes(&store, "-", &text, ListFormat::Csv).await.unwrap();
        assert!(again.changes.iter().all(|change| matches!(change, Change::Unchanged(_))), "{again:?}");
    }

    #[tokio::test]
    async fn a_list_changes_only_what_it_has_columns_for() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[Node { serial: Some("S".into()), ..node("a", 1) }, node("b", 2)]).await.unwrap();
        let text = "# swapped\r\nName, address\r\na,10.0.0.2\r\nb,10.0.0.1\r\n";
        import_nodes(&store, "-", text, ListFormat::guess(text)).await.unwrap().apply(&store).await.unwrap();
        let nodes = store.nodes().await.unwrap();
        assert_eq!((nodes[0].address, nodes[0].serial.as_deref(), nodes[0].macs.len()), (node("x", 2).address, Some("S"), 1));
        let text = "a 10.0.0.9 02-00-00-00-00-01 02:00:00:00:00:03 # two ports\nc - 0200.0000.0004\n";
        let plan = import_nodes(&store, "-", text, ListFormat::guess(text)).await.unwrap();
        assert!(matches!(&plan.changes[..], [Change::Changed { after, .. }, Change::Added(_)] if after.macs.len() == 2));
    }

    #[tokio::test]
    async fn variables_are_pairs_or_an_object() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("a", 1), node("b", 2)]).await.unwrap();
        let text = "name,variables\na,disk.pick=smallest; recommends=false;\nb,\"{\"\"disk\"\":{\"\"pick\"\":\"\"smallest\"\"},\"\"recommends\"\":false}\"\n";
        import_nodes(&store, "-", text, ListFormat::guess(text)).await.unwrap().apply(&store).await.unwrap();
        for node in store.nodes().await.unwrap() {
            assert_eq!(serde_json::json!(node.variables), serde_json::json!({"disk": {"pick": "smallest"}, "recommends": false}));
        }
    }

    #[tokio::test]
    async fn a_mistake_is_told_with_its_line_and_nothing_is_planned() {
        let (_folder, store) = fresh().await;
        store.add_nodes(&[node("a", 1)]).await.unwrap();
        for (text, expected) in [
            ("b 10.0.0.2 02:00:00:00:00:02\nc 10.0.0.3 02:00:00:00:00:0x\n", "list, line 2: `02:00:00:00:00:0x` is not a MAC address"),
            ("b 10.0.0.2\n", "list, line 1: the MAC address of b is missing"),
            ("b 10.0.0.2 02:00:00:00:00:01", "list, line 1: MAC address `02:00:00:00:00:01` of b already belongs to a"),
            (
                "\nb - 02:00:00:00:00:02\nc - 02:00:00:00:00:02",
                "line 3: MAC address `02:00:00:00:00:02` of c already belongs to b (line 2)",
            ),
            ("b - 02:00:00:00:00:02\nb - 02:00:00:00:00:03", "list, line 2: b is already on line 1"),
            ("b 10.0.0.300 02:00:00:00:00:02", "`10.0.0.300` is not an IPv4 address"),
            ("name,ip\nb,10.0.0.2\n", "list, line 1: `ip` is no column: allowed are name, mac, address"),
            ("mac,address\n", "list, line 1: the column `name` is missing"),
            ("name,name\n", "is there twice"),
            ("name,mac\nb\n", "list, line 2: there are 1 cells, and 2 columns"),
            ("name,mac\nb,\"02\n", "list, line 2: a quotation mark is not closed"),
            ("name,mac\nb,\n", "list, line 2: b has no MAC address"),
            ("name,variables\na,[1]\n", "list, line 2: the variables are no JSON object"),
            ("name,variables\na,swap\n", "list, line 2: `swap` sets no variable: write KEY=VALUE"),
            ("name,variables\na,swap=1;swap.x=2\n", "`swap.x=2` sets no variable: what it lies below has a value itself"),
            ("name,variables\na,a b=1\n", "or a JSON object such as \"{\"\"swap\"\":false}\""),
        ] {
            let told = told(&store, text).await;
            assert!(told.contains(expected), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(text in "[a-b0:,;\"# \\n\\r-]{0,60}", any in ".{0,60}") {
            for text in [text, any] {
                let _ = rows(&text, ListFormat::guess(&text));
                let _ = csv(&text);
            }
        }

        #[test]
        fn a_quoted_cell_reads_back(cells in proptest::collection::vec("[a,\"# ]{0,8}", 1..5)) {
            let line = cells.iter().map(|cell| quote(cell)).collect::<Vec<_>>().join(",");
            prop_assert_eq!(csv(&line).unwrap(), cells);
        }
    }
}
