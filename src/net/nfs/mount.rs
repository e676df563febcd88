//! The mount protocol, version 3 (RFC 1813 appendix I): from a path to the handle of its root.
//!
//! Versions 1 and 2 belong to NFS version 2, whose handles have 32 bytes: ours are longer, and nobody could use them.

use super::handle::Handle;
use super::xdr::{Garbage, Reader, Write};

pub(super) const PROGRAM: u32 = 100_005;
pub(super) const VERSION: u32 = 3;
/// MNTPATHLEN.
const PATH: usize = 1024;
const AUTH_SYS: u32 = 1;

/// Why a path is not mounted, as `mountstat3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Refusal {
    NotThere = 2,
    Access = 13,
    ServerFault = 10006,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// The handle of this path.
    Mount(&'a [u8]),
    /// NULL, UMNT and UMNTALL: nothing is kept of who has mounted what, and nothing answered.
    Nothing,
    /// DUMP and EXPORT: an empty list, for what others use is nobody's business.
    List,
}

/// None if there is no such procedure.
pub(super) fn decode(procedure: u32, arguments: &[u8]) -> Result<Option<Asked<'_>>, Garbage> {
    Ok(Some(match procedure {
        1 => Asked::Mount(Reader::new(arguments).opaque(PATH)?),
        0 | 3 | 4 => Asked::Nothing,
        2 | 5 => Asked::List,
        _ => return Ok(None),
    }))
}

/// Appends the results of MNT.
pub(super) fn put(out: &mut Vec<u8>, root: Result<Handle, Refusal>) {
    match root {
        Ok(handle) => {
            out.u32(0);
            out.opaque(handle.as_bytes());
            out.u32(1);
            out.u32(AUTH_SYS);
        }
        Err(refusal) => out.u32(refusal as u32),
    }
}
