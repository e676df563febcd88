//! What tests of images look at: a published image, its versions, and what is mounted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::head::{Head, text};

/// Writes a recipe beside the head's data; its path.
pub fn recipe(head: &Head, text: &str) -> String {
    let file = head.aside().join("recipe.toml");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What a command prints as JSON.
pub fn json(head: &Head, args: &[&str]) -> Value {
    let output = head.run(&[args, &["-o", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {}", text(&output)))
}

/// The record of an image's published version.
pub fn published(head: &Head, name: &str) -> Value {
    json(head, &["image", "show", name])["published"]["details"].clone()
}

/// The root of an image's published version.
pub fn root(head: &Head, name: &str) -> PathBuf {
    head.data().join("images").join(name).join("current/root")
}

/// What lies among an image's versions; nothing if it has none.
pub fn versions(head: &Head, name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(head.data().join("images").join(name).join("versions"));
    entries.map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()).unwrap_or_default()
}

/// The same without those that are being made.
pub fn whole_versions(head: &Head, name: &str) -> BTreeSet<String> {
    versions(head, name).into_iter().filter(|id| !id.starts_with('.')).collect()
}

/// What the kernel has mounted of a folder, in any namespace of any process: nothing else could keep a mount.
pub fn mounted(folder: &Path) -> Vec<String> {
    let folder = fs::canonicalize(folder).unwrap();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let mounts = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
        found.extend(mounts.lines().filter(|line| line.contains(folder.to_str().unwrap())).map(str::to_owned));
    }
    found
}

/// Waits until nothing of a folder is mounted. The kernel ends a killed build's processes and takes their mounts down: soon, and without help.
pub fn is_soon_unmounted(folder: &Path) -> bool {
    (0..100).any(|_| {
        mounted(folder).is_empty() || {
            std::thread::sleep(Duration::from_millis(100));
            false
        }
    })
}
