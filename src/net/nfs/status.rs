//! What became of a procedure (RFC 1813 section 2.6), and what an error of the kernel means there.

use rustix::io::Errno;

use super::xdr::Garbage;

/// `nfsstat3` other than NFS3_OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    NotOwner = 1,
    NoEntry = 2,
    Io = 5,
    NoDevice = 6,
    Access = 13,
    Exists = 17,
    CrossDevice = 18,
    NotDirectory = 20,
    IsDirectory = 21,
    Invalid = 22,
    TooBig = 27,
    NoSpace = 28,
    ReadOnly = 30,
    TooManyLinks = 31,
    NameTooLong = 63,
    NotEmpty = 66,
    Quota = 69,
    Stale = 70,
    BadHandle = 10001,
    NotSync = 10002,
    NotSupported = 10004,
    TooSmall = 10005,
    /// The client asks again after a while (NFS3ERR_JUKEBOX).
    Later = 10008,
    /// Not a status: the arguments are no valid XDR, which the RPC layer answers.
    Garbage = u32::MAX,
}

/// What a procedure gives.
pub(super) type Result<T> = std::result::Result<T, Status>;

impl From<Garbage> for Status {
    fn from(Garbage: Garbage) -> Self {
        Self::Garbage
    }
}

impl From<Errno> for Status {
    fn from(cause: Errno) -> Self {
        match cause {
            Errno::PERM => Self::NotOwner,
            Errno::NOENT => Self::NoEntry,
            Errno::NXIO | Errno::NODEV => Self::NoDevice,
            Errno::ACCESS | Errno::TXTBSY | Errno::BUSY => Self::Access,
            Errno::EXIST => Self::Exists,
            Errno::XDEV => Self::CrossDevice,
            Errno::NOTDIR => Self::NotDirectory,
            Errno::ISDIR => Self::IsDirectory,
            Errno::INVAL | Errno::LOOP => Self::Invalid,
            Errno::FBIG => Self::TooBig,
            Errno::NOSPC => Self::NoSpace,
            Errno::ROFS => Self::ReadOnly,
            Errno::MLINK => Self::TooManyLinks,
            Errno::NAMETOOLONG => Self::NameTooLong,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::DQUOT => Self::Quota,
            Errno::STALE => Self::Stale,
            Errno::OPNOTSUPP => Self::NotSupported,
            // Passing shortages of this machine must not become errors in a node's programs.
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR => Self::Later,
            other => {
                tracing::warn!(%other, "an NFS request failed");
                Self::Io
            }
        }
    }
}

impl From<std::io::Error> for Status {
    fn from(cause: std::io::Error) -> Self {
        Errno::from_io_error(&cause).map_or(Self::Io, Self::from)
    }
}
