//! The head's own `.repo` files: where this machine gets RPM packages from, and which keys it trusts for that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A repository that dnf on this machine uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRepo {
    /// Its id, such as `baseos`.
    pub id: String,
    /// Addresses.
    pub baseurl: Vec<String>,
    /// A mirror list.
    pub mirrorlist: Option<String>,
    /// A metalink.
    pub metalink: Option<String>,
    /// Key files on this machine; keys at other addresses are left out.
    pub keys: Vec<PathBuf>,
    /// Its metadata are checked.
    pub repo_gpgcheck: bool,
    /// Its packages are checked.
    pub gpgcheck: bool,
}

/// Reads the enabled repositories of `etc/yum.repos.d` below `root` (`/`). Those with a variable that nobody sets are passed over.
pub fn read(root: &Path) -> Vec<HostRepo> {
    let variables = variables(root);
    let mut files: Vec<PathBuf> =
        fs::read_dir(root.join("etc/yum.repos.d")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "repo"));
    files.sort();
    let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| sections(&text)).filter_map(|(id, keys)| repository(&id, &keys, &variables)).collect()
}

fn repository(id: &str, keys: &BTreeMap<String, String>, variables: &BTreeMap<String, String>) -> Option<HostRepo> {
    let get = |key: &str| keys.get(key).map(|value| expand(value, variables));
    let yes = |key: &str, default: bool| keys.get(key).map_or(default, |value| matches!(value.as_str(), "1" | "yes" | "true" | "True"));
    let words = |key: &str| -> Vec<String> {
        let text = get(key).unwrap_or_default();
        text.split([',', ' ', '\n', '\t']).filter(|word| !word.is_empty()).map(|word| word.trim_end_matches('/').to_owned()).collect()
    };
    // A mirror list's address may hold the list's separators.
    let one = |key: &str| get(key).filter(|value| !value.is_empty());
    let repo = HostRepo {
        id: id.to_owned(),
        baseurl: words("baseurl"),
        mirrorlist: one("mirrorlist"),
        metalink: one("metalink"),
        keys: words("gpgkey").iter().filter_map(|key| key.strip_prefix("file://")).map(PathBuf::from).collect(),
        repo_gpgcheck: yes("repo_gpgcheck", false),
        gpgcheck: yes("gpgcheck", false),
    };
    let addresses = repo.baseurl.iter().chain(&repo.mirrorlist).chain(&repo.metalink);
    let known = addresses.clone().count() > 0 && !addresses.clone().any(|address| address.contains('$'));
    (yes("enabled", true) && known).then_some(repo)
}

/// INI as dnf reads it: a line that begins with a blank continues the one before.
fn sections(text: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut sections: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut last = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.trim().to_owned(), BTreeMap::new()));
            continue;
        }
        let Some((_, keys)) = sections.last_mut() else { continue };
        if line.starts_with([' ', '\t']) && !trimmed.is_empty() {
            keys.entry(last.clone()).or_default().push_str(&format!(" {trimmed}"));
        } else if let Some((key, value)) = trimmed.split_once('=') {
            key.trim().clone_into(&mut last);
            keys.insert(last.clone(), value.trim().to_owned());
        }
    }
    sections.retain(|(name, _)| name != "main");
    sections
}

/// `$basearch`, `$arch`, `$releasever` and what `etc/dnf/vars` and `etc/yum/vars` set.
fn variables(root: &Path) -> BTreeMap<String, String> {
    let release = fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
    let version = release.lines().find_map(|line| line.strip_prefix("VERSION_ID=")).unwrap_or_default().trim_matches('"').to_owned();
    let arch = std::env::consts::ARCH.to_owned();
    let mut found = BTreeMap::from([("basearch".to_owned(), arch.clone()), ("arch".to_owned(), arch)]);
    if !version.is_empty() {
        found.insert("releasever".to_owned(), version.split('.').next().unwrap_or_default().to_owned());
    }
    for folder in ["etc/yum/vars", "etc/dnf/vars"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let value = fs::read_to_string(entry.path()).unwrap_or_default();
            found.insert(entry.file_name().to_string_lossy().into_owned(), value.lines().next().unwrap_or_default().trim().to_owned());
        }
    }
    found
}

/// Replaces `$name` and `${name}`; unknown ones stay.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out += before;
        let braced = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
        let (name, after) = braced.unwrap_or((&behind[..end], &behind[end..]));
        match variables.get(name) {
            Some(value) => {
                out += value;
                rest = after;
            }
            None => {
                out.push('$');
                rest = behind;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enabled_repositories_are_read_with_their_variables() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc/yum.repos.d", "etc/dnf/vars"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("etc/os-release"), "ID=rocky\nVERSION_ID=\"9.5\"\n").unwrap();
        fs::write(root.path().join("etc/dnf/vars/contentdir"), "pub/rocky\n").unwrap();
        let text = "[main]\nx=1\n[baseos]\nname=Rocky\n# comment\nmirrorlist=https://a.example/list?arch=$basearch&repo=BaseOS-$releasever$rltype\n\
                    [appstream]\nbaseurl=http://a.example/$contentdir/${releasever}/AppStream/ \n  http://b.example/x\ngpgcheck=1\nenabled=1\n\
                    gpgkey=file:///etc/pki/rpm-gpg/K\n\thttps://a.example/key\n[off]\nbaseurl=http://c.example\nenabled=0\n";
        fs::write(root.path().join("etc/yum.repos.d/rocky.repo"), text).unwrap();
        let found = read(root.path());
        assert_eq!(found.len(), 1, "a variable that nobody sets: {found:?}");
        let expected = HostRepo {
            id: "appstream".to_owned(),
            baseurl: vec!["http://a.example/pub/rocky/9/AppStream".to_owned(), "http://b.example/x".to_owned()],
            keys: vec![PathBuf::from("/etc/pki/rpm-gpg/K")],
            gpgcheck: true,
            ..HostRepo::default()
        };
        assert_eq!(found[0], expected);
        fs::write(root.path().join("etc/dnf/vars/rltype"), "\n").unwrap();
        assert!(read(root.path())[0].mirrorlist.as_ref().unwrap().ends_with("repo=BaseOS-9"));
    }
}
