//! Everything that decodes, behind one function.

use super::handle::{Handle, HandleKey};
use super::portmap::{self, Ports};
use super::record::{Records, TooLong};
use super::rpc::Call;
use super::{acl, calls, mount, session};

/// Decodes a stream of bytes as the server does, up to the handles of its calls, and counts the calls that were understood. Nothing is
/// carried out: for fuzzing.
pub fn calls_in(mut stream: &[u8]) -> usize {
    let (key, mut records, mut understood) = (HandleKey::new(&[0; 32]), Records::new(64 << 10), 0);
    while !stream.is_empty() {
        let space = records.space();
        let length = stream.len().min(space.len());
        space[..length].copy_from_slice(&stream[..length]);
        records.received(length);
        stream = &stream[length..];
        loop {
            match records.next() {
                Ok(Some(record)) => understood += usize::from(is_call(&key, records.bytes(record))),
                Ok(None) => break,
                // The connection would be closed.
                Err(TooLong) => return understood,
            }
        }
    }
    understood
}

fn is_call(key: &HandleKey, message: &[u8]) -> bool {
    let _ = portmap::answer_datagram(Ports::default(), message);
    let Ok(call) = Call::parse(message) else { return false };
    if call.program == mount::PROGRAM {
        return matches!(mount::decode(call.procedure, call.arguments), Ok(Some(_)));
    }
    let Ok(Some(nfs)) = calls::Call::of(&call) else { return false };
    let _ = Handle::parse(nfs.handle()).and_then(|handle| handle.verify(key));
    [session::PROGRAM, acl::PROGRAM].contains(&call.program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A GETATTR without a caller, of a handle of eight bytes.
    fn call() -> Vec<u8> {
        let words = [1_u32 << 31 | 52, 7, 0, 2, 100_003, 3, 1, 0, 0, 0, 0, 8, 1, 2];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn calls_are_counted() {
        assert_eq!(calls_in(&[call(), call()].concat()), 2);
    }

    proptest! {
        #[test]
        fn no_stream_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0_usize..52, with: u8) {
            let mut changed = call();
            changed[at] = with;
            changed.append(&mut bytes);
            let _ = calls_in(&changed);
        }
    }
}
