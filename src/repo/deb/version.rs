//! Debian versions, ordered as `dpkg --compare-versions` orders them (deb-version(7)).

use std::cmp::Ordering;

/// Compares two versions. Total: text that is no version is compared by the same rules.
pub fn compare(left: &str, right: &str) -> Ordering {
    todo!()
}
