//! What a carrier says of itself.

use serde::{Deserialize, Serialize};

use crate::domain::checksum::{FileEntry, Sha256};
use crate::domain::mirror::Snapshot;
use crate::domain::name::{MirrorName, SnapshotId};

/// The largest manifest that is read, bytes; one of all of Debian's main has 20 MB.
pub const MAX_MANIFEST: u64 = 512 << 20;
/// Raised when an older kickctl could not take a carrier in.
pub const FORMAT: u32 = 1;
/// A tar's block.
pub const BLOCK: u64 = 512;

/// A manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the carrier.
    pub format: u32,
    /// The version of kickctl that wrote it; for people.
    pub kickctl: String,
    /// The mirror.
    pub mirror: MirrorName,
    /// Its definition as it was written.
    pub definition: String,
    /// The snapshot's record.
    pub snapshot: Snapshot,
    /// The snapshot whose files are left out.
    pub since: Option<SnapshotId>,
    /// The most bytes of one volume.
    pub volume_size: Option<u64>,
    /// The files of the snapshot's tree.
    pub tree: Vec<Line>,
    /// Upstream's own files that it was made from.
    pub upstream: Vec<Line>,
    /// The objects that are carried, in their order.
    pub objects: Vec<Object>,
}

/// A file: path, digest, size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub String, pub Sha256, pub u64);

/// An object: digest, size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object(pub Sha256, pub u64);

impl Line {
    /// Its digest and size.
    pub fn entry(&self) -> FileEntry {
        FileEntry { size: self.2, sha256: self.1 }
    }
}

impl Manifest {
    /// Bytes of the objects together.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.1).sum()
    }

    /// How long the tar is that carries it, its two empty blocks at the end included. `manifest`, `key`: the sizes of these members.
    pub fn tar_length(&self, manifest: u64, key: u64) -> u64 {
        let members = [manifest, key].into_iter().chain(self.objects.iter().map(|object| object.1));
        members.map(|size| BLOCK.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK))).fold(2 * BLOCK, u64::saturating_add)
    }

    /// Reads one. What it does not know is passed over, as long as the format is one it knows.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            #[serde(default)]
            kickctl: String,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| format!("its manifest does not read: {error}"))?;
        if head.format > FORMAT {
            let Head { format, kickctl } = head;
            return Err(format!(
                "it is of format {format}, written by kickctl {kickctl}; this kickctl reads up to format {FORMAT}: use that one"
            ));
        }
        serde_json::from_str(text).map_err(|error| format!("its manifest does not read: {error}"))
    }
}
