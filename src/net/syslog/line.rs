//! Reading one line.

/// Longest line kept, in bytes; the rest is cut off (RFC 5424 section 6.1 asks for at least 2 KiB).
pub const MAX_LINE: usize = 8 << 10;
/// `user.notice`, for lines without a priority (RFC 3164 section 4.3.3).
const NO_PRIORITY: u8 = 13;
/// Longest tag and host name; anything longer is part of the message.
const MAX_WORD: usize = 255;

/// One line, as the sender wrote it. All of it is hearsay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// 0 kernel, 1 user, 3 daemon, 4 auth, 16 to 23 local (RFC 5424 table 1).
    pub facility: u8,
    /// 0 emergency, 3 error, 4 warning, 5 notice, 6 informational, 7 debug (RFC 5424 table 2).
    pub severity: u8,
    /// The sender's name for itself, if it told one.
    pub host: Option<String>,
    /// The program, without its process number.
    pub tag: Option<String>,
    /// The text: control characters are blanks, so that a line stays one line.
    pub message: String,
}

/// Reads one line of either format. Never fails: what is not understood is message. The sender's time stamp is dropped, since a machine that is
/// being installed has no clock worth the name.
pub fn parse(bytes: &[u8]) -> Line {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_LINE)]);
    let text = text.trim_end_matches(['\n', '\r', '\0']);
    let (priority, rest) = priority(text).unwrap_or((NO_PRIORITY, text));
    let (host, tag, message) = match rest.strip_prefix("1 ").and_then(modern) {
        Some(parts) => parts,
        None => traditional(rest),
    };
    Line { facility: priority >> 3, severity: priority & 7, host: host.map(clean), tag: tag.map(clean), message: clean(message) }
}

type Parts<'a> = (Option<&'a str>, Option<&'a str>, &'a str);

fn priority(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let digits = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let value = number.parse::<u8>().ok().filter(|value| digits && *value < 192)?;
    Some((value, rest))
}

/// `TIMESTAMP HOST APP PROCID MSGID SD MSG`, `-` for what is not known (RFC 5424 section 6).
fn modern(text: &str) -> Option<Parts<'_>> {
    let mut words = text.splitn(6, ' ');
    let (_time, host, app, _process, _message) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let known = |word: &'static str, value| (value != word).then_some(value);
    let message = after_structured_data(words.next()?)?;
    Some((known("-", host), known("-", app), message.trim_start_matches('\u{feff}')))
}

fn after_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return rest.strip_prefix(' ').or(rest.is_empty().then_some(""));
    }
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        rest = &element[end_of_element(element)? + 1..];
    }
    (rest.len() < text.len()).then(|| rest.strip_prefix(' ').unwrap_or(rest))
}

/// A `]` in a quoted value does not end the element; a quote may be escaped (RFC 5424 section 6.3.3).
fn end_of_element(element: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    element.bytes().position(|byte| {
        let ends = byte == b']' && !quoted;
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// `Mmm dd hh:mm:ss HOST TAG[PID]: MSG`, of which anything may be missing (RFC 3164 section 4). busybox, which the Debian installer logs by, leaves out
/// the host: a first word that looks like a tag is one.
fn traditional(text: &str) -> Parts<'_> {
    let rest = after_time(text).unwrap_or(text);
    if let Some((tag, message)) = tag(rest) {
        return (None, Some(tag), message);
    }
    let second = rest.split_once(' ').filter(|(host, _)| !host.is_empty() && host.len() <= MAX_WORD);
    match second.and_then(|(host, rest)| Some((host, tag(rest)?))) {
        Some((host, (tag, message))) => (Some(host), Some(tag), message),
        None => (None, None, rest),
    }
}

/// `program:`, `program[12]:`, and the text after it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let (word, message) = text.split_once(':')?;
    let name = word.split_once('[').map_or(word, |(name, _)| name);
    let plain = !name.is_empty() && word.len() <= MAX_WORD && !word.contains(char::is_whitespace);
    plain.then(|| (name, message.strip_prefix(' ').unwrap_or(message)))
}

/// What follows `Nov  2 05:06:07 ` or an RFC 3339 time stamp (rsyslog's habit).
fn after_time(text: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"Aaa dd dd:dd:dd ";
    let traditional = text.len() >= SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'A' | b'a' => byte.is_ascii_alphabetic(),
            b'd' => byte.is_ascii_digit() || byte == b' ',
            exact => byte == *exact,
        });
    if traditional {
        return text.get(SHAPE.len()..);
    }
    let (stamp, rest) = text.split_once(' ')?;
    let modern = stamp.len() >= 20 && stamp.as_bytes()[..4].iter().all(u8::is_ascii_digit) && stamp.as_bytes()[10] == b'T';
    modern.then_some(rest)
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(priority: (u8, u8), host: Option<&str>, tag: Option<&str>, message: &str) -> Line {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Line { facility: priority.0, severity: priority.1, host: owned(host), tag: owned(tag), message: message.into() }
    }

    #[test]
    fn lines_are_read_as_programs_write_them() {
        let cases = [
            ("<30>Nov 21 05:06:07 anna-install: Queueing udeb", line((3, 6), None, Some("anna-install"), "Queueing udeb")),
            ("<6>Nov  1 05:06:07 kernel: [    0.1] x: y", line((0, 6), None, Some("kernel"), "[    0.1] x: y")),
            ("<34>Oct 11 22:14:15 mymachine su[12]: failed\n", line((4, 2), Some("mymachine"), Some("su"), "failed")),
            ("<13>2026-11-21T05:06:07.123+00:00 node07 app: hi", line((1, 5), Some("node07"), Some("app"), "hi")),
            (
                "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [a b=\"]\\\"\"][c] \u{feff}text",
                line((20, 5), Some("host"), Some("evntslog"), "text"),
            ),
            ("<165>1 - - - - - - text", line((20, 5), None, None, "text")),
            ("<165>1 - h a 1 - -", line((20, 5), Some("h"), Some("a"), "")),
            ("no priority at all", line((1, 5), None, None, "no priority at all")),
            ("<192>too high", line((1, 5), None, None, "<192>too high")),
            ("<13>two\nlines\x1b[31m", line((1, 5), None, None, "two lines [31m")),
            ("", line((1, 5), None, None, "")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_and_endless_lines_are_survived() {
        assert_eq!(parse(b"<13>app: caf\xe9").message, "caf\u{fffd}");
        assert_eq!(parse(&vec![b'x'; 100_000]).message.len(), MAX_LINE);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(noise in prop::collection::vec(any::<u8>(), 0..300), text in "(<[0-9]{0,4}>)?(1 )?[\\[\\]\":\\\\ aT0é-]{0,60}") {
            for line in [parse(&noise), parse(text.as_bytes())] {
                prop_assert!(line.facility < 24 && line.severity < 8);
                prop_assert!(!line.message.contains(char::is_control));
            }
        }
    }
}
