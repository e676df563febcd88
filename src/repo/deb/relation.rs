//! Dependency fields: `a (>= 1) | b, c:any [amd64] <!nocheck>` (deb-control(5), Debian Policy 7.1).

use std::cmp::Ordering;

/// How a version must relate to the one named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// True if a version that compares to the named one like this will do.
    pub fn accepts(self, order: Ordering) -> bool {
        todo!()
    }
}

/// One alternative of a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The package, possibly a virtual one.
    pub name: &'a str,
    /// After the colon: `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// The version demanded.
    pub version: Option<(Operator, &'a str)>,
    /// Architectures it is for; with a `!` before each, those it is not for. Empty: all.
    pub architectures: Vec<&'a str>,
}

impl Relation<'_> {
    /// True if the relation counts on this architecture.
    pub fn applies_to(&self, architecture: &str) -> bool {
        todo!()
    }

    /// True if this version will do.
    pub fn accepts(&self, version: &str) -> bool {
        todo!()
    }
}

/// One dependency: any of its alternatives satisfies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// In the order of preference; never empty.
    pub alternatives: Vec<Relation<'a>>,
    /// As written.
    pub text: &'a str,
}

/// Text that is not a dependency field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("dependency field, byte {at}: expected {expected}")]
pub struct RelationError {
    /// Byte offset in the field.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// Parses a Depends-style field. Build profiles (`<...>`) are passed over. An empty field has no dependencies.
pub fn parse(field: &str) -> Result<Vec<Dependency<'_>>, RelationError> {
    todo!()
}
