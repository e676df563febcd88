//! Short xz streams, such as the control.tar.xz of a package, read quickly.
//!
//! dpkg-deb asks for a dictionary of 8 MiB for every text of 10 KiB. To clear that and to take the checksum byte by byte, as the general
//! reader does, would be most of the work of making an index of packages.

use super::compress::varint;
use super::lzma2;

/// What follows a block in a stream of one block (index and footer) is no longer, bytes.
const LONGEST_END: usize = 64;

/// A stream of one block of LZMA2, which comes out as far as it is asked for.
pub struct Stream<'a> {
    bytes: &'a [u8],
    block: Block<'a>,
    text: lzma2::Decoder<'a>,
}

impl<'a> Stream<'a> {
    /// A stream whose text is no longer than `limit` bytes. `None` for what is not so, or not checked by CRC-32 or CRC-64: the general reader
    /// takes it or tells why not.
    pub fn open(bytes: &'a [u8], limit: u64) -> Option<Self> {
        let block = Block::parse(bytes)?;
        let text = lzma2::Decoder::new(block.body, usize::try_from(limit).ok()?);
        Some(Self { bytes, block, text })
    }

    /// The text up to `length` bytes or a few more, or all of it if it is shorter. `None` if it is damaged so far. That it is what was
    /// compressed is known when it [is whole](Self::is_whole), or by other means.
    pub fn until(&mut self, length: usize) -> Option<&[u8]> {
        self.text.until(length)
    }

    /// True if one wrong bit in what came out so far would have spoilt all that follows it: a range coder's stream never falls back into step.
    pub fn is_chained(&self) -> bool {
        !self.text.has_stored()
    }

    /// True if all of the stream is there and agrees with its checksum.
    pub fn is_whole(&mut self) -> bool {
        self.end().is_some()
    }

    fn end(&mut self) -> Option<()> {
        let Block { check, size, .. } = self.block;
        let text = self.text.until(usize::MAX)?;
        size.is_none_or(|size| size == text.len() as u64).then_some(())?;
        let sum = match check {
            Check::Crc32 => crc32(text).to_vec(),
            Check::Crc64 => crc64(text).to_vec(),
        };
        // Section 3.3 of the xz file format: zeros up to a multiple of four bytes.
        let rest = self.text.rest();
        let end = rest.get((self.bytes.len() - rest.len()).wrapping_neg() & 3..)?.strip_prefix(sum.as_slice())?;
        // An index of one block follows, and the footer, and no other stream.
        (end.starts_with(&[0, 1]) && end.ends_with(b"YZ") && end.len() <= LONGEST_END).then_some(())
    }
}

#[derive(Clone, Copy)]
enum Check {
    Crc32,
    Crc64,
}

/// The first block of a stream.
struct Block<'a> {
    check: Check,
    /// Length of its text, if it says so.
    size: Option<u64>,
    /// What follows its header.
    body: &'a [u8],
}

impl<'a> Block<'a> {
    /// The xz file format, sections 2.1.1 (stream header) and 3.1 (block header).
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (stream, rest) = bytes.split_at_checked(12)?;
        let flags = without_crc32(stream.strip_prefix(b"\xfd7zXZ\0")?)?;
        let check = match flags {
            [0, 1] => Check::Crc32,
            [0, 4] => Check::Crc64,
            _ => return None,
        };
        let (header, body) = rest.split_at_checked((usize::from(*rest.first()?) + 1) * 4)?;
        let (flags, mut at) = without_crc32(header)?.get(1..)?.split_first()?;
        // One filter, and no bits of the future.
        if flags & 0x3f != 0 {
            return None;
        }
        if flags & 0x40 != 0 {
            varint(&mut at)?;
        }
        let size = if flags & 0x80 != 0 { Some(varint(&mut at)?) } else { None };
        // LZMA2, with one byte that says how large its dictionary may be.
        at.starts_with(&[0x21, 1]).then_some(Self { check, size, body })
    }
}

/// What stands before the checksum at its end. `None` if that is wrong.
fn without_crc32(header: &[u8]) -> Option<&[u8]> {
    header.split_last_chunk::<4>().and_then(|(bytes, sum)| (*sum == crc32(bytes)).then_some(bytes))
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// CRC-64 of ECMA-182, as xz takes it: eight bytes at a time, each by a table of its own.
fn crc64(bytes: &[u8]) -> [u8; 8] {
    let (blocks, rest) = bytes.as_chunks::<8>();
    let mut crc = !0;
    for block in blocks {
        let mixed = (crc ^ u64::from_le_bytes(*block)).to_le_bytes();
        crc = mixed.iter().zip(CRC64.iter().rev()).fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
    }
    for byte in rest {
        crc = crc >> 8 ^ CRC64[0][usize::from(*byte ^ crc.to_le_bytes()[0])];
    }
    (!crc).to_le_bytes()
}

/// Table N: what a byte adds that N others follow.
static CRC64: [[u64; 256]; 8] = crc64_tables();

const fn crc64_tables() -> [[u64; 256]; 8] {
    const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;
    let mut tables = [[0; 256]; 8];
    let mut at = 0;
    while at < 256 * 8 {
        let (table, byte) = (at / 256, at % 256);
        // The first table: eight shifts of the byte. Each other: one more byte of zeros after the one before.
        let mut value = if table == 0 { byte as u64 } else { tables[table - 1][byte] };
        let mut shifts = 0;
        while shifts < 8 {
            value = value >> 1 ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            shifts += 1;
        }
        tables[table][byte] = value;
        at += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// What the real xz makes of it.
    fn xz(args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("xz").arg("-c").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    }

    /// All of the text, checked.
    fn decompress(bytes: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut stream = Stream::open(bytes, limit)?;
        stream.is_whole().then(|| stream.until(0).unwrap().to_vec())
    }

    fn sample() -> Vec<u8> {
        (0..3_000).flat_map(|n| format!("Package: p{n}\nVersion: {}\n\n", n % 7).into_bytes()).take(60_000).collect()
    }

    #[test]
    fn what_xz_compresses_is_read_in_its_many_forms() {
        let checks = ["--check=crc32", "--check=crc64"];
        // With threads there are sizes in the block's header, as dpkg-deb leaves them.
        for form in checks.iter().flat_map(|check| ["-0", "-6", "-9", "-T2"].map(|level| [*check, level])) {
            for length in [1, 2, 3, 4, 5, 9, 10_240, 60_000] {
                let (text, packed) = (&sample()[..length], xz(&form, &sample()[..length]));
                assert_eq!(decompress(&packed, 1 << 20).as_deref(), Some(text), "{form:?} {length}");
                assert_eq!(decompress(&packed, 9).is_some(), length <= 9, "{form:?} {length}");
            }
        }
    }

    #[test]
    fn a_text_comes_as_far_as_it_is_asked_for() {
        let packed = xz(&["-0"], &sample());
        let mut stream = Stream::open(&packed, 1 << 20).unwrap();
        for length in [0, 1, 700, 699, 30_000, 60_000, 70_000] {
            let text = stream.until(length).unwrap().to_vec();
            assert!(text.len() >= length.min(60_000) && text.len() <= 60_000, "{length}");
            assert_eq!(text, sample()[..text.len()]);
        }
        let mut early = Stream::open(&packed[..packed.len() - 20], 1 << 20).unwrap();
        assert!(early.until(700).unwrap().len() < 1_000, "not all of a chunk is done at once");
        assert!(!early.is_whole());
        assert!(Stream::open(&packed, 9).unwrap().until(1).is_none(), "the chunk is longer than the limit");
    }

    #[test]
    fn everything_else_is_left_to_the_general_reader() {
        let others = [
            xz(&["--check=sha256"], &sample()),
            xz(&["--block-size=10000"], &sample()),
            xz(&["--x86", "--lzma2"], &sample()),
            [xz(&[], &sample()), xz(&[], &sample())].concat(),
            xz(&[], b""),
            b"no xz".to_vec(),
        ];
        others.iter().for_each(|packed| assert_eq!(decompress(packed, 1 << 20), None));
    }

    #[test]
    fn damage_is_told_wherever_it_is() {
        let text = &sample()[..600];
        for check in ["--check=crc32", "--check=crc64"] {
            let good = xz(&[check, "-T2"], text);
            for at in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[at / 8] ^= 1 << (at % 8);
                assert!(decompress(&bad, 1 << 16).is_none_or(|read| read == text), "{check}, bit {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decompress(&noise, 1 << 16);
        }
    }
}
