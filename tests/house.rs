//! Who may import whom: the table of DESIGN.md, held against every file under `src/`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ALL: &[&str] = &[
    "domain",
    "config",
    "repo",
    "store",
    "sys",
    "provision",
    "net",
    "mirror",
    "image",
    "app",
    "reconcile",
    "web",
    "daemon",
    "storm",
    "cli",
];

/// Each room under `src/` and those it may use. Tests inside a room count too.
const HOUSE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("repo", &["domain"]),
    ("store", &["domain"]),
    ("sys", &["domain"]),
    ("provision", &["domain"]),
    ("net", &[]),
    ("mirror", &["repo", "sys", "store", "domain"]),
    ("image", &["sys", "store", "domain"]),
    ("app", &["mirror", "image", "provision", "repo", "store", "sys", "config", "domain"]),
    ("reconcile", &["app", "domain"]),
    ("web", &["app", "sys", "domain"]),
    ("daemon", &["domain", "config", "repo", "store", "sys", "provision", "net", "mirror", "image", "app", "reconcile", "web"]),
    // It is the other end: what it knew of the head's decisions it could not find wrong.
    ("storm", &["sys"]),
    ("cli", &["daemon", "app", "config", "domain", "storm"]),
];

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    HOUSE.iter().find(|(name, _)| *name == room).map(|(_, uses)| *uses)
}

/// Drops comments and the content of plain strings: neither imports anything.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut last = ' ';
        for (at, c) in line.char_indices() {
            if !quoted && line[at..].starts_with("//") {
                break;
            }
            if c == '"' && last != '\\' && !line[at..].starts_with("\"'") {
                quoted = !quoted;
            } else if !quoted {
                out.push(c);
            }
            last = c;
        }
        out.push('\n');
    }
    out
}

/// The first segments behind every `crate::`, with `crate::{a::b, c::{d, e}}` taken apart.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend([word(rest)]),
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first segment of each member of a group, whose opening brace has been taken off.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ if depth == 0 => heads.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    heads.iter().map(|head| word(head.trim())).filter(|head| !head.is_empty()).collect()
}

/// True if a chain of `super::` climbs to the crate's root, where it could reach into any room unseen.
fn climbs_out(code: &str, depth: usize) -> bool {
    let mut depth = depth;
    code.lines().any(|line| {
        if line.starts_with("mod ") && line.trim_end().ends_with('{') {
            depth += 1;
        }
        line.contains(&"super::".repeat(depth))
    })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn every_folder_is_a_room_of_the_house() {
    for entry in fs::read_dir(src()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let known = if path.is_dir() { allowed(&name).is_some() } else { ["lib.rs", "main.rs"].contains(&&*name) };
        assert!(known, "src/{name} is not in the table of tests/house.rs: decide who may use it, here and in DESIGN.md");
    }
}

#[test]
fn no_room_uses_another_that_it_may_not() {
    let mut wrong = vec![];
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap().with_extension("");
        let mut modules: Vec<String> = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        if modules.last().is_some_and(|last| last == "mod") {
            modules.pop();
        }
        let room = modules[0].clone();
        if room == "lib" || room == "main" {
            continue;
        }
        let code = code(&fs::read_to_string(&path).unwrap());
        let may = allowed(&room).unwrap_or_default();
        for used in imports(&code).iter().filter(|used| ALL.contains(&used.as_str()) && **used != room) {
            if !may.contains(&used.as_str()) {
                wrong.push(format!("src/{}.rs uses crate::{used}: `{room}` may use {may:?} only", inside.display()));
            }
        }
        if climbs_out(&code, modules.len()) {
            wrong.push(format!("src/{}.rs climbs out of `{room}` by super:: : write crate:: instead", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let mut built: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<_> = HOUSE.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(room, uses)| !(uses.iter().all(|used| built.contains(used)) && built.insert(room)));
        assert!(left.len() < before, "these rooms use each other: {left:?}");
    }
}

#[test]
fn an_import_is_seen_in_every_form_it_can_take() {
    let seen = |text: &str| imports(&code(text)).into_iter().collect::<Vec<_>>();
    assert_eq!(seen("use crate::domain::mac::MacAddr;"), ["domain"]);
    assert_eq!(seen("use crate::{\n    app::{self, Error},\n    store,\n};"), ["app", "store"]);
    assert_eq!(seen("fn f() -> crate::net::Reply {}"), ["net"]);
    assert_eq!(seen("pub(crate) use crate::sys as outside;"), ["sys"]);
    assert_eq!(seen("// use crate::web;\nlet text = \"crate::cli\";"), Vec::<String>::new());
    assert!(climbs_out("use super::super::web;", 2));
    assert!(!climbs_out("use super::span;", 2));
    assert!(!climbs_out("mod tests {\n    use super::*;\n", 1));
    assert!(climbs_out("mod tests {\n    use super::super::*;\n", 1));
}
