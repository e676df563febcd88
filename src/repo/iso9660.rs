//! Images of optical media (ECMA-119, known as ISO 9660) with Rock Ridge names (IEEE P1282): which files they hold, and where.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a logical sector; volume descriptors begin in the seventeenth (ECMA-119 6.1.2, 6.2.1).
const SECTOR: u64 = 2048;
const FIRST_DESCRIPTOR: u64 = 16;
/// More volume descriptors than any image has.
const MAX_DESCRIPTORS: u64 = 64;
/// Bytes of one directory: Ubuntu's largest has some hundred entries of 150 bytes.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Files and directories of an image.
const MAX_ENTRIES: usize = 200_000;
/// Directories within directories.
const MAX_DEPTH: usize = 32;
/// Areas that a system use field goes on in, one after another, and the bytes of each.
const MAX_CONTINUATIONS: usize = 8;
const MAX_CONTINUATION: u64 = 64 << 10;

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, without a slash at its beginning.
    pub path: String,
    /// Where it begins in the image, bytes.
    pub offset: u64,
    /// Its size, bytes.
    pub size: u64,
}

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// The file does not read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has no primary volume descriptor.
    #[error("it is no image of a medium (ISO 9660)")]
    NotOne,
    /// It is damaged, or larger than any medium is.
    #[error("{path}: {problem}")]
    Damaged {
        /// The file or folder.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
}

type Result<T> = std::result::Result<T, IsoError>;

/// Lists the files of an image, sorted by path. Symbolic links are left out: what they lead to is listed by its own name.
///
/// # Errors
/// [`IsoError`]; every size is held against the image's own before anything is read.
pub fn files(image: &mut (impl Read + Seek)) -> Result<Vec<File>> {
    let length = image.seek(SeekFrom::End(0))?;
    let mut walk = Walk { image, length, skip: 0, seen: BTreeSet::new(), files: Vec::new(), entries: 0 };
    let root = walk.root()?;
    walk.skip = walk.system_use_skip(root)?;
    walk.folder("", root, 0)?;
    let mut files = walk.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Where something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    offset: u64,
    size: u64,
}

struct Walk<'a, R> {
    image: &'a mut R,
    length: u64,
    /// Bytes before the system use field's first entry, as the root's `SP` entry tells.
    skip: usize,
    /// Directories that were read, by where they begin: none is read twice.
    seen: BTreeSet<u64>,
    files: Vec<File>,
    entries: usize,
}

fn damaged(path: &str, problem: &'static str) -> IsoError {
    let path = if path.is_empty() { "/" } else { path };
    IsoError::Damaged { path: path.to_owned(), problem }
}

/// The little-endian half of a number that is recorded in both orders (ECMA-119 7.3.3).
fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)))
}

impl<R: Read + Seek> Walk<'_, R> {
    fn read(&mut self, path: &str, extent: Extent, limit: u64) -> Result<Vec<u8>> {
        let end = extent.offset.checked_add(extent.size).filter(|end| *end <= self.length);
        if end.is_none() || extent.size > limit {
            return Err(damaged(path, "reaches beyond the image's end, or is larger than any medium has it"));
        }
        self.image.seek(SeekFrom::Start(extent.offset))?;
        let mut bytes = vec![0; usize::try_from(extent.size).map_err(|_| damaged(path, "is too large"))?];
        self.image.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The root directory, which the primary volume descriptor names (8.4).
    fn root(&mut self) -> Result<Extent> {
        for at in 0..MAX_DESCRIPTORS {
            let extent = Extent { offset: (FIRST_DESCRIPTOR + at) * SECTOR, size: SECTOR };
            if extent.offset + SECTOR > self.length {
                return Err(IsoError::NotOne);
            }
            let sector = self.read("", extent, SECTOR)?;
            match (sector.get(1..6), sector.first()) {
                (Some(b"CD001"), Some(1)) => return Record::parse(&sector[156..190]).map(|root| root.extent).ok_or(IsoError::NotOne),
                (Some(b"CD001"), Some(kind)) if *kind != 255 => {}
                _ => return Err(IsoError::NotOne),
            }
        }
        Err(IsoError::NotOne)
    }

    /// The `SP` entry of the root's own record (SUSP 5.3).
    fn system_use_skip(&mut self, root: Extent) -> Result<usize> {
        let bytes = self.read("", root, MAX_DIRECTORY)?;
        let entry = Record::parse(&bytes).map(|record| record.system_use).unwrap_or_default();
        Ok(if entry.len() >= 7 && entry.starts_with(b"SP") { usize::from(entry[6]) } else { 0 })
    }

    fn folder(&mut self, path: &str, extent: Extent, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH || !self.seen.insert(extent.offset) {
            return Err(damaged(path, "is within itself, or too deep"));
        }
        let bytes = self.read(path, extent, MAX_DIRECTORY)?;
        // A record never crosses a sector (6.8.1.1); zeros fill up what is left of one.
        for sector in bytes.chunks(SECTOR as usize) {
            let mut rest = sector;
            while let Some(record) = Record::parse(rest) {
                rest = &rest[record.length..];
                self.entry(path, &record, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: &str, record: &Record<'_>, depth: usize) -> Result<()> {
        if matches!(record.name, [0] | [1]) {
            return Ok(()); // the folder itself, and the one above it
        }
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(damaged(folder, "the image has more files than any medium"));
        }
        let (name, is_link) = self.name(folder, record)?;
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if record.is_folder {
            return self.folder(&path, record.extent, depth + 1);
        }
        if is_link {
            return Ok(());
        }
        let Extent { offset, size } = record.extent;
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(damaged(&path, "reaches beyond the image's end: the image was cut off"));
        }
        // A file of more than 4 GiB has several records of one name, one behind the other (6.5.1).
        match self.files.last_mut().filter(|last| last.path == path) {
            Some(last) if last.offset + last.size == offset => last.size += size,
            Some(_) => return Err(damaged(&path, "lies in pieces")),
            None => self.files.push(File { path, offset, size }),
        }
        Ok(())
    }

    /// The name that Rock Ridge gives, or else the plain one in lower case without its version; and whether it is a symbolic link.
    fn name(&mut self, folder: &str, record: &Record<'_>) -> Result<(String, bool)> {
        let (mut name, mut is_link) = (Vec::new(), false);
        let mut area = record.system_use.get(self.skip..).unwrap_or_default().to_vec();
        for _ in 0..MAX_CONTINUATIONS {
            let mut next = None;
            let mut rest = area.as_slice();
            while let [a, b, length, _, ..] = *rest
                && (4..=rest.len()).contains(&usize::from(length))
            {
                let (entry, more) = rest.split_at(usize::from(length));
                rest = more;
                match [a, b] {
                    [b'N', b'M'] => name.extend_from_slice(entry.get(5..).unwrap_or_default()),
                    [b'S', b'L'] => is_link = true,
                    [b'C', b'E'] => next = number(entry, 4).zip(number(entry, 12)).zip(number(entry, 20)),
                    [b'S', b'T'] => break,
                    _ => {}
                }
            }
            let Some(((block, offset), size)) = next else { break };
            area = self.read(folder, Extent { offset: block * SECTOR + offset, size }, MAX_CONTINUATION)?;
        }
        let name = if name.is_empty() { plain(record.name) } else { name };
        let name = String::from_utf8(name).map_err(|_| damaged(folder, "has a name that is not UTF-8"))?;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(damaged(folder, "has a name that is none"));
        }
        Ok((name, is_link))
    }
}

/// `VMLINUZ.;1` is `vmlinuz`.
fn plain(name: &[u8]) -> Vec<u8> {
    let name = name.split(|byte| *byte == b';').next().unwrap_or_default();
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}

/// A directory record (9.1).
struct Record<'a> {
    length: usize,
    extent: Extent,
    is_folder: bool,
    name: &'a [u8],
    system_use: &'a [u8],
}

impl<'a> Record<'a> {
    /// `None`: there is none any more.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::from(*bytes.first()?);
        let record = bytes.get(..length).filter(|record| record.len() >= 34)?;
        let name_length = usize::from(record[32]);
        let name = record.get(33..33 + name_length)?;
        // The name is filled up to an even length.
        let system_use = record.get(33 + name_length + usize::from(name_length.is_multiple_of(2))..).unwrap_or_default();
        let extent = Extent { offset: number(record, 2)? * SECTOR, size: number(record, 10)? };
        Some(Self { length, extent, is_folder: record[25] & 2 != 0, name, system_use })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn record(name: &[u8], block: u32, size: u32, flags: u8, system_use: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 33];
        bytes[2..6].copy_from_slice(&block.to_le_bytes());
        bytes[10..14].copy_from_slice(&size.to_le_bytes());
        bytes[25] = flags;
        bytes[32] = name.len() as u8;
        bytes.extend_from_slice(name);
        if name.len().is_multiple_of(2) {
            bytes.push(0);
        }
        bytes.extend_from_slice(system_use);
        bytes[0] = bytes.len() as u8;
        bytes
    }

    /// An image whose root directory holds these records, in sector 18; files begin in sector 20.
    fn image(records: &[Vec<u8>]) -> Cursor<Vec<u8>> {
        let mut bytes = vec![0; 24 * SECTOR as usize];
        let descriptor = 16 * SECTOR as usize;
        bytes[descriptor..descriptor + 6].copy_from_slice(b"\x01CD001");
        let root = record(&[0], 18, SECTOR as u32, 2, b"SP\x07\x01\xbe\xef\x00");
        bytes[descriptor + 156..descriptor + 156 + 34].copy_from_slice(&{
            let mut plain = record(&[0], 18, SECTOR as u32, 2, b"");
            plain.resize(34, 0);
            plain
        });
        let mut at = 18 * SECTOR as usize;
        for record in [vec![root], records.to_vec()].concat() {
            bytes[at..at + record.len()].copy_from_slice(&record);
            at += record.len();
        }
        Cursor::new(bytes)
    }

    fn name(text: &str) -> Vec<u8> {
        [&[b'N', b'M', 5 + text.len() as u8, 1, 0], text.as_bytes()].concat()
    }

    #[test]
    fn names_are_rock_ridges_or_plain_ones_and_links_are_left_out() {
        let mut found = image(&[
            record(b"LINK.;1", 20, 0, 0, &[name("link"), b"SL\x05\x01\x00".to_vec()].concat()),
            record(b"LONG_NAM.DEB;1", 20, 5, 0, &name("a_long-name+1_amd64.deb")),
            record(b"VMLINUZ.;1", 21, 9, 0, b""),
        ]);
        let file = |path: &str, sector: u64, size| File { path: path.into(), offset: sector * SECTOR, size };
        assert_eq!(files(&mut found).unwrap(), [file("a_long-name+1_amd64.deb", 20, 5), file("vmlinuz", 21, 9)]);
    }

    #[test]
    fn a_file_of_several_records_is_one() {
        let found = files(&mut image(&[record(b"BIG.;1", 20, 2048, 128, b""), record(b"BIG.;1", 21, 100, 0, b"")])).unwrap();
        assert_eq!(found, [File { path: "big".into(), offset: 20 * SECTOR, size: 2148 }]);
        let pieces = files(&mut image(&[record(b"BIG.;1", 20, 2048, 128, b""), record(b"BIG.;1", 23, 100, 0, b"")]));
        assert!(pieces.unwrap_err().to_string().contains("pieces"));
    }

    #[test]
    fn what_leads_out_of_the_image_or_round_in_it_is_refused() {
        for (bad, told) in [
            (record(b"CUT.;1", 23, 4096, 0, b""), "cut off"),
            (record(b"LOOP", 18, 2048, 2, b""), "within itself"),
            (record(b"FAR", 9999, 2048, 2, b""), "beyond the image's end"),
            (record(b"X.;1", 20, 1, 0, &name("../x")), "is none"),
            (record(b"X.;1", 20, 1, 0, &name("..")), "is none"),
            (
                record(
                    b"X.;1",
                    20,
                    1,
                    0,
                    b"CE\x1c\x01\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00",
                ),
                "beyond",
            ),
        ] {
            let said = files(&mut image(&[bad])).unwrap_err().to_string();
            assert!(said.contains(told), "{said}");
        }
        assert!(matches!(files(&mut Cursor::new(vec![0; 100_000])), Err(IsoError::NotOne)));
        assert!(matches!(files(&mut Cursor::new(vec![])), Err(IsoError::NotOne)));
    }

    proptest! {
        #[test]
        fn no_image_panics(noise in proptest::collection::vec(any::<u8>(), 0..2048), at in 0_usize..2048) {
            let mut image = image(&[record(b"A.;1", 20, 5, 0, &name("a")), record(b"B", 19, 2048, 2, &name("b"))]).into_inner();
            for (offset, byte) in noise.iter().enumerate() {
                // The descriptor's fields, and the directories.
                let place = [16 * 2048 + 150, 18 * 2048, 19 * 2048][offset % 3] + (at + offset) % 2048;
                image[place] = *byte;
            }
            let _ = files(&mut Cursor::new(image));
        }
    }
}
