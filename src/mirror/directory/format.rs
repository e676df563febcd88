//! The sync of a mirror that is a directory: the third kind beside Debian archives and RPM repositories.

use super::indexer::{Indexed, Indexer};
use super::packages::{Offered, Packages, Terms, list};
use super::sink::IntoTree;
use crate::domain::mirror::{DirectoryMirror, Snapshot, UpstreamState};
use crate::mirror::assemble::Tree;
use crate::mirror::deb;
use crate::mirror::format::{Content, Format, Gathered};
use crate::mirror::sync::{Fetched, Planned, Sync};
use crate::mirror::{Error, Result};

/// What packages are remembered in, in the mirror's folder.
const CACHE: &str = "packages.cache";

/// A sync of a directory.
pub(in crate::mirror) struct Directory<'a> {
    /// Its surroundings.
    pub sync: &'a Sync<'a>,
    /// What to copy.
    pub definition: &'a DirectoryMirror,
}

/// The directory as it was found.
pub(in crate::mirror) struct Seen {
    packages: Packages,
    indexed: Indexed,
    /// Stands for all that the metadata will say.
    content: String,
}

impl Format for Directory<'_> {
    type Roots = Seen;

    /// Reads what is new in the directory, and copies it: an index can be made only of packages that were read.
    async fn ask(&self, _: Option<&Snapshot>) -> Result<Seen> {
        let Sync { tools, dir, options, .. } = self.sync;
        let root = &self.definition.path;
        tools.stage("reading the directory");
        let found = list(root, Some(self.definition.packages))?;
        let packages = Packages::new(self.definition.packages, "pool/");
        let indexer = Indexer {
            root,
            kind: packages.kind(),
            store: (!options.dry_run).then_some(&tools.store),
            cache: &dir.root().join(CACHE),
            leave_out: options.allow_missing,
        };
        let indexed = indexer.run(&found)?;
        let content = format!("{}\n{}", indexed.cache.content(), indexed.left_out.join("\n"));
        Ok(Seen { packages, indexed, content })
    }

    fn states(&self, _: &Seen) -> Vec<UpstreamState> {
        Vec::new()
    }

    fn further_input(&self, seen: &Seen) -> String {
        seen.content.clone()
    }

    async fn gather(&self, seen: &Seen) -> Result<Gathered> {
        let Sync { tools, key, mirror, now, .. } = self.sync;
        let (indexed, packages) = (&seen.indexed, &seen.packages);
        let (mut tree, mut udebs) = (Tree::default(), 0);
        for block in 0..indexed.cache.blocks() {
            for entry in indexed.cache.table(block).ok_or_else(super::deb_archive::damaged)? {
                udebs += u64::from(entry.path.ends_with(".udeb"));
                tree.add(packages.place(&entry.path), entry.sha256, entry.stamp.size);
            }
        }
        let count = indexed.cache.entries() - udebs;
        let fetched = Fetched { files: indexed.read, bytes: indexed.read_bytes };
        if self.sync.options.dry_run {
            let planned = Planned { packages: count, udebs, bytes: indexed.bytes, fetch_files: fetched.files, fetch_bytes: fetched.bytes };
            return Ok(Gathered::Planned(planned));
        }
        let key = key.ok_or_else(|| Error::Usage("a directory's metadata needs the head's signing key".to_owned()))?;
        let suite = self.definition.publish_as.as_deref().unwrap_or(mirror.name.as_str());
        let terms = Terms { name: mirror.name.as_str(), suite, key: Some(key), now: *now };
        let offered = packages.write(&indexed.cache, &terms, &mut IntoTree { store: &tools.store, tree: &mut tree })?;
        deb::add_former_indices(self.sync.dir, &tools.store, &mut tree);
        let Offered { suites, repositories } = offered;
        let content =
            Content { tree, suites, repositories, packages: count, udebs, left_out: indexed.left_out.clone(), ..Content::default() };
        Ok(Gathered::Content(Box::new(content), fetched))
    }
}
