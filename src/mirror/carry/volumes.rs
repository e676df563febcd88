//! One stream in one file, or cut into several of a given size: `FILE.tar`, or `FILE.tar.001`, `FILE.tar.002` ...

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::sys::atomic::{named, sync_folder};

/// What an unfinished volume is called besides.
const UNFINISHED: &str = ".part";

/// The file of one volume, counted from 0.
pub fn volume(base: &Path, number: usize) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(format!(".{:03}", number + 1));
    PathBuf::from(name)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}

/// Writes a stream. Files have other names until all are whole, so that one that was cut off is never taken for a carrier.
pub struct Writer {
    base: PathBuf,
    size: Option<u64>,
    files: Vec<PathBuf>,
    file: Option<File>,
    room: u64,
}

impl Writer {
    /// Begins. `size`: the most bytes of one volume; `None`: one file.
    pub fn new(base: &Path, size: Option<u64>) -> Self {
        Self { base: base.to_owned(), size, files: Vec::new(), file: None, room: 0 }
    }

    fn next(&mut self) -> io::Result<()> {
        self.end()?;
        let path = if self.size.is_some() { volume(&self.base, self.files.len()) } else { self.base.clone() };
        if path.exists() {
            let text = format!("{} is there already: remove it, or write to another place", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let part = unfinished(&path);
        self.file = Some(File::create(&part).map_err(|error| named(error, "write", &part))?);
        self.room = self.size.unwrap_or(u64::MAX);
        self.files.push(path);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), |file| file.sync_all())
    }

    /// Gives the files their names, the first last: without it nobody finds the others. Returns them.
    ///
    /// # Errors
    /// What the system said, with the path.
    pub fn finish(mut self) -> io::Result<Vec<PathBuf>> {
        self.end()?;
        for path in self.files.iter().rev() {
            fs::rename(unfinished(path), path).map_err(|error| named(error, "name", path))?;
        }
        let folder = self.base.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(folder)?;
        Ok(std::mem::take(&mut self.files))
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.next()?;
        }
        let most = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let Some(file) = &mut self.file else { return Err(io::Error::other("no volume is open")) };
        let written = file.write(&bytes[..most])?;
        self.room -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a stream from its files.
pub struct Reader {
    files: Vec<PathBuf>,
    next: usize,
    file: Option<File>,
}

impl Reader {
    /// Opens what was written to `path`: that file, its volumes, or all volumes where `path` is the first.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let first = path.extension().is_some_and(|extension| extension == "001");
        let base = if first { path.with_extension("") } else { path.to_owned() };
        let files = if path.is_file() && !first {
            vec![path.to_owned()]
        } else {
            (0..).map(|number| volume(&base, number)).take_while(|path| path.is_file()).collect()
        };
        if files.is_empty() {
            let text = format!("{} is not there, nor is {}", path.display(), volume(&base, 0).display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Self { files, next: 0, file: None })
    }

    /// The files that it is in, as far as they are there.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Their sizes together.
    ///
    /// # Errors
    /// What the system said.
    pub fn length(&self) -> io::Result<u64> {
        self.files.iter().map(|file| fs::metadata(file).map(|metadata| metadata.len())).sum()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.file.is_none() {
                let Some(path) = self.files.get(self.next) else { return Ok(0) };
                self.file = Some(File::open(path).map_err(|error| named(error, "read", path))?);
                self.next += 1;
            }
            let got = self.file.as_mut().map_or(Ok(0), |file| file.read(buffer))?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_volumes_and_read_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("x.tar");
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut writer = Writer::new(&base, Some(300));
        writer.write_all(&bytes).unwrap();
        assert!(Reader::open(&base).is_err(), "unfinished");
        let files = writer.finish().unwrap();
        assert_eq!((files.len(), fs::metadata(&files[3]).unwrap().len()), (4, 100));
        for path in [base.clone(), volume(&base, 0)] {
            let mut read = Vec::new();
            let mut reader = Reader::open(&path).unwrap();
            assert_eq!(reader.length().unwrap(), 1000);
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
        let again = Writer::new(&base, Some(300)).write_all(b"x").unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
    }
}
