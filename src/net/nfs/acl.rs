//! NFS_ACL version 3, the access control lists beside NFS version 3. It has no RFC; the wire format is that of Solaris' `nfs_acl.x`, as Linux
//! speaks it (fs/nfs_common/nfsacl.c).
//!
//! Every object here has just the list that its mode bits mean. Linux needs to be told: overlayfs, the root of a diskless node, asks its
//! lower layer for the list of every file that somebody other than its owner executes. Without this program NFS says that there are
//! no such lists, overlayfs passes that on, and on such a node only root can run anything (seen with Linux 6.12: "Operation not supported").

use super::attributes;
use super::calls::{self, Call};
use super::look::Request;
use super::status::{Result, Status};
use super::xdr::{Garbage, Reader, Write};

pub(super) const PROGRAM: u32 = 100_227;

/// Bits of the mask that tells which lists are meant: the list that counts, and (8 and 4) the one that new files of a directory inherit.
const LIST: u32 = 1;
const LIST_LENGTH: u32 = 2;

/// Types of entries: owner, owning group, the most that groups may have, all others.
const USER_OBJ: u32 = 0x01;
const GROUP_OBJ: u32 = 0x04;
const CLASS_OBJ: u32 = 0x10;
const OTHER_OBJ: u32 = 0x20;

/// None if there is no such procedure. NULL (0) is the RPC layer's. What SETACL would set is not even read.
pub(super) fn decode(procedure: u32, arguments: &[u8]) -> std::result::Result<Option<Call<'_>>, Garbage> {
    let r = &mut Reader::new(arguments);
    Ok(match procedure {
        1 => Some(Call::GetList { object: calls::handle(r)?, mask: r.u32()? }),
        2 => Some(Call::SetList { object: calls::handle(r)? }),
        _ => None,
    })
}

/// GETACL: attributes, the mask that was asked for, and two lists, each as its length and an array; the inherited one is empty.
pub(super) fn get(request: &Request, object: &[u8], mask: u32, out: &mut Vec<u8>) -> Result<()> {
    let stat = request.volume.node(object)?.stat()?;
    attributes::put_after(out, &stat, request.volume.id());
    let mode = stat.st_mode;
    let entries = [
        [USER_OBJ, stat.st_uid, mode >> 6 & 7],
        [GROUP_OBJ, stat.st_gid, mode >> 3 & 7],
        [CLASS_OBJ, 0, mode >> 3 & 7],
        [OTHER_OBJ, 0, mode & 7],
    ];
    out.u32(mask);
    let length = entries.len() as u32;
    out.u32(if mask & (LIST | LIST_LENGTH) == 0 { 0 } else { length });
    if mask & LIST == 0 {
        out.u32(0);
    } else {
        out.u32(length);
        entries.iter().flatten().for_each(|word| out.u32(*word));
    }
    out.u32(0);
    out.u32(0);
    Ok(())
}

/// SETACL: lists beyond the mode bits are not kept.
pub(super) fn set() -> Result<()> {
    Err(Status::NotSupported)
}
