//! A mirror of RPM repositories, as written and as meant.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FilterTable, MirrorFile, check_patterns, is_path};
use crate::config::span::{Error, Source};
use crate::domain::mirror::{Addresses, KickstartTree, Repository, RpmFilter, RpmMirror};

/// What an address begins with.
const SCHEMES: [&str; 3] = ["http://", "https://", "file:///"];
const AN_ADDRESS: &str = "http://HOST/PATH, https://HOST/PATH or file:///PATH, with variables written out";
const NO_FOLDER: &str = "is no folder within the tree";
const A_FOLDER: &str = "such as BaseOS/x86_64/os, or `.` for its root";

/// `[[repository]]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryTable {
    /// Its name.
    pub name: String,
    /// Its folder within the tree; by default its name, `.` for the tree's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Addresses of the folder that holds `repodata/`, asked in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseurl: Vec<String>,
    /// The address of a list of such addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrorlist: Option<String>,
    /// The address of a metalink document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metalink: Option<String>,
    /// Key files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PathBuf>,
    /// `repomd.xml` must be signed by one of the keys; true unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_gpgcheck: Option<bool>,
    /// Each package must be signed by one of the keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gpgcheck: bool,
    /// Whether it brings updates, where its name does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<bool>,
}

/// `[tree]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeTable {
    /// The repository in whose folder it lies; by default the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its own address, where it lies in no repository's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// With `url`: its folder within the tree; by default the tree's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What the tables of an RPM mirror mean.
pub(super) fn meaning(file: &MirrorFile, source: &Source) -> Result<RpmMirror, Error> {
    if !file.local.is_empty() {
        let expected = "a [[repository]] whose baseurl is `file://DIR`, after `kickctl mirror index DIR`";
        return Err(source.wrong("local", "joins mirrors of Debian archives only", expected));
    }
    let mut repositories: Vec<Repository> = Vec::new();
    for (at, table) in file.repositories.iter().enumerate() {
        let repository = table.meaning(source, at)?;
        if let Some(former) = repositories.iter().find(|former| former.name == repository.name || former.path == repository.path) {
            let key = if former.name == repository.name { "name" } else { "path" };
            return Err(source.wrong(&format!("repository.{at}.{key}"), format!("is that of `{}` too", former.name), "another"));
        }
        repositories.push(repository);
    }
    let tree = file.tree.as_ref().map(|table| tree(table, source, &repositories)).transpose()?;
    let filter = file.filter.as_ref().map(|table| filter(table, source)).transpose()?;
    Ok(RpmMirror { repositories, filter, merge: file.merge, tree })
}

impl RepositoryTable {
    fn meaning(&self, file: &Source, at: usize) -> Result<Repository, Error> {
        let key = |name: &str| format!("repository.{at}.{name}");
        if self.name.contains('/') || !is_path(&self.name) {
            return Err(file.wrong(&key("name"), "is not a name", "letters, digits and + - . _ such as BaseOS"));
        }
        let path = match self.path.as_deref() {
            Some(".") => "",
            Some(path) if is_path(path) => path,
            Some(_) => {
                return Err(file.wrong(&key("path"), "is no folder within the tree", "such as BaseOS/x86_64/os, or `.` for its root"));
            }
            None => &self.name,
        };
        let repo_gpgcheck = self.repo_gpgcheck.unwrap_or(true);
        if self.keys.is_empty() && (repo_gpgcheck || self.gpgcheck) {
            let remedy = "files such as /etc/pki/rpm-gpg/RPM-GPG-KEY-x (`kickctl mirror add` takes --keyring), or repo_gpgcheck = false where \
                          upstream signs no repomd.xml";
            return Err(file.wrong(&key("keys"), "names no key to verify the repository with", remedy));
        }
        Ok(Repository {
            name: self.name.clone(),
            path: path.to_owned(),
            addresses: self.addresses(file, &key)?,
            keys: self.keys.clone(),
            repo_gpgcheck,
            gpgcheck: self.gpgcheck,
            updates: self.updates,
        })
    }

    fn addresses(&self, file: &Source, key: &dyn Fn(&str) -> String) -> Result<Addresses, Error> {
        let check = |name: String, url: &str| address(url).ok_or_else(|| file.wrong(&key(&name), "is not an address", AN_ADDRESS));
        match (self.baseurl.as_slice(), &self.mirrorlist, &self.metalink) {
            ([], Some(url), None) => Ok(Addresses::MirrorList(check("mirrorlist".to_owned(), url)?)),
            ([], None, Some(url)) => Ok(Addresses::Metalink(check("metalink".to_owned(), url)?)),
            ([], None, None) => {
                let remedy = "addresses such as http://HOST/BaseOS/x86_64/os; or mirrorlist, or metalink";
                Err(file.wrong(&key("baseurl"), "is missing", remedy))
            }
            (urls, None, None) => {
                let urls = urls.iter().enumerate().map(|(at, url)| check(format!("baseurl.{at}"), url.trim_end_matches('/')));
                Ok(Addresses::BaseUrl(urls.collect::<Result<_, _>>()?))
            }
            _ => Err(file.wrong(&key("name"), "has several kinds of addresses", "one of baseurl, mirrorlist, metalink")),
        }
    }
}

fn tree(table: &TreeTable, file: &Source, repositories: &[Repository]) -> Result<KickstartTree, Error> {
    let names = || repositories.iter().map(|repository| repository.name.as_str()).collect::<Vec<_>>();
    match (&table.repository, &table.url) {
        (Some(_), Some(_)) => Err(file.wrong("tree.url", "does not go with `repository`", "one of both")),
        (None, Some(url)) => {
            let path = folder(table.path.as_deref().unwrap_or("."));
            let path = path.ok_or_else(|| file.wrong("tree.path", NO_FOLDER, A_FOLDER))?.to_owned();
            let url = address(url.trim_end_matches('/')).ok_or_else(|| file.wrong("tree.url", "is not an address", AN_ADDRESS))?;
            Ok(KickstartTree::At { url, path })
        }
        (None, None) => Ok(KickstartTree::Repository(names().first().copied().unwrap_or_default().to_owned())),
        (Some(name), None) if names().contains(&name.as_str()) => Ok(KickstartTree::Repository(name.clone())),
        (Some(_), None) => Err(file.wrong("tree.repository", "is none of the repositories", names().join(", "))),
    }
}

/// A folder within the tree; `.` is its root.
fn folder(path: &str) -> Option<&str> {
    match path {
        "." => Some(""),
        path => is_path(path).then_some(path),
    }
}

fn address(url: &str) -> Option<String> {
    let known = SCHEMES.iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    (known && !url.contains(|c: char| c.is_whitespace() || c == '$')).then(|| url.to_owned())
}

fn filter(table: &FilterTable, file: &Source) -> Result<RpmFilter, Error> {
    let foreign = [("priorities", !table.priorities.is_empty()), ("sections", !table.sections.is_empty())];
    if let Some((name, _)) = foreign.into_iter().find(|(_, there)| *there) {
        let allowed = "architectures, names, exclude, newest";
        return Err(file.wrong(&format!("filter.{name}"), "is for mirrors of Debian archives", allowed));
    }
    let good = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if let Some(at) = table.architectures.iter().position(|name| !good(name)) {
        return Err(file.wrong(&format!("filter.architectures.{at}"), "is not an architecture", "such as x86_64, noarch, src"));
    }
    check_patterns(table, file)?;
    let filter = RpmFilter {
        architectures: table.architectures.clone(),
        names: table.names.clone(),
        exclude: table.exclude.clone(),
        newest: table.newest,
        dependencies: table.dependencies.unwrap_or(true),
        recommends: table.recommends,
    };
    if filter.architectures.is_empty() && filter.names.is_empty() && filter.exclude.is_empty() && filter.newest.is_none() {
        return Err(file.wrong("filter", "leaves everything in", "architectures, names, exclude or newest; or no [filter] for everything"));
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::config::span::{Error, Source};
    use crate::domain::mirror::{Addresses, KickstartTree, Mirror, Upstream};

    const GOOD: &str = r#"merge = false
[[repository]]
name = "BaseOS"
path = "BaseOS/x86_64/os"
baseurl = ["http://a.example/BaseOS/", "http://b.example/BaseOS"]
keys = ["/key"]
[[repository]]
name = "updates"
metalink = "https://a.example/metalink?repo=updates&arch=x86_64"
repo_gpgcheck = false
[filter]
names = ["bash"]
newest = 1
[tree]
"#;

    fn meaning(text: &str) -> Result<Mirror, Error> {
        let source = Source::new("m.toml", text);
        read(&source)?.meaning(&source, &"m".parse().unwrap())
    }

    #[test]
    fn a_definition_of_repositories_means_an_rpm_mirror() {
        let mirror = meaning(GOOD).unwrap();
        assert!(!mirror.is_whole());
        let Upstream::Rpm(rpm) = mirror.upstream else { panic!("is no mirror of RPM repositories") };
        assert_eq!(rpm.repositories.iter().map(|repository| repository.path.as_str()).collect::<Vec<_>>(), ["BaseOS/x86_64/os", "updates"]);
        let two = ["http://a.example/BaseOS", "http://b.example/BaseOS"].map(str::to_owned).to_vec();
        assert_eq!(rpm.repositories[0].addresses, Addresses::BaseUrl(two));
        assert!(rpm.repositories[0].repo_gpgcheck && !rpm.repositories[1].repo_gpgcheck);
        assert_eq!((rpm.tree, rpm.filter.unwrap().newest.unwrap().get()), (Some(KickstartTree::Repository("BaseOS".to_owned())), 1));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
        let cases = [
            (GOOD.replace("keys = [\"/key\"]\n", ""), "repository.0.keys: names no key"),
            (GOOD.replace("http://b.example", "http://b.example/$releasever"), "repository.0.baseurl.1"),
            (GOOD.replace("name = \"updates\"", "name = \"BaseOS\""), "repository.1.name = \"BaseOS\": is that of `BaseOS` too"),
            (GOOD.replace("path = \"BaseOS/x86_64/os\"", "path = \"../x\""), "repository.0.path = \"../x\": is no folder within the tree"),
            (
                GOOD.replace("[tree]", "[tree]\nrepository = \"x\""),
                "tree.repository = \"x\": is none of the repositories; allowed: BaseOS, updates",
            ),
            (GOOD.replace("newest = 1", "newest = 0"), "m.toml:13:"),
            (GOOD.replace("newest = 1", "sections = [\"admin\"]"), "filter.sections"),
            (GOOD.replace("name = \"updates\"", "name = \"updates\"\nmirrorlist = \"http://a.example/l\""), "several kinds of addresses"),
            (format!("{GOOD}[installer]\nsuite = \"x\"\narchitectures = []\n"), "is for mirrors of Debian archives"),
        ];
        for (text, expected) in cases {
            let said = meaning(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}\nshould contain {expected}");
        }
    }
}
