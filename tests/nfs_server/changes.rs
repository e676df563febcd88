//! The procedures that change something.

use super::*;

fn new(mode: u32) -> sattr3 {
    sattr3 { mode: Nfs3Option::Some(mode), ..Default::default() }
}

fn create(client: &mut Client, directory: &nfs_fh3, name: &str, how: createhow3) -> Outcome<nfs_fh3> {
    let args = CREATE3args { where_: at(directory, name), how };
    client.call::<CREATE3resok>(8, &args).map(|made| some(made.obj))
}

fn write(client: &mut Client, file: &nfs_fh3, offset: u64, data: &[u8], stable: stable_how) -> Outcome<WRITE3resok> {
    let args = WRITE3args { file: file.clone(), offset, count: data.len() as u32, stable, data: Opaque::borrowed(data) };
    client.call(7, &args)
}

fn remove(client: &mut Client, directory: &nfs_fh3, name: &str) -> Outcome<REMOVE3resok> {
    client.call(12, &REMOVE3args { object: at(directory, name) })
}

fn set(client: &mut Client, object: &nfs_fh3, new_attributes: sattr3) -> Outcome<SETATTR3resok> {
    client.call(2, &SETATTR3args { object: object.clone(), new_attributes, guard: Nfs3Option::None })
}

#[test]
fn a_read_only_export_refuses_every_change() {
    let (folder, _lab, mut client, root) = read_only();
    let file = look(&mut client, &root, "public").0;
    let entry = || at(&root, "new");
    let data = devicedata3 { dev_attributes: new(0o600), spec: specdata3 { specdata1: 1, specdata2: 3 } };
    let target = symlinkdata3 { symlink_attributes: sattr3::default(), symlink_data: b"x"[..].into() };
    let refused = [
        set(&mut client, &file, new(0o777)).err(),
        write(&mut client, &file, 0, b"x", stable_how::UNSTABLE).err(),
        create(&mut client, &root, "new", createhow3::UNCHECKED(new(0o644))).err(),
        client.call::<MKDIR3resok>(9, &MKDIR3args { where_: entry(), attributes: new(0o755) }).err(),
        client.call::<SYMLINK3resok>(10, &SYMLINK3args { where_: entry(), symlink: target }).err(),
        client.call::<MKNOD3resok>(11, &MKNOD3args { where_: entry(), what: mknoddata3::NF3CHR(data) }).err(),
        remove(&mut client, &root, "public").err(),
        client.call::<RMDIR3resok>(13, &RMDIR3args { object: at(&root, "private") }).err(),
        client.call::<RENAME3resok>(14, &RENAME3args { from: at(&root, "public"), to: entry() }).err(),
        client.call::<LINK3resok>(15, &LINK3args { file: file.clone(), link: entry() }).err(),
        client.call::<COMMIT3resok>(21, &COMMIT3args { file, offset: 0, count: 0 }).err(),
    ];
    assert_eq!(refused, [Some(nfsstat3::NFS3ERR_ROFS); 11]);
    assert_eq!(fs::read(path(&folder, "public")).unwrap(), b"for all");
}

#[test]
fn what_a_user_makes_is_his_and_he_makes_nothing_where_he_may_not() {
    let (folder, _lab, mut client, root) = writable();
    fs::create_dir(path(&folder, "tmp")).unwrap();
    fs::set_permissions(path(&folder, "tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    let tmp = look(&mut client, &root, "tmp").0;
    create(&mut client, &tmp, "roots", createhow3::GUARDED(new(0o666))).unwrap();

    client.becomes(1000, 100, &[50]);
    assert_eq!(create(&mut client, &root, "mine", createhow3::GUARDED(new(0o644))), Err(nfsstat3::NFS3ERR_ACCES));
    let mine = create(&mut client, &tmp, "mine", createhow3::GUARDED(new(0o444))).unwrap();
    let made = fs::metadata(path(&folder, "tmp/mine")).unwrap();
    assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o444, 1000, 100));
    write(&mut client, &mine, 0, b"though it is 0444", stable_how::FILE_SYNC).unwrap();
    assert_eq!(create(&mut client, &tmp, "mine", createhow3::GUARDED(new(0o644))), Err(nfsstat3::NFS3ERR_EXIST));
    assert_eq!(remove(&mut client, &tmp, "roots").unwrap_err(), nfsstat3::NFS3ERR_PERM, "a sticky directory");
    let give = |uid, gid| sattr3 { uid, gid, ..Default::default() };
    assert_eq!(set(&mut client, &mine, give(Nfs3Option::Some(0), Nfs3Option::None)).unwrap_err(), nfsstat3::NFS3ERR_PERM);
    set(&mut client, &mine, give(Nfs3Option::None, Nfs3Option::Some(50))).unwrap();
    assert_eq!(fs::metadata(path(&folder, "tmp/mine")).unwrap().gid(), 50, "to a group of his");
    let disk = mknoddata3::NF3BLK(devicedata3 { dev_attributes: new(0o666), spec: specdata3 { specdata1: 8, specdata2: 0 } });
    let device = MKNOD3args { where_: at(&tmp, "sda"), what: disk };
    assert_eq!(client.call::<MKNOD3resok>(11, &device).unwrap_err(), nfsstat3::NFS3ERR_PERM);

    client.becomes(1001, 1001, &[]);
    assert_eq!(write(&mut client, &mine, 0, b"x", stable_how::UNSTABLE).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(remove(&mut client, &tmp, "mine").unwrap_err(), nfsstat3::NFS3ERR_PERM);
    client.becomes(0, 0, &[]);
    create(&mut client, &root, "of root", createhow3::GUARDED(new(0o644))).unwrap();
    assert_eq!(fs::metadata(path(&folder, "of root")).unwrap().uid(), 0, "the thread is itself again");
}

#[test]
fn writing_takes_setuid_bits_away_and_root_may_set_them() {
    let (folder, _lab, mut client, root) = writable();
    let tool = create(&mut client, &root, "tool", createhow3::GUARDED(new(0o4755))).unwrap();
    let mode = || fs::metadata(path(&folder, "tool")).unwrap().mode() & 0o7777;
    assert_eq!(mode(), 0o4755);
    set(&mut client, &tool, new(0o4777)).unwrap();
    client.becomes(1000, 1000, &[]);
    write(&mut client, &tool, 0, b"evil", stable_how::UNSTABLE).unwrap();
    assert_eq!(mode(), 0o777);
}

#[test]
fn a_call_that_comes_again_is_answered_as_the_first_time() {
    let (folder, lab, mut client, root) = writable();
    remove(&mut client, &root, "public").unwrap();
    let again = |client: &mut Client| {
        let message = client.encode(NFS, 12, &REMOVE3args { object: at(&root, "public") });
        client.stream.write_all(&message).unwrap();
        client.receive().unwrap()[..4].to_vec()
    };
    assert_eq!(again(&mut client), [0; 4], "NFS3_OK");
    let mut reconnected = lab.client(0, 0, &[]);
    reconnected.xid = client.xid;
    assert_eq!(again(&mut reconnected), [0; 4], "by another connection too");
    assert_eq!(remove(&mut client, &root, "public").unwrap_err(), nfsstat3::NFS3ERR_NOENT, "a new call");

    let verifier = createhow3::EXCLUSIVE(createverf3(*b"verifier"));
    let made = create(&mut client, &root, "exclusive", verifier).unwrap();
    let repeated = create(&mut client, &root, "exclusive", createhow3::EXCLUSIVE(createverf3(*b"verifier")));
    assert_eq!(repeated, Ok(made), "known by its verifier, after the reply was forgotten");
    let other = create(&mut client, &root, "exclusive", createhow3::EXCLUSIVE(createverf3(*b"another!")));
    assert_eq!(other, Err(nfsstat3::NFS3ERR_EXIST));
    assert!(path(&folder, "exclusive").exists());
}

#[test]
fn content_is_written_anywhere_committed_and_cut() {
    let (folder, mut lab, mut client, root) = writable();
    let file = create(&mut client, &root, "new", createhow3::UNCHECKED(new(0o644))).unwrap();
    let block: Vec<u8> = (0..1_u32 << 20).map(|n| (n % 253) as u8).collect();
    let written = write(&mut client, &file, 5 << 30, &block, stable_how::UNSTABLE).unwrap();
    assert_eq!((written.count, written.committed), (1 << 20, stable_how::UNSTABLE));
    let committed: COMMIT3resok = client.call(21, &COMMIT3args { file: file.clone(), offset: 0, count: 0 }).unwrap();
    assert_eq!(committed.verf, written.verf);
    let mut back = vec![0; 1 << 20];
    fs::File::open(path(&folder, "new")).unwrap().read_exact_at(&mut back, 5 << 30).unwrap();
    assert!(back == block);
    let cut = sattr3 { size: Nfs3Option::Some(3), ..Default::default() };
    set(&mut client, &file, cut.clone()).unwrap();
    assert_eq!(fs::metadata(path(&folder, "new")).unwrap().len(), 3);
    let guarded = SETATTR3args { object: file.clone(), new_attributes: cut, guard: Nfs3Option::Some(nfstime3::default()) };
    assert_eq!(client.call::<SETATTR3resok>(2, &guarded).unwrap_err(), nfsstat3::NFS3ERR_NOT_SYNC);
    lab.stop();
    lab.start(7);
    let mut client = lab.client(0, 0, &[]);
    let later = write(&mut client, &file, 0, b"abc", stable_how::FILE_SYNC).unwrap();
    assert_ne!(later.verf, written.verf, "after a restart clients write again what was not committed");
}

#[test]
fn names_are_made_linked_renamed_and_removed() {
    let (folder, _lab, mut client, root) = writable();
    let made: MKDIR3resok = client.call(9, &MKDIR3args { where_: at(&root, "dir"), attributes: new(0o750) }).unwrap();
    assert_eq!(mode_and_owner(&some(made.obj_attributes)), (0o750, 0, 0));
    let dir = some(made.obj);
    let target = symlinkdata3 { symlink_attributes: sattr3::default(), symlink_data: b"../public"[..].into() };
    client.call::<SYMLINK3resok>(10, &SYMLINK3args { where_: at(&dir, "link"), symlink: target }).unwrap();
    assert_eq!(fs::read_link(path(&folder, "dir/link")).unwrap(), Path::new("../public"));
    let link = look(&mut client, &dir, "link").0;
    client.call::<LINK3resok>(15, &LINK3args { file: link, link: at(&dir, "link2") }).unwrap();
    assert!(fs::symlink_metadata(path(&folder, "dir/link2")).unwrap().is_symlink(), "the link itself, not its target");
    let chr = mknoddata3::NF3CHR(devicedata3 { dev_attributes: new(0o620), spec: specdata3 { specdata1: 5, specdata2: 1 } });
    client.call::<MKNOD3resok>(11, &MKNOD3args { where_: at(&dir, "console"), what: chr }).unwrap();
    let console = fs::metadata(path(&folder, "dir/console")).unwrap();
    assert_eq!((console.rdev(), console.mode() & 0o7777), (rustix::fs::makedev(5, 1), 0o620));
    client.call::<MKNOD3resok>(11, &MKNOD3args { where_: at(&dir, "pipe"), what: mknoddata3::NF3FIFO(new(0o600)) }).unwrap();
    client.call::<RENAME3resok>(14, &RENAME3args { from: at(&dir, "link"), to: at(&root, "moved") }).unwrap();
    assert_eq!(client.call::<RMDIR3resok>(13, &RMDIR3args { object: at(&root, "dir") }).unwrap_err(), nfsstat3::NFS3ERR_NOTEMPTY);
    for name in ["link2", "console", "pipe"] {
        remove(&mut client, &dir, name).unwrap();
    }
    client.call::<RMDIR3resok>(13, &RMDIR3args { object: at(&root, "dir") }).unwrap();
    assert!(!path(&folder, "dir").exists() && fs::symlink_metadata(path(&folder, "moved")).is_ok());
    assert_eq!(remove(&mut client, &root, "..").unwrap_err(), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(create(&mut client, &root, "a/b", createhow3::UNCHECKED(new(0o644))), Err(nfsstat3::NFS3ERR_ACCES));
}
