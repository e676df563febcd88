//! The profiles that a head knows: shipped ones and the site's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::Result;
use crate::config::profile_file::{self, PROFILE, ProfileFiles};
use crate::provision::library::{Entry, Library, Template, digest_of};
use crate::sys::data_dir::DataDir;

/// Reads all profiles.
///
/// # Errors
/// If a site's profile is wrong; the message names the file and the place in it.
pub fn list_profiles(data: &DataDir) -> Result<Library> {
    let site = profile_file::site_profiles(&data.profiles())?.into_iter().map(entry).map(Arc::new);
    Ok(remembered(Library::new(shipped()?.into_iter().chain(site))))
}

/// The library of before, if this is the same: its templates are parsed already, and a storm of booting nodes asks for them at every request.
fn remembered(library: Library) -> Library {
    static LAST: Mutex<Option<Library>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some(before) if *before == library => before.clone(),
        _ => last.insert(library).clone(),
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
