//! Compressed files of an archive, read within bounds and written fast.

use std::io::Read;

/// How a file is compressed, told by its name's suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, `.gz`.
    Gz,
    /// xz, `.xz`.
    Xz,
    /// Zstandard, `.zst`.
    Zst,
    /// bzip2, `.bz2`.
    Bz2,
}

impl Compression {
    /// By the suffix of a file name; [`Compression::None`] when it has none of ours.
    pub fn of_name(name: &str) -> Self {
        todo!()
    }

    /// The suffix with its dot, empty for [`Compression::None`].
    pub fn suffix(self) -> &'static str {
        todo!()
    }
}

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// More came out than the caller allows.
    #[error("decompresses to more than the limit of {limit} bytes: refused as a decompression bomb")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// Not the format that the name promises, cut short, or in need of more memory than allowed.
    #[error("damaged {format:?} data")]
    Damaged {
        /// The format.
        format: Compression,
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
}

/// A reader that decompresses `reader` and fails after `max_bytes` bytes of output with an [`std::io::Error`] whose text names the limit
/// (its inner error is [`CompressError::TooLarge`]). The decoders' memory is bounded too: 64 MiB of dictionary.
///
/// Errors: only where a decoder cannot be set up.
pub fn decompress_bounded<'a, R: Read + 'a>(reader: R, compression: Compression, max_bytes: u64) -> std::io::Result<Box<dyn Read + 'a>> {
    todo!()
}

/// Decompresses bytes to at most `limit` bytes.
pub fn decompress(bytes: &[u8], compression: Compression, limit: u64) -> Result<Vec<u8>, CompressError> {
    todo!()
}

/// gzip without name or time, so that equal input gives equal output.
pub fn compress_gz(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    todo!()
}

/// xz as apt, debootstrap and the installer's `xzcat` read it. Equal input gives equal output.
pub fn compress_xz(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    todo!()
}
