//! Which packages a filtered mirror takes: the union of the filter's rules, closed under dependencies.

use super::universe::{PackageId, Universe};
use crate::domain::mirror::Filter;

/// What was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The packages, by name, then architecture, then version.
    pub packages: Vec<PackageId>,
    /// Dependencies that nothing can satisfy. Empty: the selection is closed.
    pub missing: Vec<Missing>,
    /// Names of the filter (without wildcards) that no package has.
    pub unknown_names: Vec<String>,
}

/// A dependency that nothing in the universe satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The package that needs it: `name version architecture`, or words for a root.
    pub by: String,
    /// The dependency as written, such as `libc6 (>= 2.41) | libc6.1`.
    pub needs: String,
    /// Why it is missing.
    pub why: Why,
}

/// Why a dependency is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No package has that name or provides it.
    NotFound,
    /// The name exists, but in no version that would do.
    WrongVersion,
    /// Only what the filter excludes would do.
    Excluded,
    /// The field could not be parsed.
    Malformed,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.why {
            Why::NotFound => "which no package is or provides",
            Why::WrongVersion => "which exists in other versions only",
            Why::Excluded => "which the filter excludes",
            Why::Malformed => "which is not a dependency",
        };
        write!(f, "{} needs {}, {why}", self.by, self.needs)
    }
}

/// Selects by the filter. Deterministic: the order in which packages came into the universe does not matter.
///
/// Of several versions of a name (several suites) the highest is offered; an older one is taken only where a dependency accepts no newer.
/// Architectures are closed one by one, each together with `all`. Conflicts are not looked at: a mirror may hold both sides.
pub fn select(universe: &Universe, filter: &Filter) -> Selection {
    todo!()
}
