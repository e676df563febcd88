//! The profiles that a head knows: shipped ones and the site's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, PoisonError};

use super::{Head, Result};
use crate::config::profile_file::{self, PROFILE, ProfileFiles};
use crate::provision::library::{Entry, Library, Template, digest_of};
use crate::sys::data_dir::DataDir;

/// Reads all profiles.
///
/// # Errors
/// If a site's profile is wrong; the message names the file and the place in it.
pub fn list_profiles(data: &DataDir) -> Result<Library> {
    let site = profile_file::site_profiles(&data.profiles())?.into_iter().map(entry).map(Arc::new);
    Ok(Library::new(shipped()?.into_iter().chain(site)))
}

impl Head {
    /// All profiles as they are now. While they are what they were, templates stay parsed: a storm of booting nodes asks for them at every
    /// request.
    ///
    /// # Errors
    /// As [`list_profiles`].
    pub(super) fn profiles(&self) -> Result<Library> {
        let library = list_profiles(&self.data)?;
        let mut last = self.last_profiles.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*last {
            Some(before) if *before == library => before.clone(),
            _ => last.insert(library).clone(),
        })
    }
}

/// What is part of the program, read once.
fn shipped() -> Result<Vec<Arc<Entry>>> {
    static SHIPPED: LazyLock<Option<Vec<Arc<Entry>>>> =
        LazyLock::new(|| Some(profile_file::shipped().ok()?.into_iter().map(entry).map(Arc::new).collect()));
    match &*SHIPPED {
        Some(all) => Ok(all.clone()),
        // A test rules this out; it tells what is wrong.
        None => Ok(profile_file::shipped()?.into_iter().map(entry).map(Arc::new).collect()),
    }
}

fn entry(files: ProfileFiles) -> Entry {
    let digest = digest_of(files.files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let name = &files.profile.name;
    let place = if files.origin == "built in" { format!("profiles/{name}") } else { files.origin.clone() };
    let templates: BTreeMap<String, Template> = files
        .files
        .into_iter()
        .filter(|(file, _)| file != PROFILE)
        .map(|(file, text)| (file.trim_end_matches(".hbs").to_owned(), Template { file: format!("{place}/{file}"), text }))
        .collect();
    Entry { profile: files.profile, origin: files.origin, templates, digest }
}
