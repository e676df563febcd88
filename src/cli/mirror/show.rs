//! A mirror, as a line of `mirror list` and in full.

use serde::Serialize;

use crate::app::list_mirrors::MirrorReport;
use crate::cli::output::Record;
use crate::cli::progress::size;
use crate::cli::text::moment;
use crate::domain::mirror::{DebianSource, Filter, Repository, RpmFilter, Upstream};

/// Items of a filter's list that are shown; the rest is counted.
const SHOWN: usize = 6;

impl Record for MirrorReport {
    const COLUMNS: &'static [&'static str] = &["mirror", "published", "made", "packages", "udebs", "size", "snapshots", "state", "path"];

    fn cells(&self) -> Vec<String> {
        let details = self.published.as_ref().map(|published| &published.details);
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        vec![
            self.name.to_string(),
            self.published.as_ref().map(|published| published.snapshot.to_string()).unwrap_or_default(),
            details.map(|details| moment(details.made)).unwrap_or_default(),
            number(details.map(|details| details.packages)),
            number(details.map(|details| details.udebs)),
            details.map(|details| size(details.bytes)).unwrap_or_default(),
            self.snapshots.to_string(),
            if self.held { "held" } else { "" }.to_owned(),
            self.published.as_ref().map(|published| published.path.display().to_string()).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// One mirror with what it copies.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Detail(pub MirrorReport);

impl Record for Detail {
    const COLUMNS: &'static [&'static str] = &[
        "mirror",
        "sources",
        "filter",
        "local",
        "published",
        "made",
        "packages",
        "udebs",
        "size",
        "snapshots",
        "state",
        "path",
        "refresh",
    ];

    fn cells(&self) -> Vec<String> {
        let definition = &self.0.definition;
        let lines = |items: Vec<String>| items.join("\n");
        let mut cells = self.0.cells();
        let (sources, filter) = match &definition.upstream {
            Upstream::Debian(debian) => (debian.sources.iter().map(source).collect(), debian.filter.as_ref().map(filter)),
            Upstream::Medium(medium) => (vec![medium.image.display().to_string()], None),
            Upstream::Directory(directory) => (vec![directory.path.display().to_string()], None),
            Upstream::Rpm(rpm) => (rpm.repositories.iter().map(repository).collect(), rpm.filter.as_ref().map(rpm_filter)),
        };
        let copies = [
            lines(sources),
            filter.unwrap_or_else(|| "none: all packages".to_owned()),
            lines(definition.local.iter().map(|folder| folder.display().to_string()).collect()),
        ];
        cells.splice(1..1, copies);
        let last = self.0.refresh.as_ref().map(|last| format!("last {}, {}", moment(last.at), last.result));
        cells.push([definition.refresh.map(|schedule| schedule.to_string()), last].into_iter().flatten().collect::<Vec<_>>().join("; "));
        cells
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

fn source(source: &DebianSource) -> String {
    format!("{}  {}  {}", source.url, source.suites.join(" "), source.components.join(" "))
}

fn repository(repository: &Repository) -> String {
    format!("{}  {}", repository.name, repository.addresses.named())
}

fn filter(filter: &Filter) -> String {
    let lists =
        [("priorities", &filter.priorities), ("sections", &filter.sections), ("names", &filter.names), ("without", &filter.exclude)];
    rules(&lists, None, filter.dependencies, filter.recommends)
}

fn rpm_filter(filter: &RpmFilter) -> String {
    let lists = [("architectures", &filter.architectures), ("names", &filter.names), ("without", &filter.exclude)];
    let newest = filter.newest.map(|number| format!("the newest {number} of each"));
    rules(&lists, newest, filter.dependencies, filter.recommends)
}

fn rules(lists: &[(&str, &Vec<String>)], newest: Option<String>, dependencies: bool, recommends: bool) -> String {
    let lists = lists.iter().filter(|(_, items)| !items.is_empty()).map(|(title, items)| format!("{title} {}", short(items)));
    let follows = match (dependencies, recommends) {
        (_, true) => "with dependencies and recommended packages",
        (true, false) => "with dependencies",
        (false, false) => "without dependencies",
    };
    lists.chain(newest).chain([follows.to_owned()]).collect::<Vec<_>>().join("; ")
}

fn short(items: &[String]) -> String {
    let shown = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
