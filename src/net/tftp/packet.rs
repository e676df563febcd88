//! The codec: what clients send, what they get, and which options are agreed on.

use std::time::Duration;

/// Longest file name taken, in bytes.
const MAX_NAME: usize = 255;
/// A request is at most this long (RFC 2347).
const MAX_REQUEST: usize = 512;
/// More than this in flight would only overrun the client (and hold memory here); larger windows are cut to it.
const MAX_IN_FLIGHT: usize = 256 << 10;
const MAX_WINDOW: u16 = 64;
const MAX_BLOCK: usize = 65464;

/// Error codes of RFC 1350 and RFC 2347.
pub mod code {
    pub const OTHER: u16 = 0;
    pub const NOT_FOUND: u16 = 1;
    pub const ACCESS: u16 = 2;
    pub const ILLEGAL: u16 = 4;
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Read(Read),
    Write,
    Ack(u16),
    Error { code: u16, message: String },
}

/// A request to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub name: String,
    /// In the order given; names in lower case.
    pub options: Vec<(String, String)>,
}

/// Reads a datagram of a client; the error is what to tell it.
pub fn parse(bytes: &[u8]) -> Result<Packet, &'static str> {
    let (opcode, rest) = bytes.split_first_chunk().ok_or("packet too short")?;
    match u16::from_be_bytes(*opcode) {
        1 => read(rest).map(Packet::Read),
        2 => Ok(Packet::Write),
        4 => rest.first_chunk().map(|block| Packet::Ack(u16::from_be_bytes(*block))).ok_or("packet too short"),
        5 => {
            let (code, text) = rest.split_first_chunk().ok_or("packet too short")?;
            let text = &text[..text.len().min(MAX_REQUEST)];
            let message = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
            Ok(Packet::Error { code: u16::from_be_bytes(*code), message })
        }
        _ => Err("unknown operation"),
    }
}

fn read(bytes: &[u8]) -> Result<Read, &'static str> {
    if bytes.len() > MAX_REQUEST {
        return Err("request too long");
    }
    let mut words = bytes.split(|byte| *byte == 0);
    let mut name = words.next().unwrap_or_default();
    // BIOS ROMs read one byte past option 67, its end mark, when it has no NUL: they ask for "pxelinux.0\377".
    while let Some(shorter) = name.strip_suffix(b"\xff") {
        name = shorter;
    }
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("file name empty or too long");
    }
    let name = std::str::from_utf8(name).map_err(|_| "file name is not UTF-8")?.to_owned();
    let mode = words.next().unwrap_or_default();
    if !mode.eq_ignore_ascii_case(b"octet") && !mode.eq_ignore_ascii_case(b"netascii") {
        return Err("only the modes octet and netascii are served");
    }
    let mut options = Vec::new();
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        options.push((text(option).to_ascii_lowercase(), text(value)));
    }
    Ok(Read { name, options })
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub block: usize,
    /// Blocks sent before an acknowledgement is awaited.
    pub window: u16,
    /// Time until a packet is sent again, if the client chose it.
    pub timeout: Option<Duration>,
    /// The options acknowledged; empty if there are none, and then no OACK is sent.
    pub agreed: Vec<(&'static str, u64)>,
}

impl Terms {
    /// Takes what it can of the options asked for; unknown ones and nonsense are passed over, as RFC 2347 has it.
    pub fn agree(options: &[(String, String)], length: u64) -> Self {
        let mut terms = Self { block: 512, window: 1, timeout: None, agreed: Vec::new() };
        let mut window = None;
        for (name, value) in options {
            let value = value.trim().parse::<u64>().ok();
            match (name.as_str(), value) {
                ("blksize", Some(wanted @ 8..)) => {
                    terms.block = usize::try_from(wanted).unwrap_or(MAX_BLOCK).min(MAX_BLOCK);
                    terms.note("blksize", terms.block as u64);
                }
                // curl (7.88) takes a size of 0 for an invalid one and gives up: an empty file's size is not told.
                ("tsize", Some(_)) if length > 0 => terms.note("tsize", length),
                ("timeout", Some(seconds @ 1..=255)) => {
                    terms.timeout = Some(Duration::from_secs(seconds));
                    terms.note("timeout", seconds);
                }
                ("windowsize", Some(wanted @ 1..=65535)) => window = Some(wanted),
                _ => {}
            }
        }
        if let Some(wanted) = window {
            let most = u16::try_from(MAX_IN_FLIGHT / terms.block).unwrap_or(MAX_WINDOW).clamp(1, MAX_WINDOW);
            terms.window = u16::try_from(wanted).unwrap_or(most).min(most);
            terms.note("windowsize", u64::from(terms.window));
        }
        terms
    }

    fn note(&mut self, name: &'static str, value: u64) {
        match self.agreed.iter_mut().find(|agreed| agreed.0 == name) {
            Some(agreed) => agreed.1 = value,
            None => self.agreed.push((name, value)),
        }
    }

    /// The OACK packet; None if the client asked for no option that is known, and gets data at once.
    pub fn acknowledgement(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0, 6];
        for (name, value) in &self.agreed {
            bytes.extend(format!("{name}\0{value}\0").into_bytes());
        }
        (!self.agreed.is_empty()).then_some(bytes)
    }
}

/// Writes a DATA packet over `bytes`.
pub fn data(bytes: &mut Vec<u8>, block: u16, content: &[u8]) {
    bytes.clear();
    bytes.extend([0, 3]);
    bytes.extend(block.to_be_bytes());
    bytes.extend(content);
}

/// An ERROR packet.
pub fn error(code: u16, message: &str) -> Vec<u8> {
    let mut bytes = vec![0, 5];
    bytes.extend(code.to_be_bytes());
    bytes.extend(message.bytes().filter(|byte| *byte != 0).take(MAX_REQUEST));
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_request_with_options_is_read() {
        let request = parse(b"\0\x01pxelinux.0\0OCTET\0tsize\x000\0BlkSize\x001456\0").unwrap();
        let expected = Read { name: "pxelinux.0".into(), options: options(&[("tsize", "0"), ("blksize", "1456")]) };
        assert_eq!(request, Packet::Read(expected));
        assert!(matches!(parse(b"\0\x01pxelinux.0\xff\0octet\0"), Ok(Packet::Read(read)) if read.name == "pxelinux.0"));
    }

    #[test]
    fn other_packets_are_read_and_nonsense_is_refused() {
        assert_eq!(parse(b"\0\x02name\0octet\0"), Ok(Packet::Write));
        assert_eq!(parse(b"\0\x04\x01\x02"), Ok(Packet::Ack(0x0102)));
        assert_eq!(parse(b"\0\x05\0\x08stop\0"), Ok(Packet::Error { code: 8, message: "stop".into() }));
        let long = [b"\0\x01".as_slice(), &[b'a'; 256], b"\0octet\0"].concat();
        for bad in [
            &b""[..],
            b"\0",
            b"\0\x09",
            b"\0\x04\0",
            b"\0\x01\0octet\0",
            b"\0\x01name\0mail\0",
            b"\0\x01name",
            b"\0\x01\xe9\0octet\0",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn options_are_agreed_within_bounds_and_nonsense_is_passed_over() {
        let terms = Terms::agree(&options(&[("blksize", "1468"), ("tsize", "0"), ("windowsize", "500"), ("timeout", "3"), ("x", "1")]), 77);
        assert_eq!((terms.block, terms.window, terms.timeout), (1468, 64, Some(Duration::from_secs(3))));
        assert_eq!(terms.acknowledgement().unwrap(), b"\0\x06blksize\x001468\0tsize\x0077\0timeout\x003\0windowsize\x0064\0");
        let odd = Terms::agree(&options(&[("blksize", "7"), ("timeout", "0"), ("windowsize", "0"), ("tsize", "-1")]), 77);
        assert_eq!((odd.block, odd.window, odd.acknowledgement()), (512, 1, None));
        assert_eq!(Terms::agree(&options(&[("tsize", "0")]), 0).acknowledgement(), None);
        let wide = Terms::agree(&options(&[("windowsize", "64"), ("blksize", "99999999")]), 77);
        assert_eq!((wide.block, wide.window), (65464, 4), "the order of the options does not matter");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(opcode in 0u8..7, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
            let _ = parse(&[&[0, opcode], bytes.as_slice()].concat());
            let _ = parse(&[b"\0\x01name\0octet\0", bytes.as_slice()].concat());
        }

        #[test]
        fn whatever_is_asked_for_the_window_is_bounded(block in any::<u64>(), window in any::<u64>()) {
            let terms = Terms::agree(&options(&[("blksize", &block.to_string()), ("windowsize", &window.to_string())]), 1);
            prop_assert!((8..=MAX_BLOCK).contains(&terms.block) && (1..=MAX_WINDOW).contains(&terms.window));
            prop_assert!(terms.block * usize::from(terms.window) <= MAX_IN_FLIGHT);
        }
    }
}
