//! Variables of profiles, groups and nodes, merged layer by layer, each value remembering the layer it came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A table of variables as TOML or JSON writes it; tables may nest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub serde_json::Map<String, Value>);

/// One layer: who says it (`defaults`, `profile debian-13`, `group rack3`, `node node07`) and what.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The layer's name as `kickctl explain` prints it.
    pub name: String,
    /// What the layer says.
    pub variables: Variables,
}

/// The result of merging layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// The effective variables.
    pub values: Variables,
    /// For each dotted path to a leaf (`disk.select`): the layer that set it.
    pub origin: BTreeMap<String, String>,
}

/// Merges layers, later ones over earlier ones. Tables merge key by key; any other value replaces what was there,
/// lists included, so that a node can shorten a list.
pub fn merge(layers: &[Layer]) -> Merged {
    let mut merged = Merged::default();
    for layer in layers {
        overlay(&mut merged.values.0, &layer.variables.0, "", &layer.name, &mut merged.origin);
    }
    merged
}

fn overlay(
    base: &mut serde_json::Map<String, Value>,
    top: &serde_json::Map<String, Value>,
    prefix: &str,
    layer: &str,
    origin: &mut BTreeMap<String, String>,
) {
    for (key, value) in top {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (base.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => overlay(below, above, &path, layer, origin),
            (_, Value::Object(above)) => {
                forget(origin, &path);
                let mut fresh = serde_json::Map::new();
                overlay(&mut fresh, above, &path, layer, origin);
                base.insert(key.clone(), Value::Object(fresh));
            }
            _ => {
                forget(origin, &path);
                origin.insert(path, layer.to_owned());
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Drops the origin of `path` and of everything below it: a replaced table takes its leaves with it.
fn forget(origin: &mut BTreeMap<String, String>, path: &str) {
    let below = format!("{path}.");
    origin.retain(|known, _| known != path && !known.starts_with(&below));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, json: Value) -> Layer {
        let Value::Object(map) = json else { panic!("a table") };
        Layer { name: name.into(), variables: Variables(map) }
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let merged = merge(&[
            layer("defaults", serde_json::json!({"disk": {"select": "smallest", "never": ["usb"]}, "packages": ["a", "b"]})),
            layer("node node07", serde_json::json!({"disk": {"select": "largest"}, "packages": ["c"]})),
        ]);
        assert_eq!(merged.values.0["disk"], serde_json::json!({"select": "largest", "never": ["usb"]}));
        assert_eq!(merged.values.0["packages"], serde_json::json!(["c"]));
        assert_eq!(merged.origin["disk.select"], "node node07");
        assert_eq!(merged.origin["disk.never"], "defaults");
    }

    #[test]
    fn a_replaced_table_leaves_no_origin_behind() {
        let merged = merge(&[
            layer("defaults", serde_json::json!({"swap": {"size": "1 GiB"}})),
            layer("profile x", serde_json::json!({"swap": false})),
        ]);
        assert_eq!(merged.origin.into_iter().collect::<Vec<_>>(), [("swap".to_owned(), "profile x".to_owned())]);
    }
}
