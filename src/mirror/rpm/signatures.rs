//! The packages' own signatures, checked over the objects in the store.

use std::io::BufReader;

use rayon::prelude::*;
use time::OffsetDateTime;

use super::packages::Item;
use crate::domain::checksum::Sha256;
use crate::mirror::error::chain;
use crate::repo::openpgp::{Keyring, Rejected, verify_bytes};
use crate::repo::rpm::signature::SignedHeader;
use crate::sys::objects::ObjectStore;

/// What a snapshot's folder of upstream's files tells of signatures: one line `SHA-256 KEYS` for each package that was checked.
pub const CHECKED: &str = "signatures";

/// What stands for a package that was signed by one of these keys.
pub fn line(item: &Item, keys: &Keyring) -> String {
    let all = Sha256::of(keys.fingerprints().join(" ").as_bytes());
    format!("{} {all}", item.file.sha256)
}

/// What is wrong, one line a package. `keys`: who may sign an item.
pub fn check<'a>(store: &ObjectStore, items: &[&Item], keys: impl Fn(&Item) -> &'a Keyring + Sync, now: OffsetDateTime) -> Vec<String> {
    let problem =
        |item: &&Item| one(store, item, keys(item), now).err().map(|problem| format!("{} ({}): {problem}", item.href, item.label));
    items.par_iter().filter_map(problem).collect()
}

fn one(store: &ObjectStore, item: &Item, keys: &Keyring, now: OffsetDateTime) -> Result<(), String> {
    let file = store.read(item.file.sha256).map_err(|error| error.to_string())?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let signed = SignedHeader::read(&mut reader).map_err(|error| chain(&error))?;
    let verdicts: Vec<Result<_, Rejected>> =
        signed.signatures.iter().map(|signature| verify_bytes(&signed.header, signature, keys, now)).collect();
    if !verdicts.iter().any(Result::is_ok) {
        let reason = verdicts.into_iter().filter_map(Result::err).max();
        return Err(reason.map_or_else(|| "it has no signature".to_owned(), |reason| reason.to_string()));
    }
    signed.check_payload(&mut reader).map_err(|error| chain(&error))
}
