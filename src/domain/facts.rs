//! What is known of a node's hardware, and by whom it was told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most facts one machine may have; what comes after is dropped.
pub const MAX_FACTS: usize = 64;
/// Longest value kept, in bytes.
pub const MAX_FACT: usize = 256;

/// Flat key-value facts, such as `manufacturer`, `product`, `serial`, `uuid`, `memory_mib`, `nic`. All of it is hearsay:
/// whoever speaks from the node's address can send it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Adds or replaces one fact. Control characters are dropped and both sides are cut to their bounds;
    /// an empty value is no fact.
    pub fn set(&mut self, key: &str, value: &str) {
        let value: String = clean(value);
        if value.is_empty() || (self.0.len() >= MAX_FACTS && !self.0.contains_key(key)) {
            return;
        }
        self.0.insert(clean(key), value);
    }

    /// One fact.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All facts in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Takes over what `newer` says; what it does not mention stays.
    pub fn update(&mut self, newer: &Facts) {
        newer.iter().for_each(|(key, value)| self.set(key, value));
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn clean(text: &str) -> String {
    let mut kept = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX_FACT {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hearsay_is_bounded() {
        let mut facts = Facts::default();
        facts.set("serial", &format!("a\n{}", "é".repeat(1000)));
        assert!(facts.get("serial").is_some_and(|serial| serial.len() <= MAX_FACT && !serial.contains('\n')));
        (0..1000).for_each(|n| facts.set(&format!("k{n}"), "v"));
        assert_eq!(facts.iter().count(), MAX_FACTS);
        facts.set("serial", "new");
        assert_eq!(facts.get("serial"), Some("new"));
    }
}
