//! Which of a header's dependencies metadata carries, and in what form: the rules that yum, createrepo_c and their clients share.

use std::collections::{HashMap, HashSet};

use super::header::{FileKind, Header};
use super::{fragment, tag, version};

/// How a dependency's version compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// Below.
    Lt,
    /// Up to.
    Le,
    /// Exactly.
    Eq,
    /// From.
    Ge,
    /// Above.
    Gt,
}

impl Comparison {
    /// From a header's flags: the four lowest bits are less, greater, equal (and one without meaning).
    fn of_flags(flags: u64) -> Option<Self> {
        match flags & 0xf {
            2 => Some(Self::Lt),
            4 => Some(Self::Gt),
            8 => Some(Self::Eq),
            10 => Some(Self::Le),
            12 => Some(Self::Ge),
            _ => None,
        }
    }

    /// As metadata writes it: `LT`, `LE`, `EQ`, `GE`, `GT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lt => "LT",
            Self::Le => "LE",
            Self::Eq => "EQ",
            Self::Ge => "GE",
            Self::Gt => "GT",
        }
    }

    /// From the words of [`Comparison::as_str`].
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Lt, Self::Le, Self::Eq, Self::Ge, Self::Gt].into_iter().find(|comparison| comparison.as_str() == word)
    }
}

/// Bits of a dependency's flags (rpm's `rpmds.h`).
mod sense {
    pub const POSTTRANS: u64 = 1 << 5;
    pub const PREREQ: u64 = 1 << 6;
    pub const PRETRANS: u64 = 1 << 7;
    pub const SCRIPT_PRE: u64 = 1 << 9;
    pub const SCRIPT_POST: u64 = 1 << 10;
    pub const MISSING_OK: u64 = 1 << 19;
    pub const STRONG: u64 = 1 << 27;
    /// Needed before or while the package is installed, not only afterwards.
    pub const BEFORE: u64 = PREREQ | SCRIPT_PRE | SCRIPT_POST | PRETRANS | POSTTRANS;
}

/// One dependency, borrowed from a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relation<'a> {
    pub name: &'a [u8],
    pub comparison: Option<Comparison>,
    /// Epoch, version, release.
    pub evr: [&'a [u8]; 3],
    pub pre: bool,
}

/// All dependencies of a package as metadata has them.
#[derive(Default)]
pub(super) struct Dependencies<'a> {
    provides: Vec<Relation<'a>>,
    requires: Vec<Relation<'a>>,
    conflicts: Vec<Relation<'a>>,
    obsoletes: Vec<Relation<'a>>,
    suggests: Vec<Relation<'a>>,
    enhances: Vec<Relation<'a>>,
    recommends: Vec<Relation<'a>>,
    supplements: Vec<Relation<'a>>,
}

impl<'a> Dependencies<'a> {
    /// `primary_files`: those of the package's own files that primary.xml lists.
    pub fn of(header: &'a Header, primary_files: &[(Vec<u8>, FileKind)]) -> Self {
        let all = |tags| header.dependencies(tags).filter_map(|raw| relation(raw).map(|relation| (relation, raw.1)));
        let plain = |tags| all(tags).map(|(relation, _)| relation).collect::<Vec<_>>();
        let mut found = Self {
            provides: plain(tag::PROVIDES),
            conflicts: plain(tag::CONFLICTS),
            obsoletes: plain(tag::OBSOLETES),
            suggests: plain(tag::SUGGESTS),
            enhances: plain(tag::ENHANCES),
            supplements: plain(tag::SUPPLEMENTS),
            ..Self::default()
        };
        found.take_requires(header, primary_files);
        found.recommends.extend(plain(tag::RECOMMENDS));
        for (relation, flags) in all(tag::OLD_SUGGESTS) {
            if flags & sense::STRONG != 0 { found.recommends.push(relation) } else { found.suggests.push(relation) }
        }
        for (relation, flags) in all(tag::OLD_ENHANCES) {
            if flags & sense::STRONG != 0 { found.supplements.push(relation) } else { found.enhances.push(relation) }
        }
        found
    }

    /// Requirements, less those that say nothing: on rpm's own features, on what the package itself provides or has among the files of
    /// primary.xml, and repetitions. Of those on glibc's symbol versions only the highest is kept, at the end.
    fn take_requires(&mut self, header: &'a Header, primary_files: &[(Vec<u8>, FileKind)]) {
        let own_files: HashSet<&[u8]> = primary_files.iter().map(|(path, _)| path.as_slice()).collect();
        let provided: HashSet<_> =
            header.dependencies(tag::PROVIDES).map(|(name, flags, evr)| (name, Comparison::of_flags(flags), evr)).collect();
        let mut seen = HashMap::new();
        let mut libc: Option<Relation<'a>> = None;
        for raw @ (name, flags, evr) in header.dependencies(tag::REQUIRES) {
            let comparison = Comparison::of_flags(flags);
            if name.starts_with(b"rpmlib(")
                || (name.starts_with(b"/") && fragment::is_primary(name) && own_files.contains(name))
                || provided.contains(&(name, comparison, evr))
            {
                continue;
            }
            let pre = flags & sense::BEFORE != 0;
            if seen.get(name) == Some(&(comparison, evr, pre)) {
                continue;
            }
            let Some(mut relation) = relation(raw) else { continue };
            if flags & sense::MISSING_OK != 0 {
                self.recommends.push(relation);
                continue;
            }
            relation.pre = pre;
            if name.starts_with(b"libc.so.6") {
                if libc.as_ref().is_none_or(|highest| libc_is_newer(name, highest.name)) {
                    libc = Some(relation);
                }
                continue;
            }
            self.requires.push(relation);
            seen.insert(name, (comparison, evr, pre));
        }
        self.requires.extend(libc);
    }

    /// The elements of primary.xml in their order, without the prefix `rpm:`.
    pub fn sections(&self) -> [(&'static str, &[Relation<'a>]); 8] {
        [
            ("provides", &self.provides),
            ("requires", &self.requires),
            ("conflicts", &self.conflicts),
            ("obsoletes", &self.obsoletes),
            ("suggests", &self.suggests),
            ("enhances", &self.enhances),
            ("recommends", &self.recommends),
            ("supplements", &self.supplements),
        ]
    }
}

/// `None` if the epoch is not a number: such a dependency is left out, since no client could compare it.
fn relation<'a>((name, flags, evr): (&'a [u8], u64, &'a [u8])) -> Option<Relation<'a>> {
    let evr = if evr.is_empty() { [&[][..]; 3] } else { version::split(evr)?.into() };
    Some(Relation { name, comparison: Comparison::of_flags(flags), evr, pre: false })
}

/// `libc.so.6(GLIBC_2.34)(64bit)` is newer than `libc.so.6(GLIBC_2.4)(64bit)`, that than `libc.so.6()(64bit)`, that than `libc.so.6`.
fn libc_is_newer(name: &[u8], than: &[u8]) -> bool {
    match (symbol_version(name), symbol_version(than)) {
        (Some(name), Some(than)) => version::compare(name, than).is_gt(),
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => name.contains(&b'(') && !than.contains(&b'('),
    }
}

/// What stands within the first parentheses, from the first digit on.
fn symbol_version(name: &[u8]) -> Option<&[u8]> {
    let inner = &name[name.iter().position(|byte| *byte == b'(')? + 1..];
    let inner = &inner[..inner.iter().position(|byte| *byte == b')')?];
    Some(&inner[inner.iter().position(u8::is_ascii_digit)?..])
}
