//! A suite's root of trust: its InRelease (or Release with Release.gpg), fetched and verified.

use time::OffsetDateTime;

use super::verify::signed_part;
use crate::domain::checksum::Sha256;
use crate::domain::mirror::{DebianSource, UpstreamState};
use crate::mirror::sync::Kept;
use crate::mirror::{Error, Result};
use crate::repo::deb::release::Release;
use crate::repo::openpgp::{self, Keyring};
use crate::sys::fetch::{Fetcher, GetError, address};

/// The largest Release file that is read. Debian's has 140 KB, Ubuntu's 270 KB.
const MAX_RELEASE: u64 = 16 << 20;
const MAX_SIGNATURE: u64 = 1 << 20;

/// A verified suite.
#[derive(Clone, Debug)]
pub struct Root {
    /// The archive's root.
    pub url: String,
    /// The suite as the definition names it.
    pub suite: String,
    /// What it says.
    pub release: Release,
    /// Its files as they came: name below `dists/<suite>/`, bytes.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// SHA-256 of InRelease, or of Release where there is no InRelease.
    pub digest: Sha256,
    /// True if it is the newest snapshot's, and upstream was not asked.
    pub kept: bool,
}

impl Root {
    /// Its address, for messages.
    pub fn address(&self) -> String {
        let name = self.files.first().map_or("InRelease", |(name, _)| name);
        format!("{}/dists/{}/{name}", self.url, self.suite)
    }

    /// What a snapshot remembers of it.
    pub fn state(&self) -> UpstreamState {
        UpstreamState { url: self.url.clone(), suite: self.suite.clone(), date: self.release.date, release: self.digest }
    }
}

/// Fetches and verifies one suite's root. `held`: the state of the newest snapshot; an older Date is a rollback attack, and refused. So is
/// an expired Valid-Until, also when nothing changed since: a mirror in the middle may be holding updates back.
///
/// # Errors
/// [`Error::NotTrusted`], [`Error::Release`], [`Error::Get`].
pub async fn fetch(
    fetcher: &Fetcher,
    source: &DebianSource,
    suite: &str,
    ring: &Keyring,
    held: &[UpstreamState],
    now: OffsetDateTime,
) -> Result<Root> {
    let at = |name: &str| address(&source.url, &format!("dists/{suite}/{name}"));
    let url = at("InRelease");
    let (text, files) = match fetcher.get(&url, MAX_RELEASE).await {
        Ok(bytes) => {
            let verified = openpgp::verify_cleartext(&bytes, ring, now)
                .map_err(|source| Error::NotTrusted { url: url.clone(), source: Box::new(source) })?;
            (verified.text, vec![("InRelease", bytes)])
        }
        Err(GetError::Missing(_)) => detached(fetcher, &at, ring, now).await?,
        Err(other) => return Err(other.into()),
    };
    let refused = |source| Error::Release { url: url.clone(), source: Box::new(source) };
    let release = Release::parse(&text).map_err(refused)?;
    let before = held.iter().find(|state| state.url == source.url && state.suite == suite);
    release.check(now, before.map(|state| state.date)).map_err(refused)?;
    let digest = Sha256::of(files.first().map_or(&[], |(_, bytes)| bytes.as_slice()));
    Ok(Root { url: source.url.clone(), suite: suite.to_owned(), release, files, digest, kept: false })
}

/// The root that a snapshot was made from, which was verified then. `None` if it is not as it was: then upstream is to be asked.
pub fn kept(kept: &Kept<'_>) -> Option<Root> {
    let UpstreamState { url, suite, release, .. } = kept.state;
    let folder = kept.folder.join("dists").join(suite);
    let read = |name: &'static str| std::fs::read(folder.join(name)).ok().map(|bytes| (name, bytes));
    let files: Vec<(&'static str, Vec<u8>)> = ["InRelease", "Release", "Release.gpg"].into_iter().filter_map(read).collect();
    let digest = Sha256::of(&files.first()?.1);
    let text = String::from_utf8(files.first()?.1.clone()).ok()?;
    let parsed = Release::parse(signed_part(&text)).ok()?;
    (digest == *release).then(|| Root { url: url.clone(), suite: suite.clone(), release: parsed, files, digest, kept: true })
}

/// Release with Release.gpg: archives that have no InRelease.
async fn detached(
    fetcher: &Fetcher,
    at: &(dyn Fn(&str) -> String + Sync),
    ring: &Keyring,
    now: OffsetDateTime,
) -> Result<(String, Vec<(&'static str, Vec<u8>)>)> {
    let (url, signature_url) = (at("Release"), at("Release.gpg"));
    let bytes = fetcher.get(&url, MAX_RELEASE).await?;
    let signature = fetcher.get(&signature_url, MAX_SIGNATURE).await?;
    let verified = openpgp::verify_detached(&bytes, &signature, ring, now)
        .map_err(|source| Error::NotTrusted { url: signature_url, source: Box::new(source) })?;
    Ok((verified.text, vec![("Release", bytes), ("Release.gpg", signature)]))
}
