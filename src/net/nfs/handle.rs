//! File handles: what a client is given to name a file by, for as long as it likes.
//!
//! A handle is the kernel's own (inode and generation: it survives renames and restarts, and is stale once the file is gone), the export it
//! belongs to, and a code that only the holder of the key can make. The kernel's handle alone would open any file of the file system, in the
//! export or not, and inode numbers are easily guessed; with the code, a handle opens only what this server has once shown under that export.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::ExportId;
use super::calls::HANDLE;
use super::kernel::KernelHandle;
use super::status::{Result, Status};

const VERSION: u8 = 1;
const CODE: usize = 16;
const HEAD: usize = 1 + 8 + 4 + CODE;

/// The secret behind every handle. It must stay the same over restarts, or running clients lose every file.
#[derive(Clone)]
pub struct HandleKey(Hmac<Sha256>);

impl std::fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandleKey(..)")
    }
}

impl HandleKey {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        // A block of the hash: no key of this length is refused.
        let mut block = [0; 64];
        block[..32].copy_from_slice(secret);
        Self(<Hmac<Sha256> as Mac>::new(&block.into()))
    }

    fn code(&self, export: ExportId, kernel: &KernelHandle) -> [u8; CODE] {
        let mut mac = self.0.clone();
        mac.update(&[VERSION]);
        mac.update(&export.0.to_be_bytes());
        mac.update(&kernel.kind.to_be_bytes());
        mac.update(&kernel.bytes);
        let mut code = [0; CODE];
        code.copy_from_slice(&mac.finalize().into_bytes()[..CODE]);
        code
    }
}

/// A handle as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Handle {
    length: u8,
    bytes: [u8; HANDLE],
}

impl Handle {
    /// # Errors
    /// [`Status::NotSupported`]: the file system's own handles are too long for NFSv3 (more than 35 bytes; ext4 has 8, XFS 12, btrfs 20).
    pub(super) fn issue(key: &HandleKey, export: ExportId, kernel: &KernelHandle) -> Result<Self> {
        let length = HEAD + kernel.bytes.len();
        let mut bytes = [0; HANDLE];
        let target = bytes.get_mut(HEAD..length).ok_or(Status::NotSupported)?;
        target.copy_from_slice(&kernel.bytes);
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&export.0.to_be_bytes());
        bytes[9..13].copy_from_slice(&kernel.kind.to_be_bytes());
        bytes[13..HEAD].copy_from_slice(&key.code(export, kernel));
        Ok(Self { length: length as u8, bytes })
    }

    /// Reads what a client sent, without trusting it: see [`Handle::verify`].
    pub(super) fn parse(sent: &[u8]) -> Result<Self> {
        if sent.len() <= HEAD || sent.len() > HANDLE || sent[0] != VERSION {
            return Err(Status::BadHandle);
        }
        let mut bytes = [0; HANDLE];
        bytes[..sent.len()].copy_from_slice(sent);
        Ok(Self { length: sent.len() as u8, bytes })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(super) fn export(&self) -> ExportId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.bytes[1..9]);
        ExportId(u64::from_be_bytes(id))
    }

    /// The kernel's handle within, if the code shows that this server has issued it.
    pub(super) fn verify(&self, key: &HandleKey) -> Result<KernelHandle> {
        let mut kind = [0; 4];
        kind.copy_from_slice(&self.bytes[9..13]);
        let kernel = KernelHandle { kind: i32::from_be_bytes(kind), bytes: self.as_bytes()[HEAD..].to_vec() };
        let code = key.code(self.export(), &kernel);
        // In constant time: whoever measures must not learn how much of a guess is right.
        let differs = code.iter().zip(&self.bytes[13..HEAD]).fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs == 0 { Ok(kernel) } else { Err(Status::BadHandle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kernel(bytes: &[u8]) -> KernelHandle {
        KernelHandle { kind: 1, bytes: bytes.to_vec() }
    }

    #[test]
    fn a_handle_comes_back_as_it_was_issued_and_only_under_the_same_key() {
        let key = HandleKey::new(&[7; 32]);
        let issued = Handle::issue(&key, ExportId(42), &kernel(&[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
        let sent = Handle::parse(issued.as_bytes()).unwrap();
        assert_eq!(sent.export(), ExportId(42));
        assert_eq!(sent.verify(&HandleKey::new(&[7; 32])).unwrap(), kernel(&[1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(sent.verify(&HandleKey::new(&[8; 32])), Err(Status::BadHandle));
    }

    #[test]
    fn kernel_handles_of_35_bytes_fit_and_longer_ones_are_refused() {
        let key = HandleKey::new(&[7; 32]);
        assert_eq!(Handle::issue(&key, ExportId(1), &kernel(&[9; 35])).unwrap().as_bytes().len(), HANDLE);
        assert!(matches!(Handle::issue(&key, ExportId(1), &kernel(&[9; 36])), Err(Status::NotSupported)));
    }

    proptest! {
        /// Another inode, another export, another type: whatever is changed, the handle is refused.
        #[test]
        fn a_changed_handle_is_refused(at in 0_usize..37, bit in 0_u8..8) {
            let key = HandleKey::new(&[7; 32]);
            let issued = Handle::issue(&key, ExportId(42), &kernel(&[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
            let mut bytes = issued.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Handle::parse(&bytes).and_then(|handle| handle.verify(&key)), Err(Status::BadHandle));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Handle::parse(&bytes).and_then(|handle| handle.verify(&HandleKey::new(&[7; 32])));
        }
    }
}
