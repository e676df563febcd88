//! The NFS server call by call: permissions, handles, changes, and what it refuses. (`nfs_clients.rs` has it at the end of real clients.)
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/netns.rs"]
mod netns;
#[path = "support/nfs.rs"]
mod nfs;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use kickctl::net::nfs::{Access, Export, Squash};
use nfs::{Client, Lab, MOUNT, NFS, Outcome, STRANGER, at, export, mode_and_owner, some};
use nfs3_types::nfs3::*;
use nfs3_types::xdr_codec::{Opaque, Void};

/// Files of all sorts.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    file(&path("public"), 0o644, b"for all");
    file(&path("shadow"), 0o600, b"for root alone");
    file(&path("staff"), 0o640, b"for a group");
    chown(path("staff"), Some(0), Some(50)).unwrap();
    file(&path("su"), 0o4755, b"#!");
    fs::create_dir(path("private")).unwrap();
    file(&path("private/public"), 0o644, b"behind a closed door");
    fs::set_permissions(path("private"), PermissionsExt::from_mode(0o700)).unwrap();
    symlink("/etc/passwd", path("link")).unwrap();
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    mknodat(CWD, path("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3)).unwrap();
    mknodat(CWD, path("disk"), FileType::BlockDevice, Mode::from_raw_mode(0o660), makedev(259, 70_000)).unwrap();
    folder
}

fn file(path: &Path, mode: u32, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A lab with the tree exported read-only at /ro, a client of uid 0, and the root's handle.
fn read_only() -> (tempfile::TempDir, Lab, Client, nfs_fh3) {
    let (folder, lab) = (tree(), Lab::new());
    lab.site.export("/ro", export(1, folder.path(), Access::ReadOnly));
    let mut client = lab.client(0, 0, &[]);
    let root = client.mount("/ro").unwrap();
    (folder, lab, client, root)
}

fn lookup(client: &mut Client, directory: &nfs_fh3, name: &str) -> Outcome<LOOKUP3resok> {
    client.call(3, &LOOKUP3args { what: at(directory, name) })
}

fn read(client: &mut Client, file: &nfs_fh3, offset: u64, count: u32) -> Outcome<Vec<u8>> {
    client.call::<READ3resok>(6, &READ3args { file: file.clone(), offset, count }).map(|read| read.data.to_vec())
}

fn attributes(client: &mut Client, object: &nfs_fh3) -> Outcome<fattr3> {
    client.call::<GETATTR3resok>(1, &GETATTR3args { object: object.clone() }).map(|ok| ok.obj_attributes)
}

fn look(client: &mut Client, directory: &nfs_fh3, name: &str) -> (nfs_fh3, fattr3) {
    let found = lookup(client, directory, name).unwrap();
    (found.object, some(found.obj_attributes))
}

#[test]
fn who_may_read_is_decided_by_the_ids_of_the_call() {
    let (_folder, _lab, mut client, root) = read_only();
    let [shadow, staff, private] = ["shadow", "staff", "private"].map(|name| look(&mut client, &root, name).0);
    let inside = look(&mut client, &private, "public").0;
    assert_eq!(read(&mut client, &shadow, 0, 100).unwrap(), b"for root alone", "root is not squashed here");
    client.becomes(1000, 1000, &[]);
    assert_eq!(read(&mut client, &shadow, 0, 100), Err(nfsstat3::NFS3ERR_ACCES));
    assert_eq!(read(&mut client, &staff, 0, 100), Err(nfsstat3::NFS3ERR_ACCES));
    assert_eq!(lookup(&mut client, &private, "public").unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(read(&mut client, &inside, 0, 100).unwrap(), b"behind a closed door", "an open file stays open");
    let list = READDIR3args { dir: private, cookie: 0, cookieverf: cookieverf3::default(), count: 4096 };
    assert_eq!(client.call::<READDIR3resok>(16, &list).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    let access = |client: &mut Client, object: &nfs_fh3| {
        client.call::<ACCESS3resok>(4, &ACCESS3args { object: object.clone(), access: 0x3f }).unwrap().access
    };
    assert_eq!(access(&mut client, &shadow), 0);
    assert_eq!(access(&mut client, &staff), 0);
    client.becomes(1000, 1000, &[4, 50]);
    assert_eq!(access(&mut client, &staff), 1, "by a supplementary group");
    assert_eq!(read(&mut client, &staff, 0, 100).unwrap(), b"for a group");
}

#[test]
fn root_is_nobody_where_an_export_says_so() {
    let (folder, lab) = (tree(), Lab::new());
    lab.site.export("/squashed", Export { squash: Squash::Root, ..export(2, folder.path(), Access::ReadOnly) });
    let mut client = lab.client(0, 0, &[]);
    let root = client.mount("/squashed").unwrap();
    let shadow = look(&mut client, &root, "shadow").0;
    assert_eq!(read(&mut client, &shadow, 0, 100), Err(nfsstat3::NFS3ERR_ACCES));
}

#[test]
fn attributes_are_those_of_the_file_setuid_bits_devices_and_links_too() {
    let (folder, _lab, mut client, root) = read_only();
    assert_eq!(mode_and_owner(&look(&mut client, &root, "su").1), (0o4755, 0, 0));
    let (_, null) = look(&mut client, &root, "null");
    assert_eq!((null.type_, null.rdev.specdata1, null.rdev.specdata2), (ftype3::NF3CHR, 1, 3));
    let (_, disk) = look(&mut client, &root, "disk");
    assert_eq!((disk.type_, disk.rdev.specdata1, disk.rdev.specdata2), (ftype3::NF3BLK, 259, 70_000));
    let (link, seen) = look(&mut client, &root, "link");
    assert_eq!((seen.type_, seen.size), (ftype3::NF3LNK, 11));
    let target = client.call::<READLINK3resok>(5, &READLINK3args { symlink: link.clone() }).unwrap();
    assert_eq!(target.data.as_ref(), b"/etc/passwd");
    assert_eq!(read(&mut client, &link, 0, 10), Err(nfsstat3::NFS3ERR_INVAL), "the server does not follow it");
    assert_eq!(lookup(&mut client, &link, "x").unwrap_err(), nfsstat3::NFS3ERR_NOTDIR);
    let here = fs::metadata(folder.path().join("staff")).unwrap();
    let (_, there) = look(&mut client, &root, "staff");
    assert_eq!((there.fileid, there.size, there.mtime.seconds), (here.ino(), here.size(), here.mtime() as u32));
    assert_eq!(there.fsid, 1, "the export's number");
}

#[test]
fn limits_and_space_are_the_file_systems_own() {
    let (folder, _lab, mut client, root) = read_only();
    let space: FSSTAT3resok = client.call(18, &FSSTAT3args { fsroot: root.clone() }).unwrap();
    let own = rustix::fs::statvfs(folder.path()).unwrap();
    assert_eq!((space.tbytes, space.tfiles), (own.f_blocks * own.f_frsize, own.f_files));
    let limits: PATHCONF3resok = client.call(20, &PATHCONF3args { object: root.clone() }).unwrap();
    assert_eq!((u64::from(limits.name_max), limits.no_trunc), (own.f_namemax, true));
    let info: FSINFO3resok = client.call(19, &FSINFO3args { fsroot: root }).unwrap();
    assert_eq!((info.rtmax, info.wtmax), (1 << 20, 1 << 20));
}

#[test]
fn content_beyond_4_gib_is_read_and_the_end_is_told() {
    let (folder, _lab, mut client, root) = read_only();
    let end = 5 << 30;
    let large = fs::File::create(folder.path().join("large")).unwrap();
    let pattern: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    large.write_all_at(&pattern, end).unwrap();
    let (file, attributes) = look(&mut client, &root, "large");
    assert_eq!(attributes.size, end + 3_000_001);
    // Both ways of answering: copied, and straight from the file, aligned or not.
    for (offset, count) in [(0, 100), (1, 32 << 10), (3, 40_001), (1 << 20, 1 << 20), (2_000_000, 1 << 20), (2_999_999, 10)] {
        let reply: READ3resok = client.call(6, &READ3args { file: file.clone(), offset: end + offset, count }).unwrap();
        let expected = &pattern[offset as usize..(offset as usize + count as usize).min(pattern.len())];
        assert!(reply.data.as_ref() == expected, "at {offset}, {count} bytes");
        assert_eq!((reply.count as usize, reply.eof), (expected.len(), offset + u64::from(count) >= 3_000_001));
    }
    assert_eq!(read(&mut client, &file, end + 3_000_001, 100).unwrap(), b"");
    assert_eq!(read(&mut client, &file, u64::MAX, 100).unwrap(), b"");
}

#[test]
fn a_listing_in_pieces_has_every_name_once() {
    let (folder, _lab, mut client, root) = read_only();
    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..3000 {
        fs::File::create(many.join(format!("file-{number:05}"))).unwrap();
    }
    let directory = look(&mut client, &root, "many").0;
    for plus in [false, true] {
        let (mut names, mut cookie, mut replies) = (vec![], 0, 0);
        loop {
            let (page, complete) = list(&mut client, &directory, cookie, plus, 8192);
            (cookie, replies) = (page.last().unwrap().1, replies + 1);
            names.extend(page.into_iter().map(|(name, _)| name));
            if complete {
                break;
            }
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 3002, "with . and ..; READDIRPLUS: {plus}");
        assert!(replies > 5);
    }
    let tiny = READDIR3args { dir: directory, cookie: 0, cookieverf: cookieverf3::default(), count: 100 };
    assert_eq!(client.call::<READDIR3resok>(16, &tiny).unwrap_err(), nfsstat3::NFS3ERR_TOOSMALL);
}

fn list(client: &mut Client, directory: &nfs_fh3, cookie: u64, plus: bool, count: u32) -> (Vec<(Vec<u8>, u64)>, bool) {
    let (dir, cookieverf) = (directory.clone(), cookieverf3::default());
    if plus {
        let args = READDIRPLUS3args { dir, cookie, cookieverf, dircount: count, maxcount: count };
        let reply: READDIRPLUS3resok = client.call(17, &args).unwrap();
        let entries = reply.reply.entries.into_inner();
        for entry in entries.iter().filter(|entry| !entry.name.as_ref().starts_with(b".")) {
            assert!(entry.name_attributes.is_some() && entry.name_handle.is_some());
        }
        (entries.into_iter().map(|entry| (entry.name.as_ref().to_vec(), entry.cookie)).collect(), reply.reply.eof)
    } else {
        let reply: READDIR3resok = client.call(16, &READDIR3args { dir, cookie, cookieverf, count }).unwrap();
        let entries = reply.reply.entries.into_inner();
        (entries.into_iter().map(|entry| (entry.name.as_ref().to_vec(), entry.cookie)).collect(), reply.reply.eof)
    }
}

#[test]
fn handles_outlive_a_restart_and_a_rename_but_not_their_file() {
    let (folder, mut lab, mut client, root) = read_only();
    let (public, staff) = (look(&mut client, &root, "public").0, look(&mut client, &root, "staff").0);
    lab.stop();
    fs::rename(folder.path().join("public"), folder.path().join("renamed")).unwrap();
    fs::remove_file(folder.path().join("staff")).unwrap();
    lab.start(7);
    let mut client = lab.client(0, 0, &[]);
    assert_eq!(read(&mut client, &public, 0, 100).unwrap(), b"for all", "without a mount");
    assert_eq!(attributes(&mut client, &staff).unwrap_err(), nfsstat3::NFS3ERR_STALE);
    assert!(attributes(&mut client, &root).is_ok());
    fs::remove_file(folder.path().join("renamed")).unwrap();
    assert_eq!(attributes(&mut client, &public).unwrap_err(), nfsstat3::NFS3ERR_STALE, "while the server still has it open");
    lab.stop();
    lab.start(8);
    let mut client = lab.client(0, 0, &[]);
    assert_eq!(attributes(&mut client, &root).unwrap_err(), nfsstat3::NFS3ERR_BADHANDLE, "made with another key");
}

#[test]
fn nothing_leads_out_of_an_export() {
    let (folder, lab, mut client, root) = read_only();
    let (_, own) = (root.clone(), attributes(&mut client, &root).unwrap());
    assert_eq!(look(&mut client, &root, "..").1.fileid, own.fileid, "above the root is the root");
    let private = look(&mut client, &root, "private").0;
    assert_eq!(look(&mut client, &private, "..").1.fileid, own.fileid);
    assert_eq!(lookup(&mut client, &root, "../etc").unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(lookup(&mut client, &root, "/etc").unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    // A directory that has been moved away: the one above it is outside.
    let outside = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
    fs::rename(folder.path().join("private"), outside.path().join("private")).unwrap();
    assert_eq!(lookup(&mut client, &private, "..").unwrap_err(), nfsstat3::NFS3ERR_STALE);
    // The handle of one export under the name of another, and one whose inode number has been guessed.
    lab.site.export("/other", export(2, outside.path(), Access::ReadOnly));
    let mut forged = root.data.to_vec();
    forged[8] = 2;
    let forged = nfs_fh3 { data: Opaque::owned(forged) };
    assert_eq!(attributes(&mut client, &forged).unwrap_err(), nfsstat3::NFS3ERR_BADHANDLE);
    let mut guessed = root.data.to_vec();
    let inode = guessed.len() - 8;
    guessed[inode..inode + 4].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(attributes(&mut client, &nfs_fh3 { data: Opaque::owned(guessed) }).unwrap_err(), nfsstat3::NFS3ERR_BADHANDLE);
    assert_eq!(attributes(&mut client, &nfs_fh3 { data: Opaque::owned(vec![]) }).unwrap_err(), nfsstat3::NFS3ERR_BADHANDLE);
}

#[test]
fn an_address_that_is_not_assigned_and_a_port_that_is_not_reserved_get_nothing() {
    let (_folder, lab, mut client, root) = read_only();
    let public = look(&mut client, &root, "public").0;
    let root_user = || (0, 0, vec![]);
    let mut stranger = lab.client_at(STRANGER, 600..1024, root_user());
    assert_eq!(stranger.mount("/ro").unwrap_err(), "MNT3ERR_ACCES");
    assert_eq!(read(&mut stranger, &public, 0, 100), Err(nfsstat3::NFS3ERR_STALE), "with a stolen handle");
    let mut user = lab.client_at(nfs::NODE, 2000..2100, root_user());
    assert_eq!(user.mount("/ro").unwrap_err(), "MNT3ERR_ACCES");
    assert_eq!(read(&mut user, &public, 0, 100), Err(nfsstat3::NFS3ERR_PERM));
    assert_eq!(client.mount("/elsewhere").unwrap_err(), "MNT3ERR_ACCES");
    lab.site.withdraw("/ro");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(read(&mut client, &public, 0, 100), Err(nfsstat3::NFS3ERR_STALE), "no longer assigned");
}

#[test]
fn a_record_that_is_too_long_ends_the_connection_and_one_client_does_not_take_every_place() {
    let (_folder, lab, mut client, _root) = read_only();
    client.stream.write_all(&[0xff; 4]).unwrap();
    assert_eq!(client.stream.read(&mut [0; 4]).unwrap_or(0), 0);
    let mut clients: Vec<Client> = (0..20).map(|_| lab.client(0, 0, &[])).collect();
    let served = clients.iter_mut().filter_map(|client| {
        let message = client.encode(NFS, 0, &Void);
        client.stream.write_all(&message).ok()?;
        (client.stream.read(&mut [0; 28]).ok()? > 0).then_some(())
    });
    assert_eq!(served.count(), 16);
}

#[test]
fn every_procedure_is_answered() {
    let (_folder, _lab, mut client, _root) = read_only();
    assert_eq!(client.raw(NFS, 0, &Void), Ok(vec![]));
    for procedure in 1..22 {
        assert_eq!(client.raw(NFS, procedure, &Void), Err(4), "procedure {procedure} without arguments: GARBAGE_ARGS");
    }
    assert_eq!(client.raw(NFS, 22, &Void), Err(3), "PROC_UNAVAIL");
    assert_eq!(client.raw(100_021, 0, &Void), Err(1), "no lock manager: PROG_UNAVAIL");
    assert_eq!(client.raw(MOUNT, 5, &Void), Ok(vec![0; 4]), "the list of exports is nobody's business");
}

#[path = "nfs_server/changes.rs"]
mod changes;

fn writable() -> (tempfile::TempDir, Lab, Client, nfs_fh3) {
    let (folder, lab) = (tree(), Lab::new());
    lab.site.export("/rw", export(3, folder.path(), Access::ReadWrite));
    let mut client = lab.client(0, 0, &[]);
    let root = client.mount("/rw").unwrap();
    (folder, lab, client, root)
}

fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
