//! XDR (RFC 4506): a bounded reader over the received bytes, and a writer.

/// The bytes are no valid message: too short, too long, or with a value that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// Takes values from the front of a message. Nothing is copied, and nothing is allocated.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Garbage> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Garbage)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Garbage> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Garbage)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Garbage> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Garbage> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }

    pub(super) fn bool(&mut self) -> Result<bool, Garbage> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage),
        }
    }

    /// Bytes with their length in front, at most `limit` of them, and padding to a multiple of 4.
    pub(super) fn opaque(&mut self, limit: usize) -> Result<&'a [u8], Garbage> {
        let length = self.u32()? as usize;
        if length > limit {
            return Err(Garbage);
        }
        let taken = self.take(length)?;
        self.take(padding(length))?;
        Ok(taken)
    }

    /// A value behind a flag that tells whether it is there.
    pub(super) fn optional<T>(&mut self, value: impl FnOnce(&mut Self) -> Result<T, Garbage>) -> Result<Option<T>, Garbage> {
        if self.bool()? { value(self).map(Some) } else { Ok(None) }
    }
}

/// Bytes that fill `length` up to a multiple of 4.
pub(super) fn padding(length: usize) -> usize {
    length.wrapping_neg() & 3
}

/// Appends values to a message.
pub(super) trait Write {
    fn u32(&mut self, value: u32);
    fn u64(&mut self, value: u64);
    fn bool(&mut self, value: bool);
    fn opaque(&mut self, bytes: &[u8]);
}

impl Write for Vec<u8> {
    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    fn opaque(&mut self, bytes: &[u8]) {
        self.u32(length(bytes));
        self.extend_from_slice(bytes);
        self.extend_from_slice(&[0; 3][..padding(bytes.len())]);
    }
}

/// Messages are far shorter than 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn opaque_bytes_are_padded_and_their_length_is_bounded() {
        let mut out = vec![];
        out.opaque(b"abcde");
        assert_eq!(out, b"\0\0\0\x05abcde\0\0\0");
        assert_eq!(Reader::new(&out).opaque(5), Ok(&b"abcde"[..]));
        assert_eq!(Reader::new(&out).opaque(4), Err(Garbage));
        assert_eq!(Reader::new(&out[..11]).opaque(5), Err(Garbage), "padding is missing");
        assert_eq!(Reader::new(&[255; 8]).opaque(usize::MAX), Err(Garbage), "4 GiB are announced and 4 bytes there");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(a: u32, b: u64, c: bool, bytes: Vec<u8>) {
            let mut out = vec![];
            out.u32(a);
            out.u64(b);
            out.bool(c);
            out.opaque(&bytes);
            let mut reader = Reader::new(&out);
            prop_assert_eq!((reader.u32(), reader.u64(), reader.bool()), (Ok(a), Ok(b), Ok(c)));
            prop_assert_eq!(reader.opaque(bytes.len()), Ok(&bytes[..]));
            prop_assert!(reader.rest().is_empty());
        }
    }
}
