//! A repository's root of trust: its repomd.xml, fetched from the first address that has one worth believing.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::addresses::{self, Candidates};
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{Repository, UpstreamState};
use crate::mirror::error::chain;
use crate::mirror::sync::Kept;
use crate::mirror::{Error, Result, keys};
use crate::repo::openpgp::{Keyring, verify_detached};
use crate::repo::rpm::metalink::Version;
use crate::repo::rpm::repomd::{MAX_REPOMD, Repomd};
use crate::sys::fetch::{Fetcher, GetError};

const MAX_SIGNATURE: u64 = 1 << 20;

/// A repository's verified root.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its state, to be remembered.
    pub state: UpstreamState,
    /// Where the rest is fetched from: the address that had this root first.
    pub bases: Vec<String>,
    /// What it says.
    pub repomd: Repomd,
    /// `repomd.xml` as it came.
    pub bytes: Vec<u8>,
    /// `repomd.xml.asc` as it came, where there is one.
    pub signature: Option<Vec<u8>>,
    /// The site's keys for it.
    pub keys: Keyring,
}

impl Root {
    /// The address of a file below the repository, for messages.
    pub fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.bases.first().map_or("", String::as_str))
    }
}

/// Fetches and verifies a repository's root. `held`: the state of the newest snapshot; something older is a rollback attack, or a mirror
/// that lags behind, and refused. Addresses are tried in order.
///
/// # Errors
/// That of the only address, or [`Error::NoAddress`] with those of all.
pub async fn fetch(fetcher: &Fetcher, repository: &Repository, held: &[UpstreamState], now: OffsetDateTime) -> Result<Root> {
    let url = repository.addresses.named();
    let before = held.iter().find(|state| state.url == url && state.suite == repository.name).map(|state| state.date);
    let Candidates { bases, promised } = addresses::resolve(fetcher, &repository.addresses).await?;
    let check = Check { fetcher, repository, promised: promised.as_deref(), keys: keys::keyring(&repository.keys)?, before, now };
    let mut errors = Vec::new();
    for (at, base) in bases.iter().enumerate() {
        match check.root(base).await {
            Ok((repomd, bytes, signature)) => {
                let mut bases = bases.clone();
                bases[..=at].rotate_right(1);
                let release = Sha256::of(&bytes);
                let state = UpstreamState { url: url.to_owned(), suite: repository.name.clone(), date: dated(&repomd), release };
                return Ok(Root { state, bases, repomd, bytes, signature, keys: check.keys });
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.len() == 1
        && let Some(error) = errors.pop()
    {
        return Err(error);
    }
    let refused = errors.iter().any(Error::is_refusal);
    Err(Error::NoAddress { name: repository.name.clone(), problems: errors.iter().map(|error| chain(error)).collect(), refused })
}

/// The root that a snapshot was made from, which was verified then. `published`: where the snapshot has the repository as upstream signed it.
/// `None` if it is not as it was: then upstream is to be asked.
///
/// # Errors
/// If a mirror list or metalink, which tells where packages can be had, does not answer.
pub async fn kept(fetcher: &Fetcher, repository: &Repository, kept: &Kept<'_>, published: Option<PathBuf>) -> Result<Option<Root>> {
    let Ok(bytes) = std::fs::read(kept.folder.join("repodata/repomd.xml")) else { return Ok(None) };
    let Ok(repomd) = Repomd::parse(&bytes) else { return Ok(None) };
    if Sha256::of(&bytes) != kept.state.release {
        return Ok(None);
    }
    let signature = published.and_then(|folder| std::fs::read(folder.join("repodata/repomd.xml.asc")).ok());
    let bases = addresses::resolve(fetcher, &repository.addresses).await?.bases;
    Ok(Some(Root { state: kept.state.clone(), bases, repomd, bytes, signature, keys: keys::keyring(&repository.keys)? }))
}

struct Check<'a> {
    fetcher: &'a Fetcher,
    repository: &'a Repository,
    promised: Option<&'a [Version]>,
    keys: Keyring,
    before: Option<OffsetDateTime>,
    now: OffsetDateTime,
}

impl Check<'_> {
    async fn root(&self, base: &str) -> Result<(Repomd, Vec<u8>, Option<Vec<u8>>)> {
        let url = format!("{base}/repodata/repomd.xml");
        let refused = |problem: String| Error::Metadata { url: url.clone(), problem };
        let (bytes, signature) = match self.signed(&url).await {
            // Between two requests upstream may have published: then the two are of different generations.
            Err(Error::NotTrusted { .. }) => self.signed(&url).await?,
            other => other?,
        };
        if let Some(versions) = self.promised
            && !versions.iter().any(|version| version.is(&bytes))
        {
            let promised = versions.iter().flat_map(|version| &version.checksums).map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            return Err(refused(format!(
                "it has sha256:{}, where the metalink {} promises {promised}: one of both lies, or the mirror lags behind",
                Sha256::of(&bytes),
                self.repository.addresses.named()
            )));
        }
        let repomd = Repomd::parse(&bytes).map_err(|error| refused(chain(&error)))?;
        if let Some(before) = self.before.filter(|before| dated(&repomd) < *before) {
            return Err(refused(format!(
                "it is of {}, older than the one held, of {before}: refused as a rollback (an attack, or a mirror that lags behind)",
                dated(&repomd)
            )));
        }
        Ok((repomd, bytes, signature))
    }

    /// `repomd.xml` with its signature, which is checked where the definition says so.
    async fn signed(&self, url: &str) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let signature_url = format!("{url}.asc");
        let bytes = self.fetcher.get(url, MAX_REPOMD).await?;
        let signature = match self.fetcher.get(&signature_url, MAX_SIGNATURE).await {
            Ok(signature) => Some(signature),
            Err(GetError::Missing(_)) if self.repository.repo_gpgcheck => return Err(Error::Unsigned { url: signature_url }),
            Err(GetError::Missing(_)) => None,
            Err(other) => return Err(other.into()),
        };
        if let (true, Some(signature)) = (self.repository.repo_gpgcheck, &signature) {
            let failed = |source| Error::NotTrusted { url: signature_url, source: Box::new(source) };
            verify_detached(&bytes, signature, &self.keys, self.now).map_err(failed)?;
        }
        Ok((bytes, signature))
    }
}

/// When a repository's metadata was made: the newest of its records.
fn dated(repomd: &Repomd) -> OffsetDateTime {
    let newest = repomd.records.iter().map(|record| record.timestamp).max().unwrap_or(0);
    i64::try_from(newest).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
