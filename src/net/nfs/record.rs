//! Record marking (RFC 5531 section 11): whole messages out of a stream of bytes.

use std::ops::Range;

/// A fragment would make the record longer than this connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

const LAST: u32 = 1 << 31;

/// The receive buffer of a connection. Bytes go in at [`Records::space`], records come out of [`Records::next`]; a record in one fragment
/// (as every known client sends) is never copied.
#[derive(Debug)]
pub(super) struct Records {
    buffer: Vec<u8>,
    /// Bytes received.
    filled: usize,
    /// Where the next fragment's header is.
    cursor: usize,
    /// The fragments of a record that is not whole yet, joined.
    partial: Range<usize>,
    /// Longest record, in bytes.
    limit: usize,
}

/// Enough for every message but a WRITE.
const USUAL: usize = 16 << 10;

impl Records {
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: vec![0; USUAL], filled: 0, cursor: 0, partial: 0..0, limit }
    }

    pub(super) fn bytes(&self, record: Range<usize>) -> &[u8] {
        &self.buffer[record]
    }

    /// Room for at least one more byte. Call it only after [`Records::next`] gave nothing more: what it gave before is overwritten.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.compact();
        let needed = self.pending().unwrap_or_default().clamp(USUAL, self.limit + USUAL);
        if self.buffer.len() < needed {
            // Grown at once (untouched pages cost nothing), not with every piece that arrives.
            let mut larger = vec![0; needed];
            larger[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
            self.buffer = larger;
        }
        &mut self.buffer[self.filled..]
    }

    /// The first `length` bytes of [`Records::space`] have been filled.
    pub(super) fn received(&mut self, length: usize) {
        self.filled += length;
    }

    /// The next whole record.
    pub(super) fn next(&mut self) -> Result<Option<Range<usize>>, TooLong> {
        while let Some((last, length)) = self.header() {
            if self.partial.len() + length > self.limit {
                return Err(TooLong);
            }
            let start = self.cursor + 4;
            let end = start + length;
            if end > self.filled {
                return Ok(None);
            }
            if self.partial.is_empty() {
                self.partial = start..end;
            } else {
                self.buffer.copy_within(start..end, self.partial.end);
                self.partial.end += length;
            }
            self.cursor = end;
            if last {
                return Ok(Some(std::mem::replace(&mut self.partial, end..end)));
            }
        }
        Ok(None)
    }

    fn header(&self) -> Option<(bool, usize)> {
        let word = self.buffer[self.cursor..self.filled].first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
        Some((word & LAST != 0, (word & !LAST) as usize))
    }

    /// Bytes that the buffer must hold for the fragment that is under way, and one more header.
    fn pending(&self) -> Option<usize> {
        let (_, length) = self.header()?;
        Some(self.cursor + 4 + length + 4)
    }

    /// Moves what has not been handed out to the front of the buffer.
    fn compact(&mut self) {
        let joined = self.partial.len();
        self.buffer.copy_within(self.partial.clone(), 0);
        self.buffer.copy_within(self.cursor..self.filled, joined);
        self.filled = joined + self.filled - self.cursor;
        self.cursor = joined;
        self.partial = 0..joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(records: &mut Records, mut bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut found = vec![];
        while !bytes.is_empty() {
            let space = records.space();
            let length = bytes.len().min(piece).min(space.len());
            space[..length].copy_from_slice(&bytes[..length]);
            records.received(length);
            bytes = &bytes[length..];
            while let Some(range) = records.next()? {
                found.push(records.bytes(range).to_vec());
            }
        }
        Ok(found)
    }

    fn fragments(record: &[u8], size: usize) -> Vec<u8> {
        let mut chunks: Vec<&[u8]> = record.chunks(size).collect();
        let last = chunks.pop().unwrap_or_default();
        let mut out = vec![];
        for chunk in chunks {
            out.extend((chunk.len() as u32).to_be_bytes());
            out.extend(chunk);
        }
        out.extend((last.len() as u32 | LAST).to_be_bytes());
        out.extend(last);
        out
    }

    #[test]
    fn a_record_longer_than_the_limit_is_refused_by_its_header_alone() {
        assert_eq!(feed(&mut Records::new(1000), &[0x80, 0, 0x03, 0xe9], 4), Err(TooLong));
        assert_eq!(feed(&mut Records::new(1000), &fragments(&[7; 1001], 300), 4), Err(TooLong), "in fragments");
        assert_eq!(feed(&mut Records::new(1000), &fragments(&[7; 1000], 300), 4), Ok(vec![vec![7; 1000]]));
    }

    #[test]
    fn the_buffer_stays_bounded_however_much_passes_through() {
        let mut records = Records::new(100_000);
        let stream: Vec<u8> = (0..50).flat_map(|_| fragments(&[1; 90_000], 7_000)).collect();
        assert_eq!(feed(&mut records, &stream, 5_000).unwrap().len(), 50);
        assert!(records.buffer.len() <= 100_000 + USUAL, "{}", records.buffer.len());
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in_whatever_the_pieces(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..8),
            size in 1_usize..2000,
            piece in 1_usize..5000,
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|record| fragments(record, size)).collect();
            prop_assert_eq!(feed(&mut Records::new(4000), &stream, piece), Ok(sent));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, piece in 1_usize..40) {
            let _ = feed(&mut Records::new(64), &bytes, piece);
        }
    }
}
