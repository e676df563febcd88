//! The advisories of Debian archives. Security suites name none: what they offer and the baseline lacks is one, for each source package; what it is
//! about stands in the packages' own changelogs, and in a tracker's file where the definition names one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use time::OffsetDateTime;

use super::changelogs::Changelogs;
use super::contents;
use crate::domain::advisory::{Advisory, Fix, Severity};
use crate::domain::mirror::{DebianMirror, DebianSource, PackageFormat, Snapshot, is_security};
use crate::mirror::Result;
use crate::mirror::advisories::Baseline;
use crate::mirror::contents::{Held, unread};
use crate::mirror::layout::MirrorDir;
use crate::repo::deb::changelog::Entry;
use crate::repo::deb::release::Release;
use crate::repo::deb::tracker::{self, Notice};
use crate::repo::deb::version::compare;

/// One suite of upstream, as the snapshot keeps it.
struct Suite<'a> {
    name: &'a str,
    source: &'a DebianSource,
    brings_updates: bool,
    codename: String,
    packages: Vec<Held>,
}

/// What was fixed in one source package.
struct Found<'a> {
    suite: &'a Suite<'a>,
    fixes: Vec<Fix>,
    /// The lowest version that lacks the fix.
    before: String,
}

/// The advisories of a snapshot.
///
/// # Errors
/// [`crate::mirror::Error::Unread`].
pub fn of(
    dir: &MirrorDir,
    definition: &DebianMirror,
    snapshot: &Snapshot,
    held: &[Held],
    baseline: Option<&Baseline>,
) -> Result<Vec<Advisory>> {
    let suites = suites(dir, definition, snapshot, baseline.is_none())?;
    let base = suites.iter().filter(|suite| !suite.brings_updates).flat_map(|suite| &suite.packages);
    let base = baseline.is_none().then(|| Baseline::of_snapshot(PackageFormat::Deb, &base.cloned().collect::<Vec<_>>()));
    let Some(baseline) = baseline.or(base.as_ref()) else { return Ok(Vec::new()) };
    let mut offered: HashMap<(&str, &str), &str> = HashMap::new();
    for Held { package, .. } in held {
        let best = offered.entry((package.name.as_str(), package.arch.as_str())).or_insert(package.version.as_str());
        if compare(&package.version, best).is_gt() {
            *best = &package.version;
        }
    }
    let mut found: BTreeMap<(&str, &str, &str), Found<'_>> = BTreeMap::new();
    for suite in suites.iter().filter(|suite| suite.brings_updates) {
        for item in &suite.packages {
            let fix = fix(item, &offered, baseline);
            let Some((fix, before)) = fix else { continue };
            let entry = found.entry((suite.name, item.source.as_str(), item.source_version.as_str()));
            let entry = entry.or_insert_with(|| Found { suite, fixes: Vec::new(), before: before.clone() });
            if compare(&before, &entry.before).is_lt() {
                entry.before = before;
            }
            entry.fixes.push(fix);
        }
    }
    let files = files_by_source(held);
    let changelogs = Changelogs::of(dir, &snapshot.id);
    let notices = notices(&suites, found.keys().map(|(_, source, _)| *source).collect())?;
    let advisory = |((_, source, version), found): ((&str, &str, &str), Found<'_>)| {
        let entries = files.get(source).map(|files| changelogs.of_source(files, version)).unwrap_or_default();
        advisory(source, version, found, entries, &notices)
    };
    Ok(found.into_iter().map(advisory).collect())
}

/// What the baseline lacks of one package of a suite with updates, if the mirror has it (or something newer), and the version that it has.
fn fix(item: &Held, offered: &HashMap<(&str, &str), &str>, baseline: &Baseline) -> Option<(Fix, String)> {
    let package = &item.package;
    let there = offered.get(&(package.name.as_str(), package.arch.as_str()))?;
    let before = baseline.version(&package.name, &package.arch, None)?;
    let is_fix = compare(there, &package.version).is_ge() && compare(before, &package.version).is_lt();
    let fix =
        || Fix { name: package.name.clone(), arch: package.arch.clone(), before: Some(before.to_owned()), after: package.version.clone() };
    is_fix.then(|| (fix(), before.to_owned()))
}

/// Upstream's suites as the snapshot keeps them; those without updates only where they are asked for, since they are large.
fn suites<'a>(dir: &MirrorDir, definition: &'a DebianMirror, snapshot: &Snapshot, with_base: bool) -> Result<Vec<Suite<'a>>> {
    let named = definition.sources.iter().flat_map(|source| source.suites.iter().map(move |suite| (source, suite.as_str())));
    let mut suites = Vec::new();
    for ((source, name), brings_updates) in named.zip(definition.update_suites()) {
        let number = snapshot.upstream.iter().position(|state| state.url == source.url && state.suite == name);
        let Some(number) = number.filter(|_| brings_updates || with_base) else { continue };
        let folder = dir.upstream(&snapshot.id).join(number.to_string());
        let files = walkdir::WalkDir::new(&folder).into_iter().flatten().map(walkdir::DirEntry::into_path);
        let mut packages = Vec::new();
        for index in contents::forms(files) {
            contents::add(&index, name, &mut packages)?;
        }
        suites.push(Suite { name, source, brings_updates, codename: codename(&folder.join("dists").join(name), name), packages });
    }
    Ok(suites)
}

/// What files of advisories call a suite: `bookworm`, whose suite with updates is `bookworm-security`.
fn codename(dists: &Path, suite: &str) -> String {
    let text = ["InRelease", "Release"].iter().find_map(|name| std::fs::read_to_string(dists.join(name)).ok()).unwrap_or_default();
    let release = Release::parse(super::verify::signed_part(&text)).map(|release| release.codename).unwrap_or_default();
    let name = if release.is_empty() { suite } else { &release };
    name.split(['-', '/']).next().unwrap_or_default().to_owned()
}

/// The packages of each source package, the smallest first: any of them has the changelog, and some are large.
fn files_by_source(held: &[Held]) -> HashMap<&str, Vec<&Held>> {
    let mut files: HashMap<&str, Vec<&Held>> = HashMap::new();
    for item in held {
        files.entry(item.source.as_str()).or_default().push(item);
    }
    files.values_mut().for_each(|files| files.sort_by_key(|item| item.file.size));
    files
}

/// What files of advisories say of these source packages, by code name.
fn notices(suites: &[Suite<'_>], sources: HashSet<&str>) -> Result<HashMap<String, Vec<Notice>>> {
    let mut notices: HashMap<String, Vec<Notice>> = HashMap::new();
    let mut read = HashSet::new();
    for suite in suites {
        let Some(path) = suite.source.advisories.as_ref().filter(|path| read.insert(((*path).clone(), suite.codename.clone()))) else {
            continue;
        };
        let file = File::open(path).map_err(|error| unread(path, error))?;
        let found =
            tracker::read(BufReader::with_capacity(1 << 16, file), &sources, &suite.codename).map_err(|problem| unread(path, problem))?;
        notices.entry(suite.codename.clone()).or_default().extend(found);
    }
    Ok(notices)
}

fn advisory(source: &str, version: &str, found: Found<'_>, entries: Vec<Entry>, notices: &HashMap<String, Vec<Notice>>) -> Advisory {
    let Found { suite, fixes: mut packages, before } = found;
    let is_new = |entry: &str| compare(entry, &before).is_gt() && compare(entry, version).is_le();
    let mut advisory = Advisory {
        id: format!("{source} {version}"),
        kind: if is_security(suite.name) || suite.source.updates == Some(true) { "security" } else { "bugfix" }.to_owned(),
        severity: Severity::None,
        rating: String::new(),
        title: String::new(),
        issued: None,
        source: suite.name.to_owned(),
        cves: Vec::new(),
        // The kernel that runs is the one that was booted.
        reboot: packages.iter().any(|fix| fix.name.starts_with("linux-image-")),
        packages: Vec::new(),
    };
    let rate = |advisory: &mut Advisory, word: &str| {
        if Severity::of(word) < advisory.severity {
            advisory.severity = Severity::of(word);
            word.clone_into(&mut advisory.rating);
        }
    };
    for entry in entries.iter().filter(|entry| is_new(&entry.version)) {
        rate(&mut advisory, &entry.urgency);
        advisory.cves.extend(entry.cves.iter().cloned());
    }
    let told = notices.get(&suite.codename).into_iter().flatten().filter(|notice| notice.source == source && is_new(&notice.fixed));
    for notice in told {
        rate(&mut advisory, &notice.urgency);
        advisory.cves.extend(notice.cves.iter().cloned());
        if !notice.id.is_empty() && notice.fixed == version {
            advisory.id.clone_from(&notice.id);
            advisory.title.clone_from(&notice.title);
            advisory.issued = notice.issued.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        }
    }
    advisory.cves.sort();
    advisory.cves.dedup();
    packages.sort();
    packages.dedup();
    advisory.packages = packages;
    advisory
}
