//! A snapshot with an installer in it, as a sync leaves it.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use kickctl::app::DataDir;
use kickctl::domain::mirror::{InstallerFiles, LiveFiles, PublishedSuite, Snapshot};
use kickctl::domain::node::Arch;
use time::OffsetDateTime;

/// Its id.
pub const SNAPSHOT: &str = "20261121T060000Z-3f9a2c41";

/// Makes it, of a mirror, with the files of a live system or without, and publishes it.
pub fn snapshot(data: &DataDir, mirror: &str, live: Option<LiveFiles>) {
    let folder = data.mirrors().join(mirror).join("snapshots").join(SNAPSHOT);
    std::fs::create_dir_all(folder.join("tree/images")).unwrap();
    std::fs::write(folder.join("tree/images/linux"), "a kernel").unwrap();
    std::fs::write(folder.join("tree/images/initrd.gz"), "an initial RAM disk").unwrap();
    let suite = PublishedSuite { suite: "trixie".into(), codename: "trixie".into(), components: vec!["main".into()], rebuilt: true };
    let installer = InstallerFiles {
        arch: Arch::Amd64,
        kernel: "images/linux".into(),
        initrd: "images/initrd.gz".into(),
        kernel_release: "6.12.94+deb13-amd64".into(),
        tree: None,
        live,
    };
    let record = Snapshot {
        id: SNAPSHOT.parse().unwrap(),
        mirror: mirror.parse().unwrap(),
        made: OffsetDateTime::UNIX_EPOCH,
        upstream: vec![],
        suites: vec![suite],
        repositories: vec![],
        packages: 0,
        udebs: 0,
        files: 2,
        bytes: 27,
        installers: vec![installer],
        left_out: vec![],
        input: String::new(),
    };
    std::fs::write(folder.join("snapshot.json"), serde_json::to_vec(&record).unwrap()).unwrap();
    std::os::unix::fs::symlink(format!("snapshots/{SNAPSHOT}"), data.mirrors().join(mirror).join("current")).unwrap();
}
