//! Lines out of a TCP stream (RFC 6587): counted (`11 <13>message`) or ended by a line feed, told apart line by line.

use super::line::MAX_LINE;

/// Longest count that is believed; more digits are text.
const MAX_DIGITS: usize = 7;

/// Collects a stream and gives it back line by line. Holds at most one line and one read.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    skip: Skip,
}

/// What is left of a line that was too long.
#[derive(Clone, Copy, Debug, Default)]
enum Skip {
    #[default]
    Nothing,
    Bytes(usize),
    Line,
}

impl Frames {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next whole line, cut to [`MAX_LINE`]. Call until None before the next `push`.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        self.skip_rest()?;
        match count(&self.buffer) {
            Count::Unknown => None,
            Count::Known { length, digits } => {
                let kept = length.min(MAX_LINE);
                (self.buffer.len() >= digits + kept).then(|| {
                    let line = self.take(digits + kept).split_off(digits);
                    self.skip = if length > kept { Skip::Bytes(length - kept) } else { Skip::Nothing };
                    line
                })
            }
            Count::None => match self.buffer.iter().take(MAX_LINE).position(|byte| *byte == b'\n') {
                Some(end) => Some(self.take(end + 1)),
                None if self.buffer.len() >= MAX_LINE => {
                    self.skip = Skip::Line;
                    Some(self.take(MAX_LINE))
                }
                None => None,
            },
        }
    }

    /// What is left when the stream has ended: a last line without its line feed.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        self.skip_rest()?;
        (!self.buffer.is_empty()).then_some(self.buffer)
    }

    /// None while the end of what is to be skipped has not come.
    fn skip_rest(&mut self) -> Option<()> {
        match self.skip {
            Skip::Nothing => return Some(()),
            Skip::Bytes(left) => {
                let gone = self.take(left.min(self.buffer.len())).len();
                self.skip = if gone < left { Skip::Bytes(left - gone) } else { Skip::Nothing };
            }
            Skip::Line => match self.buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.take(end + 1);
                    self.skip = Skip::Nothing;
                }
                None => self.buffer.clear(),
            },
        }
        matches!(self.skip, Skip::Nothing).then_some(())
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }
}

enum Count {
    None,
    /// More bytes will tell.
    Unknown,
    Known {
        length: usize,
        /// Of the count and the blank after it.
        digits: usize,
    },
}

/// A count is followed by the `<` of a priority, which tells it from a line that merely starts with a number.
fn count(buffer: &[u8]) -> Count {
    let digits = buffer.iter().take(MAX_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=MAX_DIGITS).contains(&digits) {
        return if buffer.is_empty() { Count::Unknown } else { Count::None };
    }
    let length = buffer[..digits].iter().fold(0, |value, digit| value * 10 + usize::from(digit - b'0'));
    match (buffer.get(digits), buffer.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Count::Unknown,
        (Some(b' '), Some(b'<')) if length > 0 => Count::Known { length, digits: digits + 1 },
        _ => Count::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(stream: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut frames = Frames::default();
        let mut lines = Vec::new();
        for piece in stream.chunks(step) {
            frames.push(piece);
            lines.extend(std::iter::from_fn(|| frames.next_line()));
        }
        lines.extend(frames.finish());
        lines
    }

    #[test]
    fn counted_lines_and_lines_with_line_feeds_may_follow_each_other() {
        let stream = b"8 <13>one\n<14>two\n9 <15>three<16>four\n5 apples\n<17>end";
        let expected: [&[u8]; 6] = [b"<13>one\n", b"<14>two\n", b"<15>three", b"<16>four\n", b"5 apples\n", b"<17>end"];
        for step in 1..stream.len() {
            assert_eq!(lines(stream, step), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn endless_lines_are_cut_and_the_next_one_is_found() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let counted = [format!("{} <13>", long.len() + 4).as_bytes(), &long, b"<13>next\n"].concat();
        let plain = [&long[..], b"\n<13>next\n"].concat();
        for (name, stream) in [("counted", counted), ("plain", plain)] {
            let lines = lines(&stream, 1000);
            assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE, 9], "{name}");
            assert_eq!(lines[1], b"<13>next\n", "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_stream_makes_it_panic_or_hoard(stream in prop::collection::vec(prop::sample::select(b"0123456789 <>\nab".to_vec()), 0..2000), step in 1usize..50) {
            let total: usize = lines(&stream, step).iter().map(Vec::len).sum();
            prop_assert!(total <= stream.len());
        }
    }
}
