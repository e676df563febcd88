//! Text of a header as XML: always well-formed, whatever bytes it has.

use std::borrow::Cow;

/// A header's text as it goes into metadata, before escaping: UTF-8 stays as it is; anything else is taken for Latin-1, of which the
/// bytes 0x80 to 0xbf are dropped (what createrepo_c does: the text is rather a misnamed Windows code page). Characters that XML 1.0
/// cannot carry are dropped.
pub fn clean(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) if text.bytes().all(is_plain) && !text.contains(['\u{fffe}', '\u{ffff}']) => Cow::Borrowed(text),
        Ok(text) => Cow::Owned(text.chars().filter(|c| fits_xml(*c)).collect()),
        Err(_) => Cow::Owned(
            text.iter().filter(|byte| !(0x80..0xc0).contains(*byte)).map(|byte| char::from(*byte)).filter(|c| fits_xml(*c)).collect(),
        ),
    }
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r')
}

fn fits_xml(c: char) -> bool {
    (c >= ' ' || matches!(c, '\t' | '\n' | '\r')) && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Appends text as an element's content.
pub(super) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    escape(out, text, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        // A bare carriage return would be read as a line feed.
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Appends text as the value of an attribute in double quotes.
pub(super) fn push_value(out: &mut Vec<u8>, text: &[u8]) {
    escape(out, text, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'"' => Some(b"&quot;"),
        // Bare ones would be read as blanks.
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

#[inline]
fn escape(out: &mut Vec<u8>, text: &[u8], special: impl Fn(u8) -> Option<&'static [u8]>) {
    let clean = clean(text);
    let bytes = clean.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(replacement) = special(*byte) {
            out.extend_from_slice(&bytes[done..at]);
            out.extend_from_slice(replacement);
            done = at + 1;
        }
    }
    out.extend_from_slice(&bytes[done..]);
}

/// Appends a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)] // below 10
        let digit = (number % 10) as u8;
        digits[at] = b'0' + digit;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = vec![];
        push_text(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_that_is_not_utf8_is_latin1_without_control_characters() {
        assert_eq!(text(b"Andr\xe9 \x80<\x07Fran\xe7ois\xa9"), "André &lt;François");
        assert_eq!(text("André ©\u{7}\u{fffe}".as_bytes()), "André ©");
        assert_eq!(text(b"a\r\nb\tc"), "a&#13;\nb\tc");
    }

    #[test]
    fn a_value_keeps_its_quotes_and_line_ends() {
        let mut out = vec![];
        push_value(&mut out, b"a\"b\n<&>\t'");
        assert_eq!(out, b"a&quot;b&#10;&lt;&amp;&gt;&#9;'");
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = vec![];
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_well_formed_xml(bytes: Vec<u8>) {
            let xml = format!("<a>{}</a>", text(&bytes));
            let mut reader = quick_xml::Reader::from_str(&xml);
            loop {
                match reader.read_event() {
                    Ok(quick_xml::events::Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
            prop_assert!(xml.chars().all(fits_xml));
        }
    }
}
