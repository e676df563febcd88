//! Compressed files of an archive, read within bounds and written fast.

use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::{Mutex, PoisonError};

/// The largest dictionary (window) a decoder may ask for, bytes: what `xz -9` and `zstd --long=26` need.
const MAX_DICTIONARY: u64 = 64 << 20;

/// zstd's own default. Level 7 made package texts of Debian 3.4 % smaller where it was tried, at three times the time and memory.
const ZST_LEVEL: i32 = 3;

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
        [Self::Gz, Self::Xz, Self::Zst, Self::Bz2].into_iter().find(|format| name.ends_with(format.suffix())).unwrap_or(Self::None)
    }

    /// The suffix with its dot, empty for [`Compression::None`].
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gz => ".gz",
            Self::Xz => ".xz",
            Self::Zst => ".zst",
            Self::Bz2 => ".bz2",
        }
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
        source: io::Error,
    },
}

/// A reader that decompresses `reader` and fails after `max_bytes` bytes of output with an [`io::Error`] whose text names the limit
/// (its inner error is [`CompressError::TooLarge`]). The decoders' memory is bounded too: 64 MiB of dictionary.
///
/// Errors: only where a decoder cannot be set up.
pub fn decompress_bounded<'a, R: Read + 'a>(reader: R, compression: Compression, max_bytes: u64) -> io::Result<Box<dyn Read + 'a>> {
    let decoder: Box<dyn Read + 'a> = match compression {
        Compression::None => Box::new(reader),
        Compression::Gz => Box::new(flate2::read::MultiGzDecoder::new(reader)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new(BufReader::with_capacity(1 << 16, modest_xz(reader)?), true)),
        Compression::Zst => {
            let mut decoder = zstd::stream::read::Decoder::new(reader)?;
            decoder.window_log_max(MAX_DICTIONARY.ilog2())?;
            Box::new(decoder)
        }
        Compression::Bz2 => Box::new(bzip2::read::MultiBzDecoder::new(reader)),
    };
    Ok(Box::new(Bounded { decoder, limit: max_bytes, left: max_bytes }))
}

/// Decompresses bytes to at most `limit` bytes.
pub fn decompress(bytes: &[u8], compression: Compression, limit: u64) -> Result<Vec<u8>, CompressError> {
    let mut out = Vec::new();
    decompress_bounded(bytes, compression, limit).and_then(|mut reader| reader.read_to_end(&mut out)).map_err(|source| {
        if is_bomb(&source) { CompressError::TooLarge { limit } } else { CompressError::Damaged { format: compression, source } }
    })?;
    Ok(out)
}

/// As [`decompress`], of bytes that [`compress`] made and that were checked to be these, and so to become `length` bytes: quicker.
pub fn decompress_own(bytes: &[u8], compression: Compression, length: usize) -> io::Result<Vec<u8>> {
    let text = match compression {
        Compression::Zst => zstd::bulk::decompress(bytes, length)?,
        Compression::Gz => inflate_member(bytes, length).ok_or_else(|| io::Error::other("no gzip member of ours"))?,
        other => decompress(bytes, other, length as u64).map_err(io::Error::other)?,
    };
    if text.len() == length { Ok(text) } else { Err(io::Error::other(format!("{} bytes instead of {length}", text.len()))) }
}

/// The text of one gzip member without optional fields (RFC 1952, section 2.3), as [`compress`] makes them, in one go. `None` for what is not
/// so. The checksum in it is not asked: it would tell of what a check before this one found, and takes as long as all of the rest.
fn inflate_member(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let ([0x1f, 0x8b, 8, 0, ..], rest) = bytes.split_first_chunk::<10>()? else { return None };
    let (body, _) = rest.split_last_chunk::<8>()?;
    let (mut inflate, mut text) = (flate2::Decompress::new(false), Vec::with_capacity(length));
    let status = inflate.decompress_vec(body, &mut text, flate2::FlushDecompress::Finish).ok()?;
    (status == flate2::Status::StreamEnd && inflate.total_in() == body.len() as u64).then_some(text)
}

/// True if a read through [`decompress_bounded`] failed because it ran into its limit.
pub fn is_bomb(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| matches!(inner.downcast_ref(), Some(CompressError::TooLarge { .. })))
}

/// Compresses into one piece: pieces that follow each other are one file to every reader. Equal input gives equal output.
pub fn compress(bytes: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gz => compress_gz(bytes),
        Compression::Xz => compress_xz(bytes),
        Compression::Zst => zstd::bulk::compress(bytes, ZST_LEVEL),
        Compression::Bz2 => {
            let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(6));
            writer.write_all(bytes)?;
            writer.finish()
        }
    }
}

/// As [`compress`], many times: the memory that a compressor takes, megabytes with zstd, is used again and not given back in between. There
/// are never more of them than pieces that are made at the same time.
pub struct Compressors {
    compression: Compression,
    idle: Mutex<Vec<Compressor>>,
}

/// One that can be used again.
enum Compressor {
    Gz(flate2::Compress),
    Zst(zstd::bulk::Compressor<'static>),
}

impl Compressors {
    /// None yet.
    pub fn new(compression: Compression) -> Self {
        Self { compression, idle: Mutex::default() }
    }

    /// The same bytes as [`compress`] gives.
    ///
    /// # Errors
    /// As there.
    pub fn compress(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut compressor = match (taken, self.compression) {
            (Some(compressor), _) => compressor,
            (None, Compression::Gz) => Compressor::Gz(new_deflate()),
            (None, Compression::Zst) => Compressor::Zst(zstd::bulk::Compressor::new(ZST_LEVEL)?),
            (None, other) => return compress(bytes, other),
        };
        let mut packed = match &mut compressor {
            Compressor::Gz(deflate) => gzip_member(deflate, bytes)?,
            Compressor::Zst(zstd) => zstd.compress(bytes)?,
        };
        idle().push(compressor);
        packed.shrink_to_fit();
        Ok(packed)
    }
}

/// gzip without name or time, so that equal input gives equal output.
pub fn compress_gz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    gzip_member(&mut new_deflate(), bytes)
}

fn new_deflate() -> flate2::Compress {
    flate2::Compress::new(flate2::Compression::new(6), false)
}

/// RFC 1952: a header without name or time, of an unknown system; then the text's checksum and length.
fn gzip_member(deflate: &mut flate2::Compress, bytes: &[u8]) -> io::Result<Vec<u8>> {
    // The compressor takes no more at once.
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("more than 4 GiB in one gzip member"))?;
    deflate.reset();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    packed.reserve(bytes.len() / 3);
    let mut done = 0;
    loop {
        let before = deflate.total_in();
        let status = deflate.compress_vec(&bytes[done..], &mut packed, flate2::FlushCompress::Finish).map_err(io::Error::other)?;
        done += (deflate.total_in() - before) as usize;
        if status == flate2::Status::StreamEnd {
            break;
        }
        packed.reserve(bytes.len() / 8 + 64);
    }
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    packed.extend(sum.sum().to_le_bytes());
    packed.extend(length.to_le_bytes());
    Ok(packed)
}

/// xz as apt, debootstrap and the installer's `xzcat` read it. Equal input gives equal output.
pub fn compress_xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    // Preset 2: indices are read far more often than written, but a sync waits for this. CRC32: all that the installer's busybox checks.
    let mut options = lzma_rust2::XzOptions::with_preset(2);
    options.set_check_sum_type(lzma_rust2::CheckType::Crc32);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options)?;
    writer.write_all(bytes)?;
    writer.finish()
}

/// Hands out at most `limit` bytes; one more is an error, not an end.
struct Bounded<'a> {
    decoder: Box<dyn Read + 'a>,
    limit: u64,
    left: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.decoder.read(buffer)?;
        match self.left.checked_sub(got as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(CompressError::TooLarge { limit: self.limit })),
        }
        Ok(got)
    }
}

/// Looks at the dictionary size that the first block of an xz stream asks for, since the decoder allocates it unasked (up to 4 GiB).
/// A header that makes no sense is left to the decoder to refuse.
fn modest_xz<R: Read>(mut reader: R) -> io::Result<io::Chain<Cursor<Vec<u8>>, R>> {
    // The xz file format, section 2.1.1 (stream header, 12 bytes) and 3.1 (block header, at most 1024 bytes).
    let mut head = Vec::new();
    reader.by_ref().take(12 + 1024).read_to_end(&mut head)?;
    match xz_dictionary(&head) {
        Some(size) if size > MAX_DICTIONARY => {
            Err(io::Error::other(format!("xz asks for a dictionary of {size} bytes, more than the {MAX_DICTIONARY} allowed")))
        }
        _ => Ok(Cursor::new(head).chain(reader)),
    }
}

/// How large a dictionary the first block asks for, bytes.
fn xz_dictionary(head: &[u8]) -> Option<u64> {
    let block = head.get(12..)?;
    let header = block.get(1..(usize::from(*block.first()?) + 1) * 4)?;
    let flags = *header.first()?;
    let mut at = header.get(1..)?;
    // Optional compressed and uncompressed sizes, then per filter: id, size of properties, properties.
    for bit in [0x40, 0x80] {
        if flags & bit != 0 {
            varint(&mut at)?;
        }
    }
    for _ in 0..=(flags & 3) {
        let id = varint(&mut at)?;
        let length = usize::try_from(varint(&mut at)?).ok()?;
        let properties = at.split_at_checked(length)?;
        at = properties.1;
        if id == 0x21 {
            let bits = *properties.0.first()?;
            return Some(if bits >= 40 { u64::from(u32::MAX) } else { u64::from(2 | bits & 1) << (bits / 2 + 11) });
        }
    }
    None
}

/// A number of the xz format (section 1.2), taken off the front.
pub(super) fn varint(at: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in 0..9 {
        let (byte, rest) = at.split_first()?;
        *at = rest;
        value |= u64::from(byte & 0x7f) << (shift * 7);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// Pipes bytes through a program.
    fn pipe(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{program} {args:?}");
        output.stdout
    }

    fn sample() -> Vec<u8> {
        (0..20_000).flat_map(|n| format!("Package: p{n}\nVersion: {}\n\n", n % 7).into_bytes()).collect()
    }

    #[test]
    fn of_a_known_length_comes_just_that_or_an_error() {
        let text = sample();
        for length in [0, 1, 70_000, text.len()] {
            let packed = compress_gz(&text[..length]).unwrap();
            let read = |bytes: &[u8], length| decompress_own(bytes, Compression::Gz, length);
            assert_eq!(read(&packed, length).unwrap(), text[..length]);
            assert!(read(&packed, length + 1).is_err() && (length == 0 || read(&packed, length - 1).is_err()), "{length}");
            // Two members, a member with a name, a part of one.
            assert!(read(&[packed.as_slice(), &packed].concat(), 2 * length).is_err());
            let mut named = packed.clone();
            named[3] = 8;
            assert!(read(&named, length).is_err());
            for at in [0, 9, 17, packed.len() / 2, packed.len() - 9] {
                assert!(read(&packed[..at], length).is_err());
            }
        }
    }

    #[test]
    fn a_compressor_that_was_used_before_gives_the_same_bytes() {
        let texts: Vec<Vec<u8>> = (1..40_u32).map(|seed| (0..seed * 997).map(|at| (at / 7 * seed % 251) as u8).collect()).collect();
        for compression in [Compression::Gz, Compression::Zst] {
            let compressors = Compressors::new(compression);
            for text in texts.iter().chain(texts.iter().rev()) {
                assert_eq!(compressors.compress(text).unwrap(), compress(text, compression).unwrap());
            }
        }
    }

    #[test]
    fn a_compressor_that_was_used_before_is_read_by_gzip() {
        // splitmix64: it does not compress, and does not fit into what is set aside for it at first.
        let mixed = |at: u64| {
            let z = (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
        };
        let noise: Vec<u8> = (0..300_000).map(mixed).collect();
        let compressors = Compressors::new(Compression::Gz);
        for text in [sample(), noise.clone(), sample(), noise, Vec::new()] {
            assert_eq!(pipe("gzip", &["-dc"], &compressors.compress(&text).unwrap()), text);
        }
    }

    #[test]
    fn what_the_real_tools_compress_is_read() {
        for (format, program) in
            [(Compression::Gz, "gzip"), (Compression::Xz, "xz"), (Compression::Zst, "zstd"), (Compression::Bz2, "bzip2")]
        {
            if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
                eprintln!("skipped: {program} is not installed");
                continue;
            }
            let packed = pipe(program, &["-c"], &sample());
            assert_eq!(decompress(&packed, format, 10 << 20).unwrap(), sample(), "{program}");
            // Concatenated streams are one file.
            let twice = [packed.as_slice(), &packed].concat();
            assert_eq!(decompress(&twice, format, 10 << 20).unwrap().len(), 2 * sample().len(), "{program}");
            let cut = &packed[..packed.len() / 2];
            assert!(matches!(decompress(cut, format, 10 << 20), Err(CompressError::Damaged { .. })), "{program}");
        }
    }

    #[test]
    fn the_real_tools_read_what_we_compress() {
        assert_eq!(pipe("xz", &["-dc"], &compress_xz(&sample()).unwrap()), sample());
        assert_eq!(pipe("gzip", &["-dc"], &compress_gz(&sample()).unwrap()), sample());
        assert_eq!(compress_xz(&sample()).unwrap(), compress_xz(&sample()).unwrap());
        assert_eq!(pipe("xz", &["-dc"], &compress_xz(b"").unwrap()), b"");
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = compress_xz(&vec![0; 30 << 20]).unwrap();
        assert!(bomb.len() < 100_000);
        let error = decompress(&bomb, Compression::Xz, 1 << 20).unwrap_err();
        assert!(matches!(error, CompressError::TooLarge { limit: 1_048_576 }), "{error:?}");
        assert!(error.to_string().contains("1048576"));
        assert_eq!(decompress(b"1234", Compression::None, 4).unwrap(), b"1234");
        assert!(decompress(b"12345", Compression::None, 4).is_err());
    }

    #[test]
    fn a_dictionary_of_gigabytes_is_refused_before_it_is_allocated() {
        let greedy = pipe("xz", &["-c", "--lzma2=preset=0,dict=128MiB"], b"hello");
        let error = decompress(&greedy, Compression::Xz, 100).unwrap_err();
        let CompressError::Damaged { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().contains("dictionary of 134217728 bytes"), "{source}");
    }

    #[test]
    fn the_suffix_tells() {
        assert_eq!(Compression::of_name("main/binary-amd64/Packages.xz"), Compression::Xz);
        assert_eq!(Compression::of_name("Packages"), Compression::None);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            for format in [Compression::Gz, Compression::Xz, Compression::Zst, Compression::Bz2] {
                let _ = decompress(&noise, format, 1 << 16);
            }
        }

        #[test]
        fn damaged_xz_never_panics(at in 0usize..80, value: u8) {
            let mut packed = compress_xz(b"Package: bash\nPackage: bash\nPackage: bash\n").unwrap();
            let at = at % packed.len();
            packed[at] = value;
            let _ = decompress(&packed, Compression::Xz, 1 << 16);
        }
    }
}
