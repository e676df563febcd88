//! deb822: stanzas of `Name: value` lines, separated by blank lines (deb822(5)).
//!
//! Package indices are large (53 MB for Debian main), so stanzas are handed out one by one from one reused buffer.

use std::io::BufRead;

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
    /// The first stanza of a text that is in memory already.
    pub fn of(text: &'a str) -> Self {
        todo!()
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
    pub fn fields(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), ParagraphError>> + 'a {
        std::iter::empty()
    }

    /// The value of the first field of that name; the case of names does not matter. `None` when absent; malformed lines are passed over.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        todo!()
    }
}

/// Hands out the stanzas of a reader, one at a time.
pub struct Paragraphs<R> {
    reader: R,
}

impl<R: BufRead> Paragraphs<R> {
    /// Reads from the start of a file.
    pub fn new(reader: R) -> Self {
        Self { reader }
    }

    /// The next stanza, or `None` at the end. It lives until the next call (a lending iterator:
    /// `while let Some(paragraph) = paragraphs.next()? {}`).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Paragraph<'_>>, ParagraphError> {
        todo!()
    }
}
