//! The arguments of the 21 procedures (RFC 1813 section 3.3), decoded; with those of `acl`.

use super::xdr::{Garbage, Reader};
use super::{acl, rpc};

/// NFS3_FHSIZE.
pub(super) const HANDLE: usize = 64;
/// A longer name is no garbage, but NFS3ERR_NAMETOOLONG: it must be decoded first.
const NAME: usize = 4096;
/// Most bytes that one READ or WRITE moves.
pub(super) const TRANSFER: usize = 1 << 20;

/// Seconds since 1970 and nanoseconds, both unsigned (RFC 1813 `nfstime3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub seconds: u32,
    pub nanoseconds: u32,
}

/// A new time of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SetTime {
    #[default]
    Keep,
    Now,
    To(Time),
}

/// `sattr3`: what is to become of an object's attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NewAttributes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub accessed: SetTime,
    pub modified: SetTime,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub directory: &'a [u8],
    pub name: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum CreateHow {
    Unchecked(NewAttributes),
    Guarded(NewAttributes),
    /// With a verifier by which a repetition is known.
    Exclusive([u8; 8]),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Special {
    Device {
        character: bool,
        new: NewAttributes,
        major: u32,
        minor: u32,
    },
    Socket(NewAttributes),
    Fifo(NewAttributes),
    /// A type that MKNOD does not make.
    Other,
}

/// How far written data must have got when WRITE answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stable {
    No = 0,
    Data = 1,
    File = 2,
}

#[derive(Clone, Debug)]
pub(super) enum Call<'a> {
    GetAttributes { object: &'a [u8] },
    SetAttributes { object: &'a [u8], new: NewAttributes, guard: Option<Time> },
    Lookup(Entry<'a>),
    Access { object: &'a [u8], wanted: u32 },
    ReadLink { link: &'a [u8] },
    Read { file: &'a [u8], offset: u64, count: u32 },
    Write { file: &'a [u8], offset: u64, stable: Stable, data: &'a [u8] },
    Create { at: Entry<'a>, how: CreateHow },
    MakeDirectory { at: Entry<'a>, new: NewAttributes },
    SymbolicLink { at: Entry<'a>, target: &'a [u8] },
    MakeNode { at: Entry<'a>, what: Special },
    Remove(Entry<'a>),
    RemoveDirectory(Entry<'a>),
    Rename { from: Entry<'a>, to: Entry<'a> },
    Link { file: &'a [u8], at: Entry<'a> },
    ReadDirectory { directory: &'a [u8], cookie: u64, count: u32 },
    ReadDirectoryPlus { directory: &'a [u8], cookie: u64, names: u32, count: u32 },
    FileSystemState { root: &'a [u8] },
    FileSystemInfo { root: &'a [u8] },
    PathLimits { object: &'a [u8] },
    Commit { file: &'a [u8] },
    // The NFS_ACL program's GETACL and SETACL.
    GetList { object: &'a [u8], mask: u32 },
    SetList { object: &'a [u8] },
}

impl<'a> Call<'a> {
    /// A call of either program, decoded. None if there is no such procedure. NULL (0) is the RPC layer's.
    pub(super) fn of(call: &rpc::Call<'a>) -> Result<Option<Self>, Garbage> {
        if call.program == acl::PROGRAM {
            acl::decode(call.procedure, call.arguments)
        } else {
            Self::decode(call.procedure, call.arguments)
        }
    }

    fn decode(procedure: u32, arguments: &'a [u8]) -> Result<Option<Self>, Garbage> {
        let r = &mut Reader::new(arguments);
        Ok(Some(match procedure {
            1 => Self::GetAttributes { object: handle(r)? },
            2 => Self::SetAttributes { object: handle(r)?, new: new_attributes(r)?, guard: r.optional(time)? },
            3 => Self::Lookup(entry(r)?),
            4 => Self::Access { object: handle(r)?, wanted: r.u32()? },
            5 => Self::ReadLink { link: handle(r)? },
            6 => Self::Read { file: handle(r)?, offset: r.u64()?, count: r.u32()? },
            7 => write(r)?,
            8 => Self::Create { at: entry(r)?, how: create_how(r)? },
            9 => Self::MakeDirectory { at: entry(r)?, new: new_attributes(r)? },
            10 => {
                let (at, _mode_of_links_means_nothing) = (entry(r)?, new_attributes(r)?);
                Self::SymbolicLink { at, target: r.opaque(NAME)? }
            }
            11 => Self::MakeNode { at: entry(r)?, what: special(r)? },
            12 => Self::Remove(entry(r)?),
            13 => Self::RemoveDirectory(entry(r)?),
            14 => Self::Rename { from: entry(r)?, to: entry(r)? },
            15 => Self::Link { file: handle(r)?, at: entry(r)? },
            16 => {
                let (directory, cookie, _verifier) = (handle(r)?, r.u64()?, r.u64()?);
                Self::ReadDirectory { directory, cookie, count: r.u32()? }
            }
            17 => {
                let (directory, cookie, _verifier) = (handle(r)?, r.u64()?, r.u64()?);
                Self::ReadDirectoryPlus { directory, cookie, names: r.u32()?, count: r.u32()? }
            }
            18 => Self::FileSystemState { root: handle(r)? },
            19 => Self::FileSystemInfo { root: handle(r)? },
            20 => Self::PathLimits { object: handle(r)? },
            21 => {
                let file = handle(r)?;
                let (_offset, _count) = (r.u64()?, r.u32()?);
                Self::Commit { file }
            }
            _ => return Ok(None),
        }))
    }

    /// The object that the call is about: the handle that comes first.
    pub(super) fn handle(&self) -> &'a [u8] {
        match self {
            Self::GetAttributes { object } | Self::SetAttributes { object, .. } | Self::Access { object, .. } => object,
            Self::PathLimits { object } | Self::GetList { object, .. } | Self::SetList { object } => object,
            Self::ReadLink { link } => link,
            Self::Read { file, .. } | Self::Write { file, .. } | Self::Link { file, .. } | Self::Commit { file } => file,
            Self::Lookup(at) | Self::Remove(at) | Self::RemoveDirectory(at) => at.directory,
            Self::Create { at, .. } | Self::MakeDirectory { at, .. } | Self::SymbolicLink { at, .. } | Self::MakeNode { at, .. } => {
                at.directory
            }
            Self::Rename { from, .. } => from.directory,
            Self::ReadDirectory { directory, .. } | Self::ReadDirectoryPlus { directory, .. } => directory,
            Self::FileSystemState { root } | Self::FileSystemInfo { root } => root,
        }
    }

    /// A read-only export refuses it.
    pub(super) fn changes(&self) -> bool {
        self.cannot_be_repeated() || matches!(self, Self::Write { .. } | Self::Commit { .. } | Self::SetList { .. })
    }

    /// Done twice, it answers differently the second time: a repetition must get the first answer.
    pub(super) fn cannot_be_repeated(&self) -> bool {
        matches!(
            self,
            Self::SetAttributes { .. }
                | Self::Create { .. }
                | Self::MakeDirectory { .. }
                | Self::SymbolicLink { .. }
                | Self::MakeNode { .. }
                | Self::Remove(_)
                | Self::RemoveDirectory(_)
                | Self::Rename { .. }
                | Self::Link { .. }
        )
    }

    /// How many "no attributes follow" stand behind the status of a failure: `post_op_attr` is one, `wcc_data` two.
    pub(super) fn attributes_of_failure(&self) -> usize {
        match self {
            Self::GetAttributes { .. } => 0,
            Self::Rename { .. } => 4,
            Self::Link { .. } => 3,
            Self::SetList { .. } => 1,
            call if call.changes() => 2,
            _ => 1,
        }
    }
}

pub(super) fn handle<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], Garbage> {
    r.opaque(HANDLE)
}

fn entry<'a>(r: &mut Reader<'a>) -> Result<Entry<'a>, Garbage> {
    Ok(Entry { directory: handle(r)?, name: r.opaque(NAME)? })
}

fn time(r: &mut Reader) -> Result<Time, Garbage> {
    Ok(Time { seconds: r.u32()?, nanoseconds: r.u32()? })
}

fn set_time(r: &mut Reader) -> Result<SetTime, Garbage> {
    match r.u32()? {
        0 => Ok(SetTime::Keep),
        1 => Ok(SetTime::Now),
        2 => time(r).map(SetTime::To),
        _ => Err(Garbage),
    }
}

fn new_attributes(r: &mut Reader) -> Result<NewAttributes, Garbage> {
    Ok(NewAttributes {
        mode: r.optional(Reader::u32)?,
        uid: r.optional(Reader::u32)?,
        gid: r.optional(Reader::u32)?,
        size: r.optional(Reader::u64)?,
        accessed: set_time(r)?,
        modified: set_time(r)?,
    })
}

fn create_how(r: &mut Reader) -> Result<CreateHow, Garbage> {
    match r.u32()? {
        0 => new_attributes(r).map(CreateHow::Unchecked),
        1 => new_attributes(r).map(CreateHow::Guarded),
        2 => r.fixed().map(CreateHow::Exclusive),
        _ => Err(Garbage),
    }
}

fn special(r: &mut Reader) -> Result<Special, Garbage> {
    Ok(match r.u32()? {
        kind @ (3 | 4) => Special::Device { character: kind == 4, new: new_attributes(r)?, major: r.u32()?, minor: r.u32()? },
        6 => Special::Socket(new_attributes(r)?),
        7 => Special::Fifo(new_attributes(r)?),
        1 | 2 | 5 => Special::Other,
        _ => return Err(Garbage),
    })
}

fn write<'a>(r: &mut Reader<'a>) -> Result<Call<'a>, Garbage> {
    let (file, offset, count) = (handle(r)?, r.u64()?, r.u32()?);
    let stable = match r.u32()? {
        0 => Stable::No,
        1 => Stable::Data,
        2 => Stable::File,
        _ => return Err(Garbage),
    };
    let data = r.opaque(TRANSFER)?;
    // RFC 1813 3.3.7: count is the number of bytes to write; clients send exactly these.
    let data = data.get(..count as usize).ok_or(Garbage)?;
    Ok(Call::Write { file, offset, stable, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_arguments_make_the_decoder_panic(procedure in 0_u32..24, bytes: Vec<u8>) {
            let _ = Call::decode(procedure, &bytes);
        }

        /// Words that mean something: small counts, flags and kinds reach deeper than random bytes.
        #[test]
        fn no_plausible_arguments_make_the_decoder_panic(procedure in 1_u32..22, words in prop::collection::vec(0_u32..9, 0..64)) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            if let Ok(Some(call)) = Call::decode(procedure, &bytes) {
                prop_assert!(call.handle().len() <= HANDLE);
                prop_assert!(call.attributes_of_failure() <= 4);
            }
        }
    }

    #[test]
    fn a_procedure_that_does_not_exist_is_none() {
        assert!(matches!(Call::decode(22, &[]), Ok(None)));
    }
}
