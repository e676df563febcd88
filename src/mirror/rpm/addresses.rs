//! Where a repository can be had: base addresses, mirror lists, metalinks.

use crate::domain::mirror::Addresses;
use crate::mirror::error::chain;
use crate::mirror::{Error, Result};
use crate::repo::rpm::metalink::{MAX_METALINK, Metalink, Version};
use crate::repo::rpm::mirrorlist::{self, MAX_MIRRORLIST};
use crate::sys::fetch::Fetcher;

/// How many mirrors of a list are tried.
const MOST_BASES: usize = 10;
/// What metalinks name of a repository.
const REPOMD: &str = "/repodata/repomd.xml";

/// Where a repository can be had, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Addresses of folders that hold `repodata/`, without a trailing slash.
    pub bases: Vec<String>,
    /// What `repomd.xml` may be: the versions that a metalink names. `None`: nobody says.
    pub promised: Option<Vec<Version>>,
}

/// Asks a mirror list or metalink, where there is one.
///
/// # Errors
/// [`Error::Get`], or [`Error::Metadata`] where it names no address.
pub async fn resolve(fetcher: &Fetcher, addresses: &Addresses) -> Result<Candidates> {
    match addresses {
        Addresses::BaseUrl(urls) => Ok(Candidates { bases: urls.clone(), promised: None }),
        Addresses::MirrorList(url) => {
            let bytes = fetcher.get(url, MAX_MIRRORLIST).await?;
            Ok(Candidates { bases: some(url, mirrorlist::parse(&bytes))?, promised: None })
        }
        Addresses::Metalink(url) => {
            let bytes = fetcher.get(url, MAX_METALINK).await?;
            let refused = |problem: String| Error::Metadata { url: url.clone(), problem };
            let metalink = Metalink::parse(&bytes).map_err(|error| refused(format!("as a metalink: {}", chain(&error))))?;
            let bases = metalink.urls.iter().filter_map(|url| url.strip_suffix(REPOMD)).map(str::to_owned).collect();
            Ok(Candidates { bases: some(url, bases)?, promised: Some(metalink.versions) })
        }
    }
}

fn some(url: &str, mut bases: Vec<String>) -> Result<Vec<String>> {
    bases.truncate(MOST_BASES);
    if bases.is_empty() {
        let problem = "it names no address of http: or https:, so that the repository cannot be reached by it".to_owned();
        return Err(Error::Metadata { url: url.to_owned(), problem });
    }
    Ok(bases)
}
