//! A large document cut into its elements of one name, one in memory at a time, however large the whole is.

use std::io::{self, Read};

use memchr::memmem;

/// Bytes asked of the reader at once.
const PIECE: usize = 256 << 10;
/// What may stand before, between and after the elements.
const MAX_BETWEEN: usize = 4 << 20;

/// Why a document cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum ElementsError {
    /// It could not be read or decompressed.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// An element is larger than is allowed.
    #[error("a <{name}> has more than the {limit} bytes allowed")]
    TooLarge {
        /// The element's name.
        name: &'static str,
        /// The limit.
        limit: usize,
    },
    /// More than 4 MiB without an element.
    #[error("there are {MAX_BETWEEN} bytes without a <{0}>")]
    NoElement(&'static str),
    /// It ends within an element, or without its root's end.
    #[error("it is cut short: it ends within an element")]
    CutShort,
}

/// Cuts `<package ...>...</package>` (or `<update ...>`) out of a document that is read piece by piece.
pub struct Elements<R> {
    reader: R,
    name: &'static str,
    open: Vec<u8>,
    close: Vec<u8>,
    limit: usize,
    buffer: Vec<u8>,
    /// What lies before has been handed out.
    at: usize,
    ended: bool,
    head: Vec<u8>,
    found: u64,
}

impl<R: Read> Elements<R> {
    /// `name`: the elements' name; `limit`: the most bytes that one may have. The reader should be bounded by its caller, too.
    pub fn new(reader: R, name: &'static str, limit: usize) -> Self {
        let (open, close) = (format!("<{name}").into_bytes(), format!("</{name}").into_bytes());
        Self { reader, name, open, close, limit, buffer: vec![], at: 0, ended: false, head: vec![], found: 0 }
    }

    /// The next element, from its `<` to its `>`. `None` at the document's end, which has to be one.
    pub fn next_element(&mut self) -> Result<Option<&[u8]>, ElementsError> {
        let Some(start) = self.find_open()? else { return self.finish().map(|()| None) };
        if self.found == 0 {
            self.head = self.buffer[self.at..start].to_vec();
        }
        self.at = start;
        let end = self.find_end()?;
        self.found += 1;
        // An element is handed out once: the next call goes on behind it, and may move the buffer.
        let element = self.at..self.at + end;
        self.at = element.end;
        Ok(Some(&self.buffer[element]))
    }

    /// What stands before the first element: declaration and root. Complete once the first element (or the end) has been reached.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The place in the buffer where the next element begins.
    fn find_open(&mut self) -> Result<Option<usize>, ElementsError> {
        let mut from = 0;
        loop {
            let rest = &self.buffer[self.at + from..];
            match memmem::find(rest, &self.open) {
                Some(found) => match rest.get(found + self.open.len()) {
                    // `<package` may be the beginning of `<packages>`.
                    Some(b' ' | b'>' | b'/' | b'\t' | b'\n' | b'\r') => return Ok(Some(self.at + from + found)),
                    Some(_) => {
                        from += found + self.open.len();
                        continue;
                    }
                    None => from += found,
                },
                None => from += rest.len().saturating_sub(self.open.len()),
            }
            if from > MAX_BETWEEN {
                return Err(ElementsError::NoElement(self.name));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The length of the element at `self.at`.
    fn find_end(&mut self) -> Result<usize, ElementsError> {
        let mut from = 0;
        let mut checked_empty = false;
        loop {
            let element = &self.buffer[self.at..];
            if !checked_empty && let Some(end) = memchr::memchr(b'>', element) {
                if element[end - 1] == b'/' {
                    return Ok(end + 1);
                }
                checked_empty = true;
                from = end;
            }
            if checked_empty {
                match memmem::find(&element[from..], &self.close) {
                    Some(found) => {
                        let behind = from + found + self.close.len();
                        match element.get(behind..).and_then(|rest| rest.iter().position(|byte| !byte.is_ascii_whitespace())) {
                            Some(blanks) if element[behind + blanks] == b'>' => return Ok(behind + blanks + 1),
                            Some(_) => {
                                from = behind;
                                continue;
                            }
                            None => from += found,
                        }
                    }
                    None => from = from.max(element.len().saturating_sub(self.close.len())),
                }
            }
            if element.len() > self.limit {
                return Err(ElementsError::TooLarge { name: self.name, limit: self.limit });
            }
            if !self.fill()? {
                return Err(ElementsError::CutShort);
            }
        }
    }

    /// Reads another piece, first dropping what has been handed out. False at the end.
    fn fill(&mut self) -> Result<bool, ElementsError> {
        if self.ended {
            return Ok(false);
        }
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let before = self.buffer.len();
        self.reader.by_ref().take(PIECE as u64).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() == before;
        Ok(!self.ended)
    }

    /// A document that was not cut short ends with its root's end, or is an empty root.
    fn finish(&mut self) -> Result<(), ElementsError> {
        let rest = &self.buffer[self.at..];
        if self.found == 0 {
            self.head = rest.to_vec();
        }
        let ends = memmem::find(rest, b"</").is_some() || (self.found == 0 && memmem::find(rest, b"/>").is_some());
        if ends { Ok(()) } else { Err(ElementsError::CutShort) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of `step`.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(document: &str, limit: usize) -> Result<Vec<String>, ElementsError> {
        let mut elements = Elements::new(Slow(document.as_bytes(), 3), "package", limit);
        let mut found = vec![];
        while let Some(element) = elements.next_element()? {
            found.push(String::from_utf8_lossy(element).into_owned());
        }
        Ok(found)
    }

    #[test]
    fn elements_are_cut_out_whole() {
        let document =
            "<?xml?>\n<packages n='2'><package a='1'>x<package-list/></package-list></package >\n <package/><package b='2'/></packages>";
        assert_eq!(
            all(document, 1000).unwrap(),
            ["<package a='1'>x<package-list/></package-list></package >", "<package/>", "<package b='2'/>"]
        );
        assert_eq!(all("<metadata packages='0'/>", 1000).unwrap(), Vec::<String>::new());
        assert_eq!(all("<metadata packages='0'></metadata>", 1000).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_document_that_is_cut_short_is_told_from_one_that_ends() {
        for cut in ["<m><package a='1'>x</pack", "<m><package a='1", "<m><package>x</package>", "<m>", "", "<m><package>x</package></"] {
            let result = all(cut, 1000);
            // The last of these cannot be told: its end has begun.
            assert!(matches!(result, Err(ElementsError::CutShort)) || cut.ends_with("</"), "{cut}: {result:?}");
        }
    }

    #[test]
    fn an_element_without_end_is_refused_at_the_limit() {
        let endless = format!("<m><package>{}", "x".repeat(1 << 20));
        assert!(matches!(all(&endless, 1000), Err(ElementsError::TooLarge { limit: 1000, .. })));
        let nothing = " ".repeat(MAX_BETWEEN + (1 << 20));
        let mut elements = Elements::new(nothing.as_bytes(), "package", 1000);
        assert!(matches!(elements.next_element(), Err(ElementsError::NoElement("package"))));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "[<>/pcka ge\"]{0,60}|(<package[ />]|</package *>|</m>|x){0,12}") {
            let _ = all(&noise, 1000);
        }
    }
}
