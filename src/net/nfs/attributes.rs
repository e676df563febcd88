//! `fattr3` (RFC 1813 section 2.6): what a client learns of an object.

use rustix::fs::{FileType, Stat};

use super::ExportId;
use super::calls::Time;
use super::xdr::Write;

/// Appends the attributes. The file system's number is the export's: device numbers of the server change when it reboots.
pub(super) fn put(out: &mut Vec<u8>, stat: &Stat, export: ExportId) {
    out.u32(kind(FileType::from_raw_mode(stat.st_mode)));
    out.u32(stat.st_mode & 0o7777);
    out.u32(u32::try_from(stat.st_nlink).unwrap_or(u32::MAX));
    out.u32(stat.st_uid);
    out.u32(stat.st_gid);
    out.u64(size(stat));
    out.u64(stat.st_blocks.unsigned_abs() * 512);
    out.u32(rustix::fs::major(stat.st_rdev));
    out.u32(rustix::fs::minor(stat.st_rdev));
    out.u64(export.0);
    out.u64(stat.st_ino);
    for moment in [time(stat.st_atime, stat.st_atime_nsec), time(stat.st_mtime, stat.st_mtime_nsec), changed(stat)] {
        out.u32(moment.seconds);
        out.u32(moment.nanoseconds);
    }
}

/// `post_op_attr`: the attributes behind the flag that they are there.
pub(super) fn put_after(out: &mut Vec<u8>, stat: &Stat, export: ExportId) {
    out.bool(true);
    put(out, stat, export);
}

/// `wcc_data`: nothing of before (which would have to be read in one step with the change), and the attributes of after.
pub(super) fn put_change(out: &mut Vec<u8>, stat: &Stat, export: ExportId) {
    out.bool(false);
    put_after(out, stat, export);
}

pub(super) fn size(stat: &Stat) -> u64 {
    stat.st_size.unsigned_abs()
}

/// When the object itself was last changed, as SETATTR's guard compares it.
pub(super) fn changed(stat: &Stat) -> Time {
    time(stat.st_ctime, stat.st_ctime_nsec)
}

#[allow(clippy::unnecessary_cast, reason = "the types differ between architectures")]
fn time(seconds: i64, nanoseconds: impl TryInto<u32>) -> Time {
    // Before 1970 and after 2106 there is nothing that the protocol could say.
    Time { seconds: seconds.clamp(0, i64::from(u32::MAX)) as u32, nanoseconds: nanoseconds.try_into().unwrap_or(0) }
}

fn kind(kind: FileType) -> u32 {
    match kind {
        FileType::RegularFile | FileType::Unknown => 1,
        FileType::Directory => 2,
        FileType::BlockDevice => 3,
        FileType::CharacterDevice => 4,
        FileType::Symlink => 5,
        FileType::Socket => 6,
        FileType::Fifo => 7,
    }
}
