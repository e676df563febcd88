//! The profiles that a head knows, with their templates. What a profile lacks is found in the one that it extends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256 as Hasher};

use super::render::{self, Renderer};
use super::variables;
use crate::domain::checksum::Sha256;
use crate::domain::name::{GroupName, ImageName, MirrorName, ProfileName};
use crate::domain::node::Node;
use crate::domain::profile::{Profile, ProfileKind};
use crate::domain::variables::{Layer, Variables};

/// Longest chain of inheritance.
const MAX_CHAIN: usize = 16;

/// A profile with its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What its `profile.toml` means.
    pub profile: Profile,
    /// Where it came from, for messages: a folder, or `built in`.
    pub origin: String,
    /// Templates by name (`preseed.cfg`), which is the file's name without `.hbs`.
    pub templates: BTreeMap<String, Template>,
    /// SHA-256 over its files.
    pub digest: Sha256,
}

/// A template's text, and the name of its file for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The file.
    pub file: String,
    /// The text.
    pub text: String,
}

/// All profiles of a head. Cheap to clone; clones share the templates that were parsed.
#[derive(Clone, Debug, Default)]
pub struct Library {
    entries: BTreeMap<ProfileName, Arc<Entry>>,
    renderers: Arc<Mutex<BTreeMap<ProfileName, Arc<Renderer>>>>,
}

impl PartialEq for Library {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, two): (&Arc<Entry>, &Arc<Entry>)| Arc::ptr_eq(one, two) || one == two;
        self.entries.len() == other.entries.len() && self.entries.values().zip(other.entries.values()).all(same)
    }
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LibraryError {
    /// There is no such profile.
    #[error("there is no profile `{name}`{}: there are {}", wanted_by.as_ref().map_or_else(String::new, |by| format!(", which {by} extends")), known.join(", "))]
    Unknown {
        /// The name.
        name: ProfileName,
        /// The profile that extends it.
        wanted_by: Option<ProfileName>,
        /// Those there are.
        known: Vec<String>,
    },
    /// It extends itself.
    #[error("profile `{0}` extends itself, by way of {1}: take one `extends` out")]
    Cycle(ProfileName, String),
    /// The chain is too long.
    #[error("profile `{0}` has a chain of more than {MAX_CHAIN} profiles to extend")]
    TooLong(ProfileName),
    /// Only others extend it.
    #[error("profile `{0}` makes nothing by itself: neither it nor what it extends has a `kind`; assign one that extends it")]
    NoKind(ProfileName),
}

impl Library {
    /// A library of these profiles; a later one replaces an earlier one of the same name.
    pub fn new<E: Into<Arc<Entry>>>(entries: impl IntoIterator<Item = E>) -> Self {
        let entries = entries.into_iter().map(Into::into).map(|entry| (entry.profile.name.clone(), entry)).collect();
        Self { entries, renderers: Arc::default() }
    }

    /// All profiles in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(Arc::as_ref)
    }

    /// One profile.
    ///
    /// # Errors
    /// [`LibraryError::Unknown`].
    pub fn get(&self, name: &ProfileName) -> Result<&Entry, LibraryError> {
        self.find(name, None)
    }

    /// A profile and what it extends, the most general first.
    ///
    /// # Errors
    /// [`LibraryError`] if one of them is missing or the chain has no end.
    pub fn chain(&self, name: &ProfileName) -> Result<Vec<&Entry>, LibraryError> {
        let mut chain = vec![self.find(name, None)?];
        while let Some(next) = chain.last().and_then(|last| last.profile.extends.as_ref()) {
            let by = chain.last().map(|last| last.profile.name.clone());
            if chain.iter().any(|entry| entry.profile.name == *next) {
                let way: Vec<&str> = chain.iter().map(|entry| entry.profile.name.as_str()).collect();
                return Err(LibraryError::Cycle(next.clone(), way.join(" -> ")));
            }
            if chain.len() == MAX_CHAIN {
                return Err(LibraryError::TooLong(name.clone()));
            }
            chain.push(self.find(next, by)?);
        }
        chain.reverse();
        Ok(chain)
    }

    /// What a profile makes of a node.
    ///
    /// # Errors
    /// As [`Self::chain`], and [`LibraryError::NoKind`].
    pub fn kind(&self, name: &ProfileName) -> Result<ProfileKind, LibraryError> {
        let chain = self.chain(name)?;
        chain.iter().rev().find_map(|entry| entry.profile.kind).ok_or_else(|| LibraryError::NoKind(name.clone()))
    }

    /// The mirror that a profile installs from.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn mirror(&self, name: &ProfileName) -> Result<Option<MirrorName>, LibraryError> {
        Ok(self.chain(name)?.iter().rev().find_map(|entry| entry.profile.mirror.clone()))
    }

    /// The image that a diskless profile runs from.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn image(&self, name: &ProfileName) -> Result<Option<ImageName>, LibraryError> {
        Ok(self.chain(name)?.iter().rev().find_map(|entry| entry.profile.image.clone()))
    }

    /// SHA-256 over the profile's files and those of what it extends.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn digest(&self, name: &ProfileName) -> Result<Sha256, LibraryError> {
        let mut hasher = Hasher::new();
        self.chain(name)?.iter().for_each(|entry| hasher.update(entry.digest.bytes()));
        Ok(Sha256::new(hasher.finalize().into()))
    }

    /// What renders a profile's templates, parsed when it is first asked for.
    ///
    /// # Errors
    /// As [`Renderer::new`].
    pub fn renderer(&self, profile: &ProfileName) -> Result<Arc<Renderer>, render::Error> {
        let held = |library: &Self| library.renderers.lock().unwrap_or_else(PoisonError::into_inner).get(profile).cloned();
        if let Some(renderer) = held(self) {
            return Ok(renderer);
        }
        let renderer = Arc::new(Renderer::new(self, profile)?);
        self.renderers.lock().unwrap_or_else(PoisonError::into_inner).insert(profile.clone(), Arc::clone(&renderer));
        Ok(renderer)
    }

    /// All templates that a profile has or inherits, by name.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn templates(&self, name: &ProfileName) -> Result<BTreeMap<&str, &Template>, LibraryError> {
        let chain = self.chain(name)?;
        Ok(chain.into_iter().flat_map(|entry| &entry.templates).map(|(name, template)| (name.as_str(), template)).collect())
    }

    /// True if a template of a profile, or one that it includes, may use one of these names of the view, such as `hosts` or `derived.kernel`.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn uses(&self, profile: &ProfileName, template: &str, names: &[&str]) -> Result<bool, LibraryError> {
        let templates = self.templates(profile)?;
        let named =
            |word: &str| names.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        let (mut seen, mut left) = (BTreeSet::new(), vec![template]);
        while let Some(at) = left.pop() {
            let Some(found) = templates.get(at).filter(|_| seen.insert(at)) else { continue };
            for tag in found.text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                match tag.trim_start_matches('~').trim().strip_prefix('>') {
                    Some(included) => left.extend(included.split_whitespace().next()),
                    None if tag.split(|c: char| !c.is_alphanumeric() && !"._".contains(c)).any(named) => return Ok(true),
                    None => {}
                }
            }
        }
        Ok(false)
    }

    /// The layers of a node's variables, the lowest first: defaults, the profile's chain, its groups in alphabetical order, the node.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn layers(
        &self,
        profile: &ProfileName,
        groups: &BTreeMap<GroupName, Variables>,
        node: Option<&Node>,
    ) -> Result<Vec<Layer>, LibraryError> {
        let mut layers = vec![variables::defaults()];
        layers.extend(
            self.chain(profile)?
                .into_iter()
                .map(|entry| Layer { name: format!("profile {}", entry.profile.name), variables: entry.profile.variables.clone() }),
        );
        layers.extend(groups.iter().map(|(group, variables)| Layer { name: format!("group {group}"), variables: variables.clone() }));
        layers.extend(node.map(|node| Layer { name: format!("node {}", node.name), variables: node.variables.clone() }));
        Ok(layers)
    }

    fn find(&self, name: &ProfileName, wanted_by: Option<ProfileName>) -> Result<&Entry, LibraryError> {
        self.entries.get(name).map(Arc::as_ref).ok_or_else(|| LibraryError::Unknown {
            name: name.clone(),
            wanted_by,
            known: self.entries.keys().map(ToString::to_string).collect(),
        })
    }
}

/// SHA-256 over files by name: what [`Entry::digest`] is.
pub fn digest_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Sha256 {
    let mut hasher = Hasher::new();
    for (name, text) in files {
        hasher.update(format!("{name}\0{}\0", text.len()));
        hasher.update(text);
    }
    Sha256::new(hasher.finalize().into())
}
