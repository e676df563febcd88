//! The actions of a storage section: each with the keys of its type, naming only what was made before it, with a root in the end.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use super::schema::ACTIONS;
use super::shape::{Misfit, Shape, check};

/// The keys by which actions name others, by type. What is named may be one, or a list; of a volume by another tool (`zfs`) a path is no name.
const NAMES: [(&str, &[&str]); 10] = [
    ("partition", &["device"]),
    ("format", &["volume"]),
    ("mount", &["device"]),
    ("raid", &["devices", "spare_devices"]),
    ("lvm_volgroup", &["devices"]),
    ("lvm_partition", &["volgroup"]),
    ("dm_crypt", &["volume"]),
    ("bcache", &["backing_device", "cache_device"]),
    ("zpool", &["vdevs"]),
    ("zfs", &["pool"]),
];

/// Looks at the actions.
pub fn check_actions(actions: &[Value], path: &mut Vec<String>, found: &mut Vec<Misfit>) {
    let text = |action: &Value, key: &str| action.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut made: BTreeSet<String> = BTreeSet::new();
    for (at, action) in actions.iter().enumerate() {
        path.push(at.to_string());
        let kind = text(action, "type").unwrap_or_default();
        if let Some((_, keys)) = ACTIONS.iter().find(|(known, _)| *known == kind) {
            check(action, Shape::Table(keys), path, found);
        }
        let keys = NAMES.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, keys)| *keys);
        for name in keys.iter().flat_map(|key| named(action.get(*key))) {
            if !made.contains(&name) {
                let remedy = "actions name what stands before them, by its `id`".to_owned();
                found.push(Misfit { path: path.clone(), problem: format!("nothing before it is called `{name}`"), remedy });
            }
        }
        if let Some(id) = text(action, "id") {
            if made.contains(&id) {
                let remedy = "give each an `id` of its own".to_owned();
                found.push(Misfit { path: path.clone(), problem: format!("another is called `{id}` too"), remedy });
            }
            made.insert(id);
        }
        path.pop();
    }
    let is_root = |action: &Value| text(action, "type").as_deref() == Some("mount") && text(action, "path").as_deref() == Some("/");
    let has_zpool = actions.iter().any(|action| text(action, "type").as_deref() == Some("zpool"));
    if !actions.is_empty() && !has_zpool && !actions.iter().any(is_root) {
        found.push(Misfit {
            path: path.clone(),
            problem: "nothing is mounted as /".to_owned(),
            remedy: "add a mount with `path: /`".to_owned(),
        });
    }
}

/// One name, or several.
fn named(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Sequence(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec![],
    }
}
