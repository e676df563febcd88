//! ONC RPC version 2 (RFC 5531): calls with AUTH_SYS credentials, and the heads of replies.

use super::xdr::{Garbage, Reader, Write};

/// AUTH_SYS carries no more groups (RFC 5531 appendix A).
pub(super) const GROUPS: usize = 16;
/// RFC 5531 section 8.2.
const CREDENTIALS: usize = 400;
const MACHINE_NAME: usize = 255;

/// Who makes a call, as its sender says: worth no more than the address and the reserved port that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub uid: u32,
    pub gid: u32,
    groups: [u32; GROUPS],
    count: usize,
}

/// What uid and gid "nobody" are everywhere.
pub(super) const NOBODY: u32 = 65534;

impl Caller {
    pub(super) fn new(uid: u32, gid: u32, groups: &[u32]) -> Self {
        let count = groups.len().min(GROUPS);
        let mut all = [0; GROUPS];
        all[..count].copy_from_slice(&groups[..count]);
        Self { uid, gid, groups: all, count }
    }

    pub(super) fn nobody() -> Self {
        Self::new(NOBODY, NOBODY, &[])
    }

    /// Supplementary groups.
    pub(super) fn groups(&self) -> &[u32] {
        &self.groups[..self.count]
    }

    pub(super) fn is_member(&self, gid: u32) -> bool {
        self.gid == gid || self.groups().contains(&gid)
    }
}

/// A call, with its arguments still encoded.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub xid: u32,
    pub program: u32,
    pub version: u32,
    pub procedure: u32,
    pub caller: Caller,
    pub arguments: &'a [u8],
}

/// Why a message is not a call that can be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoCall {
    /// Not even an answer can be formed.
    Ignore,
    /// RPC_MISMATCH.
    Version { xid: u32 },
    /// AUTH_ERROR with this `auth_stat`.
    Credentials { xid: u32, why: u32 },
}

const BAD_CREDENTIALS: u32 = 1;
const TOO_WEAK: u32 = 5;

impl<'a> Call<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, NoCall> {
        let mut reader = Reader::new(message);
        let head = |reader: &mut Reader<'a>| Ok::<_, Garbage>((reader.u32()?, reader.u32()?, reader.u32()?));
        let (xid, kind, rpc_version) = head(&mut reader).map_err(|_| NoCall::Ignore)?;
        if kind != 0 {
            return Err(NoCall::Ignore);
        }
        if rpc_version != 2 {
            return Err(NoCall::Version { xid });
        }
        let (program, version, procedure) = head(&mut reader).map_err(|_| NoCall::Ignore)?;
        let caller = credentials(&mut reader).map_err(|why| NoCall::Credentials { xid, why })?;
        Ok(Self { xid, program, version, procedure, caller, arguments: reader.rest() })
    }
}

fn credentials(reader: &mut Reader) -> Result<Caller, u32> {
    let mut both = || Ok::<_, Garbage>((reader.u32()?, reader.opaque(CREDENTIALS)?, reader.u32()?, reader.opaque(CREDENTIALS)?));
    let (flavour, body, _, _) = both().map_err(|Garbage| BAD_CREDENTIALS)?;
    match flavour {
        0 => Ok(Caller::nobody()),
        1 => unix(&mut Reader::new(body)).map_err(|Garbage| BAD_CREDENTIALS),
        _ => Err(TOO_WEAK),
    }
}

fn unix(body: &mut Reader) -> Result<Caller, Garbage> {
    let (_stamp, _machine, uid, gid) = (body.u32()?, body.opaque(MACHINE_NAME)?, body.u32()?, body.u32()?);
    let count = body.u32()? as usize;
    let mut groups = [0; GROUPS];
    for group in groups.get_mut(..count).ok_or(Garbage)? {
        *group = body.u32()?;
    }
    Ok(Caller { uid, gid, groups, count })
}

/// What became of an accepted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    Success,
    ProgramUnavailable,
    /// The lowest and highest version there is.
    ProgramMismatch(u32, u32),
    ProcedureUnavailable,
    GarbageArguments,
}

/// Begins a reply; after [`Accepted::Success`] the results follow.
pub(super) fn accept(out: &mut Vec<u8>, xid: u32, outcome: Accepted) {
    for word in [xid, 1, 0, 0, 0] {
        out.u32(word);
    }
    let words: &[u32] = match outcome {
        Accepted::Success => &[0],
        Accepted::ProgramUnavailable => &[1],
        Accepted::ProgramMismatch(low, high) => &[2, low, high],
        Accepted::ProcedureUnavailable => &[3],
        Accepted::GarbageArguments => &[4],
    };
    words.iter().for_each(|word| out.u32(*word));
}

/// The whole reply to something that is no call; nothing if no answer can be formed.
pub(super) fn reject(out: &mut Vec<u8>, why: NoCall) {
    let words: &[u32] = match why {
        NoCall::Ignore => &[],
        NoCall::Version { xid } => &[xid, 1, 1, 0, 2, 2],
        NoCall::Credentials { xid, why } => &[xid, 1, 1, 1, why],
    };
    words.iter().for_each(|word| out.u32(*word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(rpc_version: u32, flavour: u32, body: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        for word in [7, 0, rpc_version, 100_003, 3, 1, flavour] {
            out.u32(word);
        }
        out.opaque(body);
        out.u64(0);
        out.extend(b"rest");
        out
    }

    fn unix_body(groups: &[u32]) -> Vec<u8> {
        let mut out = vec![];
        out.u32(0);
        out.opaque(b"node07");
        for word in [1000, 100, groups.len() as u32].iter().chain(groups) {
            out.u32(*word);
        }
        out
    }

    #[test]
    fn a_call_carries_its_callers_ids_and_groups() {
        let message = call(2, 1, &unix_body(&[4, 27]));
        let call = Call::parse(&message).unwrap();
        assert_eq!((call.xid, call.program, call.version, call.procedure, call.arguments), (7, 100_003, 3, 1, &b"rest"[..]));
        assert_eq!(call.caller, Caller::new(1000, 100, &[4, 27]));
        assert!(call.caller.is_member(27) && call.caller.is_member(100) && !call.caller.is_member(0));
        assert_eq!(Call::parse(&super::tests::call(2, 0, &[])).unwrap().caller, Caller::nobody());
    }

    #[test]
    fn what_is_no_call_is_refused_by_its_reason() {
        assert_eq!(Call::parse(&call(3, 0, &[])).unwrap_err(), NoCall::Version { xid: 7 });
        assert_eq!(Call::parse(&call(2, 6, &[])).unwrap_err(), NoCall::Credentials { xid: 7, why: TOO_WEAK }, "RPCSEC_GSS");
        let many = unix_body(&[1; 17]);
        assert_eq!(Call::parse(&call(2, 1, &many)).unwrap_err(), NoCall::Credentials { xid: 7, why: BAD_CREDENTIALS }, "17 groups");
        assert_eq!(Call::parse(&[0, 0, 0, 7, 0, 0, 0, 1]).unwrap_err(), NoCall::Ignore, "a reply");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flavour in 0_u32..3, body: Vec<u8>) {
            let _ = Call::parse(&bytes);
            let _ = Call::parse(&call(2, flavour, &body));
        }
    }
}
