//! LZMA2 from memory to memory, as far as it is asked for: for the thousands of short texts that an index of packages is made of.
//!
//! The text itself is the dictionary, and nothing is allocated or cleared but the text and 28 KiB of probabilities. The formats are those of
//! the xz file format's section 5.3.1 and of the LZMA specification.

/// Most that the numbers of literal context and literal position bits come to in LZMA2.
const MOST_LITERAL_BITS: u32 = 4;
const LITERALS: usize = 0x300 << MOST_LITERAL_BITS;
const STATES: usize = 12;
const POSITIONS: usize = 16;
/// A probability of one half; all are of 2^11.
const EVEN: u16 = 1 << 10;
/// From this slot on, the lower bits of a distance have no probabilities, but for the last four.
const DIRECT_SLOT: usize = 14;

/// Longest match.
const LONGEST: usize = 273;
/// Texts are copied so many bytes at a time, of which the last may go beyond what is asked for.
const WIDTH: usize = 16;

/// A text that comes out of its chunks as far as it is asked for.
pub struct Decoder<'a> {
    /// What was not yet looked at: the chunks behind the present one.
    rest: &'a [u8],
    limit: usize,
    /// What came out, and room behind it.
    text: Vec<u8>,
    done: usize,
    /// Where the dictionary begins.
    start: Option<usize>,
    model: Option<Box<Model>>,
    chunk: Option<Chunk<'a>>,
    has_stored: bool,
    is_ended: bool,
    is_damaged: bool,
}

/// A chunk of which something is left.
struct Chunk<'a> {
    range: Range<'a>,
    /// How long the text is with all of it.
    end: usize,
}

impl<'a> Decoder<'a> {
    /// Of the chunks at the start of `bytes`, whose text is no longer than `limit` bytes.
    pub fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self {
            rest: bytes,
            limit,
            text: Vec::new(),
            done: 0,
            start: None,
            model: None,
            chunk: None,
            has_stored: false,
            is_ended: false,
            is_damaged: false,
        }
    }

    /// The text up to `length` bytes or a few more, or all of it if it is shorter. `None` if it is damaged so far, and from then on.
    pub fn until(&mut self, length: usize) -> Option<&[u8]> {
        self.is_damaged = self.is_damaged || self.advance(length).is_none();
        if self.is_damaged { None } else { self.text.get(..self.done) }
    }

    fn advance(&mut self, length: usize) -> Option<()> {
        while self.done < length && !self.is_ended {
            let Some(chunk) = &mut self.chunk else {
                self.begin()?;
                continue;
            };
            let (start, until) = (self.start?, length.min(chunk.end));
            let room = until + LONGEST + WIDTH;
            if self.text.len() < room {
                self.text.resize(room, 0);
            }
            let at = self.model.as_mut()?.decode(
                &mut chunk.range,
                &mut self.text[start..],
                [self.done, until, chunk.end].map(|end| end - start),
            )?;
            self.done = start + at;
            if self.done == chunk.end {
                chunk.range.is_finished().then_some(())?;
                self.chunk = None;
            }
        }
        Some(())
    }

    /// True if some of what came out was not compressed: there a wrong bit spoils no more than its own byte.
    pub fn has_stored(&self) -> bool {
        self.has_stored
    }

    /// What was not yet looked at; when all of the text is there, what follows it.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Begins the next chunk; what is not compressed is done with it.
    fn begin(&mut self) -> Option<()> {
        let (control, rest) = self.rest.split_first()?;
        self.rest = rest;
        // The first chunk begins a dictionary.
        if *control == 1 || *control >= 0xe0 {
            self.start = Some(self.done);
        }
        match control {
            0 => self.is_ended = true,
            1 | 2 => {
                self.start?;
                self.has_stored = true;
                let (size, after) = rest.split_first_chunk::<2>()?;
                let (plain, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)) + 1)?;
                self.end(plain.len())?;
                self.text.truncate(self.done);
                self.text.extend_from_slice(plain);
                self.done = self.text.len();
                if *control == 1 {
                    self.model = None;
                }
                self.rest = after;
            }
            3..0x80 => return None,
            _ => {
                let ([a, b, c, d], mut after) = rest.split_first_chunk::<4>()?;
                let plain = (usize::from(control & 0x1f) << 16 | usize::from(*a) << 8 | usize::from(*b)) + 1;
                let packed = (usize::from(*c) << 8 | usize::from(*d)) + 1;
                match control >> 5 & 3 {
                    0 => {}
                    1 => self.model = Some(Box::new(Model::new(self.model.as_ref()?.shape))),
                    _ => {
                        let (properties, behind) = after.split_first()?;
                        self.model = Some(Box::new(Model::new(Shape::parse(*properties)?)));
                        after = behind;
                    }
                }
                let (chunk, behind) = after.split_at_checked(packed)?;
                self.chunk = Some(Chunk { range: Range::new(chunk)?, end: self.end(plain)? });
                self.rest = behind;
            }
        }
        Some(())
    }

    /// How long the text is with so many bytes more, if that is not too long.
    fn end(&self, more: usize) -> Option<usize> {
        (more <= self.limit - self.done).then_some(self.done + more)
    }
}

/// How many bits of what stands before a symbol choose its probabilities.
#[derive(Clone, Copy)]
struct Shape {
    literal_context: u32,
    literal_position: u32,
    position: u32,
}

impl Shape {
    fn parse(properties: u8) -> Option<Self> {
        let properties = u32::from(properties);
        let shape = Self { literal_context: properties % 9, literal_position: properties / 9 % 5, position: properties / 45 };
        (shape.position <= 4 && shape.literal_context + shape.literal_position <= MOST_LITERAL_BITS).then_some(shape)
    }
}

struct Model {
    shape: Shape,
    state: usize,
    /// The last four distances, less one.
    distances: [usize; 4],
    is_match: [[u16; POSITIONS]; STATES],
    is_repeat: [u16; STATES],
    is_older: [[u16; STATES]; 3],
    is_long: [[u16; POSITIONS]; STATES],
    slots: [[u16; 64]; 4],
    special: [u16; 115],
    align: [u16; 16],
    match_length: Lengths,
    repeat_length: Lengths,
    literals: Box<[u16]>,
}

impl Model {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            state: 0,
            distances: [0; 4],
            is_match: [[EVEN; POSITIONS]; STATES],
            is_repeat: [EVEN; STATES],
            is_older: [[EVEN; STATES]; 3],
            is_long: [[EVEN; POSITIONS]; STATES],
            slots: [[EVEN; 64]; 4],
            special: [EVEN; 115],
            align: [EVEN; 16],
            match_length: Lengths::new(),
            repeat_length: Lengths::new(),
            literals: vec![EVEN; LITERALS >> (MOST_LITERAL_BITS - shape.literal_context - shape.literal_position)].into(),
        }
    }

    /// Fills `text`, of which `at` bytes are there, from one chunk: up to `until` or a few bytes more, but never beyond `end`. Gives how far
    /// it came. Behind `until` is room for a match, and for what is copied too much.
    fn decode(&mut self, bits: &mut Range<'_>, text: &mut [u8], [mut at, until, end]: [usize; 3]) -> Option<usize> {
        // In registers, not behind a pointer.
        let mut range = *bits;
        while at < until {
            let place = at & ((1 << self.shape.position) - 1);
            if range.bit(&mut self.is_match[self.state][place]) == 0 {
                text[at] = self.literal(&mut range, text, at)?;
                at += 1;
                continue;
            }
            let length = self.reference(&mut range, place);
            let distance = self.distances[0].checked_add(1)?;
            if distance > at || length > end - at {
                return None;
            }
            repeat(text, at, distance, length)?;
            at += length;
        }
        *bits = range;
        Some(at)
    }

    fn literal(&mut self, range: &mut Range<'_>, text: &[u8], at: usize) -> Option<u8> {
        let Shape { literal_context, literal_position, .. } = self.shape;
        let before = at.checked_sub(1).map_or(0, |before| text[before]);
        let context = (at & ((1 << literal_position) - 1)) << literal_context | usize::from(before) >> (8 - literal_context);
        let odds = self.literals.get_mut(0x300 * context..)?.first_chunk_mut::<0x300>()?;
        let mut symbol = 1;
        if self.state >= 7 {
            // After a reference: the byte that would have gone on with it is a good guess.
            let mut guess = usize::from(text[at.checked_sub(self.distances[0] + 1)?]);
            let mut agrees = 0x100;
            while symbol < 0x100 {
                guess <<= 1;
                let bit = guess & agrees;
                let got = range.bit(&mut odds[agrees + bit + symbol]);
                symbol = symbol << 1 | got;
                // Where they differ, nothing is guessed from there on.
                agrees &= !(bit ^ got.wrapping_neg());
            }
        } else {
            while symbol < 0x100 {
                symbol = symbol << 1 | range.bit(&mut odds[symbol]);
            }
        }
        self.state = match self.state {
            0..4 => 0,
            4..10 => self.state - 3,
            _ => self.state - 6,
        };
        Some((symbol & 0xff) as u8)
    }

    /// A match or a repeat: its length; its distance is the first of the last ones.
    fn reference(&mut self, range: &mut Range<'_>, place: usize) -> usize {
        let (state, late) = (self.state, self.state >= 7);
        if range.bit(&mut self.is_repeat[state]) == 0 {
            let length = self.match_length.decode(range, place);
            self.state = if late { 10 } else { 7 };
            let distance = self.distance(range, length);
            self.distances = [distance, self.distances[0], self.distances[1], self.distances[2]];
            return length;
        }
        let older = if range.bit(&mut self.is_older[0][state]) == 0 {
            if range.bit(&mut self.is_long[state][place]) == 0 {
                self.state = if late { 11 } else { 9 };
                return 1;
            }
            0
        } else if range.bit(&mut self.is_older[1][state]) == 0 {
            1
        } else {
            2 + range.bit(&mut self.is_older[2][state])
        };
        self.distances[..=older].rotate_right(1);
        self.state = if late { 11 } else { 8 };
        self.repeat_length.decode(range, place)
    }

    /// Less one. That of an end marker is beyond every text.
    fn distance(&mut self, range: &mut Range<'_>, length: usize) -> usize {
        let slot = range.tree(&mut self.slots[(length - 2).min(3)]);
        if slot < 4 {
            return slot;
        }
        let bits = (slot >> 1) - 1;
        let base = (2 | slot & 1) << bits;
        if slot < DIRECT_SLOT {
            return base + range.reverse(&mut self.special[base - slot..], bits);
        }
        base + (range.direct(bits - 4) << 4) + range.reverse(&mut self.align, 4)
    }
}

/// Continues a text at `at` with what stands `distance` before, `WIDTH` bytes at a time: the last may be too many, and are written again.
#[inline(always)]
fn repeat(text: &mut [u8], at: usize, distance: usize, length: usize) -> Option<()> {
    let (mut done, mut distance) = (0, distance);
    if distance < WIDTH {
        // What repeats so soon is the same some distances before; that is reached after a few single bytes.
        let far = distance * WIDTH.div_ceil(distance);
        while done < length.min(far - distance) {
            text[at + done] = text[at + done - distance];
            done += 1;
        }
        distance = far;
    }
    while done < length {
        let (before, after) = text.split_at_mut_checked(at + done)?;
        *after.first_chunk_mut::<WIDTH>()? = *before.get(before.len() - distance..)?.first_chunk::<WIDTH>()?;
        done += WIDTH;
    }
    Some(())
}

struct Lengths {
    choices: [u16; 2],
    low: [[u16; 8]; POSITIONS],
    middle: [[u16; 8]; POSITIONS],
    high: [u16; 256],
}

impl Lengths {
    fn new() -> Self {
        Self { choices: [EVEN; 2], low: [[EVEN; 8]; POSITIONS], middle: [[EVEN; 8]; POSITIONS], high: [EVEN; 256] }
    }

    fn decode(&mut self, range: &mut Range<'_>, place: usize) -> usize {
        if range.bit(&mut self.choices[0]) == 0 {
            2 + range.tree(&mut self.low[place])
        } else if range.bit(&mut self.choices[1]) == 0 {
            10 + range.tree(&mut self.middle[place])
        } else {
            18 + range.tree(&mut self.high)
        }
    }
}

/// The range decoder. Behind the end of a chunk it reads zeros, which [`Range::is_finished`] tells.
#[derive(Clone, Copy)]
struct Range<'a> {
    bytes: &'a [u8],
    at: usize,
    range: u32,
    code: u32,
}

impl<'a> Range<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let ([0, code @ ..], _) = bytes.split_first_chunk::<5>()? else { return None };
        Some(Self { bytes, at: 5, range: u32::MAX, code: u32::from_be_bytes(*code) })
    }

    fn is_finished(&self) -> bool {
        self.at == self.bytes.len() && self.code == 0
    }

    #[inline(always)]
    fn normalize(&mut self) {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | self.bytes.get(self.at).map_or(0, |byte| u32::from(*byte));
            self.at += 1;
        }
    }

    #[inline(always)]
    fn bit(&mut self, odds: &mut u16) -> usize {
        let bound = (self.range >> 11) * u32::from(*odds);
        let bit = if self.code < bound {
            self.range = bound;
            *odds += (2048 - *odds) >> 5;
            0
        } else {
            self.range -= bound;
            self.code -= bound;
            *odds -= *odds >> 5;
            1
        };
        self.normalize();
        bit
    }

    /// As many bits as tell the odds' places apart, the highest first.
    #[inline(always)]
    fn tree<const N: usize>(&mut self, odds: &mut [u16; N]) -> usize {
        let mut symbol = 1;
        while symbol < N {
            symbol = symbol << 1 | self.bit(&mut odds[symbol]);
        }
        symbol - N
    }

    /// The lowest bit first.
    fn reverse(&mut self, odds: &mut [u16], bits: usize) -> usize {
        let (mut node, mut value) = (1, 0);
        for number in 0..bits {
            let bit = self.bit(&mut odds[node]);
            node = node << 1 | bit;
            value |= bit << number;
        }
        value
    }

    /// Bits that are as likely 0 as 1.
    fn direct(&mut self, bits: usize) -> usize {
        let mut value = 0;
        for _ in 0..bits {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            value = value << 1 | usize::from(bit);
            self.normalize();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use proptest::prelude::*;

    use super::*;

    fn packed(text: &[u8], change: impl FnOnce(&mut lzma_rust2::LzmaOptions)) -> Vec<u8> {
        let mut options = lzma_rust2::Lzma2Options::with_preset(6);
        change(&mut options.lzma_options);
        let mut writer = lzma_rust2::Lzma2Writer::new(Vec::new(), options);
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    /// The text, and how long its chunks are with their end marker.
    fn decompress(bytes: &[u8], limit: usize) -> Option<(Vec<u8>, usize)> {
        let mut decoder = Decoder::new(bytes, limit);
        let text = decoder.until(usize::MAX)?.to_vec();
        Some((text, bytes.len() - decoder.rest().len()))
    }

    /// What the library makes of the same chunks.
    fn library(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        lzma_rust2::Lzma2Reader::new(bytes, 1 << 23, None).read_to_end(&mut text).ok().map(|_| text)
    }

    /// Bytes that do not compress (splitmix64).
    fn noise(length: u64) -> Vec<u8> {
        let mixed = |at: u64| {
            let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
        };
        (0..length).map(mixed).collect()
    }

    /// Text with repeats at all distances, which compresses like prose.
    fn prose(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| format!("{:x} lib{} (>= 1.{}), ", word % 7, word % 500, word % 11).into_bytes()).collect()
    }

    #[test]
    fn several_chunks_and_what_does_not_compress() {
        let noise = noise(300_000);
        let mut text = [vec![b'a'; 3 << 20], noise.clone(), vec![0; 70_000], noise].concat();
        // Repeats that overlap themselves, of every short distance.
        (2..20).for_each(|length| text.extend(b"abcdefghijklmnopqrst"[..length].repeat(2_000)));
        text.extend(prose(&(0..20_000).collect::<Vec<u16>>()));
        let bytes = packed(&text, |_| ());
        assert_eq!(decompress(&bytes, text.len()), Some((text.clone(), bytes.len())));
        assert_eq!(decompress(&bytes, text.len() - 1), None, "longer than the limit");
        assert_eq!(decompress(&bytes[..bytes.len() - 1], text.len()), None, "without its end");
    }

    #[test]
    fn chunks_of_every_kind_come_in_steps() {
        let text = [prose(&(0..20_000).collect::<Vec<u16>>()), noise(200_000), prose(&[7; 3_000])].concat();
        let bytes = packed(&text, |_| ());
        for width in [1_000_usize, 65_537, 200_000, 700_000] {
            let mut decoder = Decoder::new(&bytes, text.len());
            for step in (0..text.len()).step_by(width) {
                let some = decoder.until(step).unwrap();
                assert!(some.len() >= step && *some == text[..some.len()]);
            }
            assert_eq!(decoder.until(usize::MAX), Some(text.as_slice()));
            assert!(decoder.has_stored(), "noise is not compressed");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_out(
            words in prop::collection::vec(any::<u16>(), 0..600),
            noise: Vec<u8>,
            (lc, lp) in (0_u32..=4).prop_flat_map(|lc| (Just(lc), 0..=4 - lc)),
            pb in 0_u32..=4,
            behind: Vec<u8>,
        ) {
            let text = [prose(&words), noise, prose(&words)].concat();
            let mut bytes = packed(&text, |options| (options.lc, options.lp, options.pb) = (lc, lp, pb));
            let length = bytes.len();
            bytes.extend(behind);
            prop_assert_eq!(decompress(&bytes, text.len()), Some((text, length)));
        }

        #[test]
        fn in_steps_it_is_the_same_text(words in prop::collection::vec(any::<u16>(), 0..600), steps in prop::collection::vec(0_usize..9_000, 0..9)) {
            let text = prose(&words);
            let bytes = packed(&text, |_| ());
            let mut decoder = Decoder::new(&bytes, text.len());
            for step in steps {
                let some = decoder.until(step).unwrap();
                prop_assert!(some.len() >= step.min(text.len()) && some == &text[..some.len()]);
            }
            prop_assert_eq!(decoder.until(usize::MAX), Some(text.as_slice()));
        }

        #[test]
        fn damage_is_found_or_means_the_same_to_the_library(
            words in prop::collection::vec(any::<u16>(), 1..200),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = packed(&prose(&words), |_| ());
            for (index, value) in changes {
                *index.get_mut(&mut bytes) = value;
            }
            if let Some((text, length)) = decompress(&bytes, 1 << 24) {
                prop_assert_eq!(library(&bytes[..length]), Some(text));
            }
            let mut decoder = Decoder::new(&bytes, 1 << 24);
            let is_damaged = (0..9).map(|step| decoder.until(step * 300).is_none()).collect::<Vec<_>>();
            prop_assert!(is_damaged.is_sorted(), "damage stays");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, control in 0xe0_u8.., properties in 0_u8..225) {
            let _ = decompress(&bytes, 1 << 16);
            let size = [control, 0, 200, 0, bytes.len().saturating_sub(1) as u8, properties, 0];
            let _ = decompress(&[&size[..], &bytes].concat(), 1 << 16);
        }
    }
}
