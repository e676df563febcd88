//! What a profile is: its chain, its variables with their layers, its templates with their files.

use serde::Serialize;
use serde_json::Value;

use super::list_profiles::list_profiles;
use super::{Error, Result};
use crate::domain::checksum::Sha256;
use crate::domain::name::{MirrorName, ProfileName};
use crate::domain::profile::ProfileKind;
use crate::domain::variables::merge;
use crate::provision::library::{Library, LibraryError};
use crate::provision::variables::is_secret;
use crate::sys::data_dir::DataDir;

/// One profile. Its JSON form is part of the output contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfileReport {
    /// Its name.
    pub name: ProfileName,
    /// One sentence.
    pub summary: String,
    /// What it makes of a node; `None` for a base that others extend.
    pub kind: Option<ProfileKind>,
    /// What it extends, the nearest first.
    pub extends: Vec<ProfileName>,
    /// The mirror that nodes install from.
    pub mirror: Option<MirrorName>,
    /// A folder, or `built in`.
    pub origin: String,
    /// SHA-256 over its files and those of what it extends.
    pub digest: Sha256,
    /// Its variables and those below it.
    pub variables: Vec<Explained>,
    /// Its templates, and the files that they are in.
    pub templates: Vec<TemplateLine>,
}

/// A variable's value and who set it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The dotted path.
    pub variable: String,
    /// The value; masked if it is a secret.
    pub value: Value,
    /// The layer that set it.
    pub layer: String,
}

/// A template and its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateLine {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
}

/// All profiles, in the order of their names.
///
/// # Errors
/// If a site's profile is wrong.
pub fn list_profile_reports(data: &DataDir) -> Result<Vec<ProfileReport>> {
    let library = list_profiles(data)?;
    let names: Vec<ProfileName> = library.iter().map(|entry| entry.profile.name.clone()).collect();
    names.iter().map(|name| report(&library, name)).collect()
}

/// One profile.
///
/// # Errors
/// If there is no such profile, or a site's profile is wrong.
pub fn show_profile(data: &DataDir, name: &ProfileName) -> Result<ProfileReport> {
    report(&list_profiles(data)?, name)
}

fn report(library: &Library, name: &ProfileName) -> Result<ProfileReport> {
    let usage = |error: LibraryError| Error::Usage(error.to_string());
    let chain = library.chain(name).map_err(usage)?;
    let own = library.get(name).map_err(usage)?;
    let merged = merge(&library.layers(name, &Default::default(), None).map_err(usage)?);
    let templates = library.templates(name).map_err(usage)?;
    Ok(ProfileReport {
        name: name.clone(),
        summary: own.profile.summary.clone(),
        kind: library.kind(name).ok(),
        extends: chain.iter().rev().skip(1).map(|entry| entry.profile.name.clone()).collect(),
        mirror: library.mirror(name).map_err(usage)?,
        origin: own.origin.clone(),
        digest: library.digest(name).map_err(usage)?,
        variables: explained(&merged),
        templates: templates.into_iter().map(|(name, template)| TemplateLine { name: name.into(), file: template.file.clone() }).collect(),
    })
}

/// Every value with its layer, secrets masked.
pub(super) fn explained(merged: &crate::domain::variables::Merged) -> Vec<Explained> {
    let line = |(path, layer): (&String, &String)| {
        let value =
            path.split('.').try_fold(&Value::Object(merged.values.0.clone()), |value, key| value.get(key)).cloned().unwrap_or_default();
        let value = if is_secret(path) { crate::provision::context::MASK.into() } else { value };
        Explained { variable: path.clone(), value, layer: layer.clone() }
    };
    merged.origin.iter().map(line).collect()
}
