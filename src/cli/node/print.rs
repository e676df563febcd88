//! How nodes and changes to them are printed.

use serde::Serialize;

use crate::app::{self, Change, Difference, NodeReport};
use crate::cli::context::Context;
use crate::cli::output::{Format, Record};
use crate::cli::text::{assignments, moment};
use crate::domain::name::NodeName;
use crate::domain::node::{Discovered, Node};
use crate::domain::nodeset::fold;

fn joined<T: ToString>(items: impl IntoIterator<Item = T>, by: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(by)
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

impl Record for NodeReport {
    const COLUMNS: &'static [&'static str] = &["name", "mac", "address", "arch", "firmware", "groups", "profile", "state"];

    fn cells(&self) -> Vec<String> {
        let node = &self.node;
        vec![
            node.name.to_string(),
            joined(&node.macs, " "),
            shown(node.address.as_ref()),
            node.arch.to_string(),
            shown(node.firmware.as_ref()),
            joined(&node.groups, " "),
            shown(self.profile.as_ref()),
            self.state.clone(),
        ]
    }

    fn name(&self) -> String {
        self.node.name.to_string()
    }
}

/// One node with all that is known of it.
#[derive(Serialize)]
#[serde(transparent)]
pub struct NodeDetail(pub NodeReport);

impl Record for NodeDetail {
    const COLUMNS: &'static [&'static str] = &[
        "Name",
        "MAC",
        "Address",
        "Architecture",
        "Firmware",
        "UUID",
        "Serial",
        "Groups",
        "Variables",
        "Profile",
        "Snapshot",
        "State",
        "Attempt",
        "Facts",
    ];

    fn cells(&self) -> Vec<String> {
        let (report, node) = (&self.0, &self.0.node);
        let attempt = report.attempt.as_ref().map(|attempt| {
            let why = attempt.why.as_ref().map(|why| format!(": {}", crate::cli::text::harmless(why))).unwrap_or_default();
            format!("{} since {}{why}", attempt.number, moment(attempt.since))
        });
        let facts = report.facts.iter().flat_map(|facts| facts.iter()).map(|(key, value)| format!("{key} = {value}"));
        vec![
            node.name.to_string(),
            joined(&node.macs, "\n"),
            shown(node.address.as_ref()),
            node.arch.to_string(),
            shown(node.firmware.as_ref()),
            shown(node.uuid.as_ref()),
            node.serial.clone().unwrap_or_default(),
            joined(&node.groups, " "),
            assignments(&node.variables),
            shown(report.profile.as_ref()),
            shown(report.snapshot.as_ref()),
            report.state.clone(),
            attempt.unwrap_or_default(),
            joined(facts, "\n"),
        ]
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

impl Record for Discovered {
    const COLUMNS: &'static [&'static str] = &["mac", "address", "arch", "firmware", "product", "serial", "first seen", "last seen"];

    fn cells(&self) -> Vec<String> {
        let fact = |key| self.facts.get(key).unwrap_or_default().to_owned();
        vec![
            self.mac.to_string(),
            shown(self.address.as_ref()),
            self.arch.to_string(),
            self.firmware.to_string(),
            fact("product"),
            fact("serial"),
            moment(self.first_seen),
            moment(self.last_seen),
        ]
    }

    fn name(&self) -> String {
        self.mac.to_string()
    }
}

/// A change as programs read it.
#[derive(Serialize)]
struct ChangeRecord {
    change: &'static str,
    node: NodeName,
    fields: Vec<Difference>,
}

impl Record for ChangeRecord {
    const COLUMNS: &'static [&'static str] = &["change", "node"];

    fn cells(&self) -> Vec<String> {
        vec![self.change.to_owned(), self.node.to_string()]
    }

    fn name(&self) -> String {
        self.node.to_string()
    }
}

const ADDED: &str = "added";
const CHANGED: &str = "changed";
const UNCHANGED: &str = "unchanged";
const REMOVED: &str = "removed";

/// Prints changes: a dry run line by line, done work in one line for each kind.
pub fn changes(context: &Context, changes: &[Change], dry_run: bool) -> app::Result<()> {
    let record = |change: &Change| {
        let kind = match change {
            Change::Added(_) => ADDED,
            Change::Changed { .. } => CHANGED,
            Change::Unchanged(_) => UNCHANGED,
        };
        ChangeRecord { change: kind, node: change.name().clone(), fields: change.differences() }
    };
    print(context, &changes.iter().map(record).collect::<Vec<_>>(), dry_run)
}

/// Prints removals.
pub fn removals(context: &Context, nodes: &[Node], dry_run: bool) -> app::Result<()> {
    let record = |node: &Node| ChangeRecord { change: REMOVED, node: node.name.clone(), fields: vec![] };
    print(context, &nodes.iter().map(record).collect::<Vec<_>>(), dry_run)
}

fn print(context: &Context, records: &[ChangeRecord], dry_run: bool) -> app::Result<()> {
    if context.globals.output != Format::Table {
        return context.list(records);
    }
    if records.is_empty() {
        context.note("no nodes were named: nothing was changed");
        return Ok(());
    }
    if dry_run {
        context.print(&records.iter().map(difference).collect::<String>())?;
        context.note("dry run: nothing was changed");
        return Ok(());
    }
    for kind in [ADDED, CHANGED, REMOVED, UNCHANGED] {
        let nodes = fold(records.iter().filter(|record| record.change == kind).map(|record| &record.node));
        if !nodes.is_empty() && !context.globals.quiet {
            context.print(&format!("{kind} {nodes}\n"))?;
        }
    }
    Ok(())
}

/// `+ node07 mac …`, `~ node07 address 10.0.0.7 -> 10.0.0.8`, `= node07`, `- node07`.
fn difference(record: &ChangeRecord) -> String {
    let node = &record.node;
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
    let field = |one: &Difference| format!("~ {node} {} {} -> {}\n", one.field, value(&one.before), value(&one.after));
    match record.change {
        ADDED => format!("+ {node}{}\n", joined(record.fields.iter().map(|one| format!(" {} {}", one.field, value(&one.after))), ",")),
        CHANGED => record.fields.iter().map(field).collect(),
        REMOVED => format!("- {node}\n"),
        _ => format!("= {node}\n"),
    }
}
