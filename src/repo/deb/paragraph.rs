//! deb822: stanzas of `Name: value` lines, separated by blank lines (deb822(5)).
//!
//! Package indices are large (53 MB for Debian main), so stanzas are handed out one by one from one reused buffer.

use std::io::{BufRead, Read};

use memchr::memchr;

/// The longest stanza that is read, bytes. The longest of Debian 13 has about 40 KiB.
pub const MAX_PARAGRAPH: usize = 1 << 20;

/// Why a text is not deb822.
#[derive(Debug, thiserror::Error)]
pub enum ParagraphError {
    /// A line that is no field, no continuation and no comment.
    #[error("line {line}: `{text}` is not a field: expected `Name: value`, or a continuation that starts with a blank")]
    NotAField {
        /// Line number, from 1.
        line: u64,
        /// The line, cut to 80 characters.
        text: String,
    },
    /// A stanza beyond [`MAX_PARAGRAPH`].
    #[error("line {line}: a stanza is longer than {MAX_PARAGRAPH} bytes")]
    TooLong {
        /// The stanza's first line.
        line: u64,
    },
    /// Not UTF-8.
    #[error("line {line}: not UTF-8")]
    NotUtf8 {
        /// The stanza's first line.
        line: u64,
    },
    /// The reader failed (I/O, decompression, a limit).
    #[error("cannot read on after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// One stanza: its text, each line ending in `\n`, without the blank line after it.
#[derive(Clone, Copy, Debug)]
pub struct Paragraph<'a> {
    text: &'a str,
    line: u64,
}

impl<'a> Paragraph<'a> {
    /// A text that is one stanza.
    pub fn of(text: &'a str) -> Self {
        Self { text, line: 1 }
    }

    /// The stanza's text as it stands in the file.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The number of its first line in the file, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Its fields in order: name, and value without the blanks around it. A folded value keeps its line breaks and the blank after each.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.text, line: self.line }
    }

    /// The value of the first field of that name; the case of names does not matter. `None` when absent; malformed lines are passed over.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields().flatten().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The fields of a stanza; see [`Paragraph::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a str,
    line: u64,
}

impl<'a> Fields<'a> {
    /// Takes the field's first line and the continuations after it (comments between them belong to the value's text only if folded in).
    fn take_folded(&mut self) -> &'a str {
        let mut end = 0;
        loop {
            end += memchr(b'\n', &self.rest.as_bytes()[end..]).map_or(self.rest.len() - end, |at| at + 1);
            self.line += 1;
            if !matches!(self.rest.as_bytes().get(end), Some(b' ' | b'\t')) {
                let (folded, rest) = self.rest.split_at(end);
                self.rest = rest;
                return folded;
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, &'a str), ParagraphError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let line = self.line;
            let folded = self.take_folded();
            if folded.starts_with('#') || folded.trim().is_empty() {
                continue;
            }
            return Some(match folded.split_once(':') {
                Some((name, value)) if is_field_name(name) => Ok((name, value.trim())),
                _ => Err(ParagraphError::NotAField { line, text: folded.lines().next().unwrap_or_default().chars().take(80).collect() }),
            });
        }
        None
    }
}

/// deb822(5): printable US-ASCII without blank, colon, and not starting with `-` or `#`.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['-', '#']) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// Hands out the stanzas of a reader, one at a time.
pub struct Paragraphs<R> {
    reader: R,
    buffer: Vec<u8>,
    line: u64,
}

impl<R: BufRead> Paragraphs<R> {
    /// Reads from the start of a file.
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), line: 0 }
    }

    /// The next stanza, or `None` at the end. It lives until the next call (a lending iterator:
    /// `while let Some(paragraph) = paragraphs.next()? {}`).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Paragraph<'_>>, ParagraphError> {
        self.buffer.clear();
        let mut first = self.line + 1;
        while let Some(length) = self.read_line(first)? {
            let start = self.buffer.len() - length;
            if !is_blank(&self.buffer[start..]) {
                continue;
            }
            self.buffer.truncate(start);
            if start > 0 {
                break;
            }
            first = self.line + 1;
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| ParagraphError::NotUtf8 { line: first })?;
        Ok(Some(Paragraph { text, line: first }))
    }

    /// Appends one line, its end normalised to `\n`. Returns its length, `None` at the end of the file.
    fn read_line(&mut self, first: u64) -> Result<Option<usize>, ParagraphError> {
        let start = self.buffer.len();
        let room = (MAX_PARAGRAPH + 1).saturating_sub(start) as u64;
        let read = (&mut self.reader).take(room).read_until(b'\n', &mut self.buffer);
        read.map_err(|source| ParagraphError::Read { line: self.line, source })?;
        if self.buffer.len() > MAX_PARAGRAPH {
            return Err(ParagraphError::TooLong { line: first });
        }
        if self.buffer.len() == start {
            return Ok(None);
        }
        self.line += 1;
        if self.buffer.ends_with(b"\r\n") {
            self.buffer.truncate(self.buffer.len() - 2);
            self.buffer.push(b'\n');
        } else if !self.buffer.ends_with(b"\n") {
            self.buffer.push(b'\n');
        }
        Ok(Some(self.buffer.len() - start))
    }
}

/// Lines of blanks separate stanzas too (Policy 5.1 for parsers).
fn is_blank(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'\n' | b' ' | b'\t')) && line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stanzas(text: &[u8]) -> Result<Vec<(u64, String)>, ParagraphError> {
        let mut paragraphs = Paragraphs::new(text);
        let mut all = Vec::new();
        while let Some(paragraph) = paragraphs.next()? {
            all.push((paragraph.line(), paragraph.text().to_owned()));
        }
        Ok(all)
    }

    #[test]
    fn stanzas_are_separated_by_blank_lines_and_keep_their_line_numbers() {
        let text = b"\n\nPackage: a\nTag: x,\n y\n\n \t\nPackage: b";
        assert_eq!(stanzas(text).unwrap(), [(3, "Package: a\nTag: x,\n y\n".to_owned()), (8, "Package: b\n".to_owned())]);
    }

    #[test]
    fn folded_fields_keep_their_lines_and_comments_are_passed_over() {
        let paragraph = Paragraph::of(
            "Package: a\n# a comment: with a colon\nTag: implemented-in::c,\n role::program,\n\tuse::x\nEmpty:\nDepends:  b \n",
        );
        let fields: Vec<_> = paragraph.fields().map(Result::unwrap).collect();
        assert_eq!(fields, [("Package", "a"), ("Tag", "implemented-in::c,\n role::program,\n\tuse::x"), ("Empty", ""), ("Depends", "b")]);
        assert_eq!(paragraph.get("depends"), Some("b"));
        assert_eq!(paragraph.get("Nothing"), None);
    }

    #[test]
    fn carriage_returns_are_no_part_of_values() {
        assert_eq!(
            stanzas(b"Package: a\r\nVersion: 1\r\n\r\nPackage: b\r\n").unwrap(),
            [(1, "Package: a\nVersion: 1\n".to_owned()), (4, "Package: b\n".to_owned())]
        );
    }

    #[test]
    fn a_line_without_a_colon_is_named() {
        let mut paragraphs = Paragraphs::new(&b"A: b\n\nPackage: a\nnonsense\n"[..]);
        paragraphs.next().unwrap();
        let paragraph = paragraphs.next().unwrap().unwrap();
        let error = paragraph.fields().find_map(Result::err).unwrap();
        assert_eq!(
            error.to_string(),
            "line 4: `nonsense` is not a field: expected `Name: value`, or a continuation that starts with a blank"
        );
    }

    #[test]
    fn very_long_lines_are_read_up_to_the_bound() {
        let long = |length: usize| [b"Depends: ".as_slice(), &vec![b'a'; length], b"\n\nPackage: b\n"].concat();
        assert_eq!(stanzas(&long(500_000)).unwrap().len(), 2);
        assert!(matches!(stanzas(&long(MAX_PARAGRAPH)), Err(ParagraphError::TooLong { line: 1 })));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b':'), Just(b' '), Just(b'\r'), any::<u8>()], 0..300)) {
            let mut paragraphs = Paragraphs::new(noise.as_slice());
            while let Ok(Some(paragraph)) = paragraphs.next() {
                prop_assert!(paragraph.text().ends_with('\n'));
                let _ = paragraph.fields().count();
            }
        }
    }
}
