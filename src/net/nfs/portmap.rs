//! The portmapper, version 2 (RFC 1833 section 3): tells clients where the programs are. Nobody can register anything.

use super::rpc::{self, Accepted, Call};
use super::xdr::{Garbage, Reader, Write};
use super::{acl, mount, session};

pub(super) const PROGRAM: u32 = 100_000;
const VERSION: u32 = 2;
const TCP: u32 = 6;
const UDP: u32 = 17;

/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    pub nfs: u16,
    pub portmap: Option<u16>,
}

impl Ports {
    /// Program, version, protocol, port.
    fn table(self) -> impl Iterator<Item = [u32; 4]> {
        let own = self.portmap.into_iter().flat_map(|port| [[PROGRAM, VERSION, TCP, port.into()], [PROGRAM, VERSION, UDP, port.into()]]);
        let nfs = u32::from(self.nfs);
        let programs = [(mount::PROGRAM, mount::VERSION), (session::PROGRAM, session::VERSION), (acl::PROGRAM, session::VERSION)];
        own.chain(programs.into_iter().map(move |(program, version)| [program, version, TCP, nfs]))
    }
}

/// Appends the reply to a call of this program.
pub(super) fn answer(ports: Ports, call: &Call, out: &mut Vec<u8>) {
    if call.version != VERSION {
        // Newer clients ask for versions 4 and 3 (rpcbind) first, and go down by this.
        return rpc::accept(out, call.xid, Accepted::ProgramMismatch(VERSION, VERSION));
    }
    let mut result = vec![];
    let outcome = match procedure(ports, call, &mut result) {
        Ok(true) => Accepted::Success,
        Ok(false) => Accepted::ProcedureUnavailable,
        Err(Garbage) => Accepted::GarbageArguments,
    };
    rpc::accept(out, call.xid, outcome);
    if outcome == Accepted::Success {
        out.extend(result);
    }
}

fn procedure(ports: Ports, call: &Call, out: &mut Vec<u8>) -> Result<bool, Garbage> {
    match call.procedure {
        0 => {}
        // SET and UNSET are refused.
        1 | 2 => out.bool(false),
        3 => {
            let mut reader = Reader::new(call.arguments);
            let (program, version, protocol) = (reader.u32()?, reader.u32()?, reader.u32()?);
            // A program is found even in another version: the program itself tells which it has.
            let _ = version;
            let port = ports.table().find(|row| row[0] == program && row[2] == protocol).map_or(0, |row| row[3]);
            out.u32(port);
        }
        4 => {
            for row in ports.table() {
                out.bool(true);
                row.iter().for_each(|word| out.u32(*word));
            }
            out.bool(false);
        }
        // CALLIT would let strangers send calls from the head's own address.
        _ => return Ok(false),
    }
    Ok(true)
}

/// The whole reply to a datagram; empty for none.
pub(super) fn answer_datagram(ports: Ports, datagram: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    match Call::parse(datagram) {
        Ok(call) if call.program == PROGRAM => answer(ports, &call, &mut out),
        Ok(call) => rpc::accept(&mut out, call.xid, Accepted::ProgramUnavailable),
        Err(why) => rpc::reject(&mut out, why),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PORTS: Ports = Ports { nfs: 2049, portmap: Some(111) };

    fn asked(procedure: u32, arguments: &[u32]) -> Vec<u8> {
        [7, 0, 2, PROGRAM, 2, procedure, 0, 0, 0, 0].iter().chain(arguments).flat_map(|word: &u32| word.to_be_bytes()).collect()
    }

    fn port(program: u32, protocol: u32) -> Vec<u8> {
        answer_datagram(PORTS, &asked(3, &[program, 3, protocol, 0]))[24..].to_vec()
    }

    #[test]
    fn all_programs_are_found_over_tcp_and_nothing_over_udp() {
        assert_eq!(port(mount::PROGRAM, TCP), 2049_u32.to_be_bytes());
        assert_eq!(port(session::PROGRAM, TCP), 2049_u32.to_be_bytes());
        assert_eq!(port(acl::PROGRAM, TCP), 2049_u32.to_be_bytes());
        assert_eq!(port(session::PROGRAM, UDP), [0; 4]);
        assert_eq!(port(100_021, TCP), [0; 4], "there is no lock manager");
    }

    #[test]
    fn a_call_for_somebody_else_is_refused() {
        assert_eq!(answer_datagram(PORTS, &asked(5, &[]))[20..], 3_u32.to_be_bytes(), "CALLIT");
        assert_eq!(answer_datagram(PORTS, &asked(1, &[1, 1, 6, 1]))[24..], [0; 4], "SET");
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes: Vec<u8>, procedure in 0_u32..8, words in prop::collection::vec(any::<u32>(), 0..8)) {
            let _ = answer_datagram(PORTS, &bytes);
            prop_assert!(!answer_datagram(PORTS, &asked(procedure, &words)).is_empty());
        }
    }
}
