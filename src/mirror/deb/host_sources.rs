//! The head's own apt sources: where this machine gets Debian from, and which keyring it trusts for that.

use std::fs;
use std::path::{Path, PathBuf};

use debian_packaging::control::ControlFile;

/// An archive that apt on this machine uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSource {
    /// The archive's root, without a trailing slash.
    pub url: String,
    /// Its suites, such as `bookworm`, `bookworm-security`.
    pub suites: Vec<String>,
    /// Its components.
    pub components: Vec<String>,
    /// Keyring files; empty when apt's trusted ones are meant.
    pub keyring: Vec<PathBuf>,
}

/// Which of Debian's archives a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// `debian`.
    Main,
    /// `debian-security`.
    Security,
}

/// Reads `sources.list` and `sources.list.d/*.{list,sources}` below `etc_apt` (`/etc/apt`). Files that do not read are passed over: so does apt.
pub fn read(etc_apt: &Path) -> Vec<HostSource> {
    let mut paths = vec![etc_apt.join("sources.list")];
    let mut parts: Vec<PathBuf> =
        fs::read_dir(etc_apt.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    parts.sort();
    paths.extend(parts);
    let mut sources = Vec::new();
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(deb822(&text)),
            Some("list") => sources.extend(one_line(&text)),
            _ => {}
        }
    }
    sources
}

/// The keyring of a source, or those that apt trusts for all sources.
pub fn keyring_of(source: &HostSource, root: &Path) -> Vec<PathBuf> {
    if !source.keyring.is_empty() {
        return source.keyring.clone();
    }
    let archive = root.join("usr/share/keyrings/debian-archive-keyring.gpg");
    if archive.is_file() {
        return vec![archive];
    }
    let trusted = fs::read_dir(root.join("etc/apt/trusted.gpg.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut rings: Vec<PathBuf> = trusted.filter(|path| path.extension().is_some_and(|ext| ext == "gpg" || ext == "asc")).collect();
    rings.sort();
    rings
}

/// The head's source for one of Debian's archives. Security is told by its suites (`*-security`, before Debian 11 `*/updates`), the main
/// archive by a suite of a release that is no part of it, from an archive that ends in `debian`.
pub fn find(sources: &[HostSource], archive: Archive) -> Option<&HostSource> {
    let security = |source: &HostSource| source.suites.iter().any(|suite| suite.ends_with("-security") || suite.ends_with("/updates"));
    let main = |source: &HostSource| {
        let name = source.url.rsplit('/').next().unwrap_or_default();
        let has_main = source.components.iter().any(|component| component == "main");
        has_main && source.suites.iter().any(|suite| !suite.contains(['-', '/'])) && (name == "debian" || from_debian(source))
    };
    match archive {
        Archive::Security => sources.iter().find(|source| security(source) && source.url.contains("security")),
        Archive::Main => sources.iter().find(|source| !security(source) && main(source)),
    }
}

fn from_debian(source: &HostSource) -> bool {
    source.keyring.iter().any(|ring| ring.file_name().is_some_and(|name| name.to_string_lossy().starts_with("debian-archive")))
}

/// sources.list(5), deb822 format. Comments may stand between the lines of a field.
fn deb822(text: &str) -> Vec<HostSource> {
    let plain: String = text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let Ok(file) = ControlFile::parse_str(&plain) else { return vec![] };
    let mut sources = Vec::new();
    for paragraph in file.paragraphs() {
        let words = |name: &str| -> Vec<String> { paragraph.iter_field_words(name).into_iter().flatten().map(str::to_owned).collect() };
        if words("Enabled").iter().any(|value| value == "no") || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        // A key may also stand in the field itself: that one cannot be named as a file.
        let keyring: Vec<PathBuf> = words("Signed-By").into_iter().filter(|word| word.starts_with('/')).map(PathBuf::from).collect();
        for uri in words("URIs") {
            let url = uri.trim_end_matches('/').to_owned();
            sources.push(HostSource { url, suites: words("Suites"), components: words("Components"), keyring: keyring.clone() });
        }
    }
    sources
}

/// sources.list(5), one-line format: `deb [signed-by=/ring arch=amd64] URI SUITE COMPONENT...`.
fn one_line(text: &str) -> Vec<HostSource> {
    let parse = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb")?;
        let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (url, suite) = (words.next()?.trim_end_matches('/').to_owned(), words.next()?);
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        let keyring = signed_by.into_iter().flat_map(|value| value.split(',')).filter(|word| word.starts_with('/')).map(PathBuf::from);
        Some(HostSource { url, suites: vec![suite], components: words.collect(), keyring: keyring.collect() })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_and_security_are_told_apart_in_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let parts = folder.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        let deb822 = "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian/\nSuites: bookworm bookworm-updates\nComponents: main\n\
                      Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\n\
                      Suites: trixie\nComponents: main\n";
        fs::write(parts.join("debian.sources"), deb822).unwrap();
        let lines = "# deb http://no.example/debian x main\ndeb-src http://src.example/debian bookworm main\n\
                     deb [arch=amd64 signed-by=/ring.gpg] https://b.example/debian-security bookworm-security main # tail\n";
        fs::write(folder.path().join("sources.list"), lines).unwrap();
        fs::write(parts.join("other.list"), "deb https://c.example/apt cloud main\n").unwrap();
        let sources = read(folder.path());
        let main = find(&sources, Archive::Main).unwrap();
        assert_eq!((main.url.as_str(), main.suites.len()), ("http://a.example/debian", 2));
        assert_eq!(main.keyring, [PathBuf::from("/usr/share/keyrings/debian-archive-keyring.gpg")]);
        let security = find(&sources, Archive::Security).unwrap();
        assert_eq!(
            (security.url.as_str(), security.keyring.as_slice()),
            ("https://b.example/debian-security", &[PathBuf::from("/ring.gpg")][..])
        );
        assert_eq!(sources.len(), 3);
    }

    #[test]
    fn a_strangers_archive_is_not_taken_for_debian() {
        let sources = one_line("deb https://c.example/apt cloud main\ndeb https://d.example/node_20.x nodistro main\n");
        assert_eq!(find(&sources, Archive::Main), None);
        assert_eq!(find(&sources, Archive::Security), None);
    }
}
