//! A small pull parser over XML that is wholly in memory: local names, decoded text, no document type, so no entities but XML's own five.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Metadata nests six deep; what nests deeper is not metadata.
const MAX_DEPTH: usize = 64;

/// Why XML is refused.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The text is not UTF-8.
    #[error("the XML is not UTF-8: byte {0} of it")]
    NotUtf8(usize),
    /// It is not well-formed.
    #[error("the XML is not well-formed at byte {at}: {why}")]
    Malformed {
        /// Where, bytes from the beginning of the element or document.
        at: u64,
        /// What the parser says.
        why: String,
    },
    /// Well-formed, but it lacks or contradicts what its kind has to say.
    #[error("<{element}>: {why}")]
    Content {
        /// The element.
        element: String,
        /// What is wrong with it.
        why: String,
    },
}

impl XmlError {
    pub(super) fn content(element: &str, why: impl Into<String>) -> Self {
        Self::Content { element: element.chars().take(80).collect(), why: why.into() }
    }
}

/// One step through a document.
enum Token<'a> {
    /// An element begins.
    Open(Tag<'a>),
    /// A piece of text; an element's text may come in several.
    Text(Cow<'a, str>),
    /// An element ends.
    Close,
    /// The document ends.
    End,
}

/// The beginning of an element.
pub(super) struct Tag<'a>(BytesStart<'a>);

impl<'a> Tag<'a> {
    /// The name without a prefix.
    pub fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// Calls `visit` with the local name and the value of each attribute.
    pub fn attributes(&self, mut visit: impl FnMut(&str, Cow<'_, str>) -> Result<(), XmlError>) -> Result<(), XmlError> {
        for attribute in self.0.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| XmlError::content(self.name(), error.to_string()))?;
            let value =
                attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| XmlError::content(self.name(), error.to_string()))?;
            visit(local(attribute.key.0), value)?;
        }
        Ok(())
    }

    /// One attribute's value, empty if there is none.
    pub fn attribute(&self, name: &str) -> Result<String, XmlError> {
        let mut found = String::new();
        self.attributes(|key, value| {
            if key == name {
                found = value.into_owned();
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// An attribute that has to be a number. Empty or absent: 0.
    pub fn number(&self, name: &str) -> Result<u64, XmlError> {
        number(self.name(), &self.attribute(name)?)
    }
}

/// The parser.
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    /// How many elements are open.
    depth: usize,
    /// An empty element is an opening and a closing.
    closing: bool,
}

impl<'a> Xml<'a> {
    /// The parser and the document's outermost element.
    pub fn open(bytes: &'a [u8], root: &str) -> Result<(Self, Tag<'a>), XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|error| XmlError::NotUtf8(error.valid_up_to()))?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut xml = Self { reader, depth: 0, closing: false };
        loop {
            match xml.next()? {
                Token::Open(tag) if tag.name() == root => return Ok((xml, tag)),
                Token::Open(tag) => return Err(XmlError::content(tag.name(), format!("a <{root}> is expected here"))),
                Token::End => return Err(XmlError::content(root, "there is none")),
                _ => {}
            }
        }
    }

    /// Ends a document: nothing but blanks and comments may follow its outermost element, whose end was reached.
    pub fn end(mut self) -> Result<(), XmlError> {
        match self.next()? {
            Token::End => Ok(()),
            Token::Text(text) if text.trim().is_empty() => self.end(),
            _ => Err(self.malformed("something follows the end of the document".into())),
        }
    }

    /// Where [`Xml::child`] shall stay: within the element that was just opened.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The next element directly within the one at `depth`; `None` at that one's end. What was left unread of the last one is skipped.
    pub fn child(&mut self, depth: usize) -> Result<Option<Tag<'a>>, XmlError> {
        loop {
            match self.next()? {
                Token::Open(tag) if self.depth == depth + 1 => return Ok(Some(tag)),
                Token::Close if self.depth < depth => return Ok(None),
                Token::End => return Ok(None),
                _ => {}
            }
        }
    }

    /// The text of the element that was just opened, elements within it left out; reads up to its end.
    pub fn text(&mut self) -> Result<String, XmlError> {
        let depth = self.depth;
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(piece) if self.depth == depth => text.push_str(&piece),
                Token::Close if self.depth < depth => return Ok(text),
                Token::End => return Ok(text),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Token<'a>, XmlError> {
        if std::mem::take(&mut self.closing) {
            self.depth -= 1;
            return Ok(Token::Close);
        }
        loop {
            let event = self.reader.read_event().map_err(|error| self.malformed(error.to_string()))?;
            match event {
                Event::Start(tag) => return self.opened(tag),
                Event::Empty(tag) => {
                    self.closing = true;
                    return self.opened(tag);
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(|| self.malformed("an end without a beginning".into()))?;
                    return Ok(Token::Close);
                }
                Event::Text(text) => return Ok(Token::Text(text.xml10_content())),
                Event::CData(text) => return Ok(Token::Text(text.xml10_content())),
                Event::GeneralRef(reference) => return self.reference(&reference),
                Event::Eof if self.depth == 0 => return Ok(Token::End),
                Event::Eof => return Err(self.malformed("the text ends within an element".into())),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn opened(&mut self, tag: BytesStart<'a>) -> Result<Token<'a>, XmlError> {
        if self.depth == MAX_DEPTH {
            return Err(self.malformed(format!("more than {MAX_DEPTH} elements within each other")));
        }
        self.depth += 1;
        Ok(Token::Open(Tag(tag)))
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<Token<'a>, XmlError> {
        if let Some(c) = reference.resolve_char_ref().map_err(|error| self.malformed(error.to_string()))? {
            return Ok(Token::Text(Cow::Owned(c.into())));
        }
        let name = reference.xml10_content();
        match resolve_predefined_entity(&name) {
            Some(text) => Ok(Token::Text(Cow::Borrowed(text))),
            None => Err(self.malformed(format!("the entity `{}` is not one of XML's own", name.chars().take(40).collect::<String>()))),
        }
    }

    fn malformed(&self, why: String) -> XmlError {
        XmlError::Malformed { at: self.reader.buffer_position(), why }
    }
}

/// A number in decimal; empty is 0. Blanks around it do not matter.
pub(super) fn number(element: &str, text: &str) -> Result<u64, XmlError> {
    match text.trim() {
        "" => Ok(0),
        digits => digits
            .parse()
            .map_err(|_| XmlError::content(element, format!("`{}` is not a number", digits.chars().take(40).collect::<String>()))),
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}
