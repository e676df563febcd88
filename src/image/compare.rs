//! What two versions differ in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::manifest::Change;
use crate::domain::image::{ImageVersion, Package};

/// What became of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Whether it came, went, or has another version.
    pub change: Change,
    /// The version in the first; `null` if it came.
    pub before: Option<String>,
    /// The version in the second; `null` if it went.
    pub after: Option<String>,
}

/// Packages that differ, by name.
pub fn packages(first: &ImageVersion, second: &ImageVersion) -> Vec<PackageChange> {
    let by_name = |packages: &[Package]| -> BTreeMap<(String, String), String> {
        packages.iter().map(|package| ((package.name.clone(), package.arch.clone()), package.version.clone())).collect()
    };
    let (before, after) = (by_name(&first.packages), by_name(&second.packages));
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let difference = |key: &(String, String)| {
        let (before, after) = (before.get(key).cloned(), after.get(key).cloned());
        let change = match (&before, &after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(before), Some(after)) if before != after => Change::Changed,
            _ => return None,
        };
        Some(PackageChange { name: key.0.clone(), change, before, after })
    };
    names.into_iter().filter_map(difference).collect()
}
