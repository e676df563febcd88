//! The frame of a cleartext signature (RFC 9580, section 7), read strictly: what is not signed is not text.

use super::Rejected;

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A cleartext signed message, taken apart.
pub(super) struct Cleartext {
    /// The lines of the text without escapes, trailing blanks (they are not signed) and line ends.
    lines: Vec<String>,
    /// The armoured signature.
    pub signature: String,
}

impl Cleartext {
    /// Takes a message apart.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        let malformed = |problem: &str| Rejected::Malformed(problem.to_owned());
        let message = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        let mut lines = message.lines().map(trim);
        if lines.next() != Some(BEGIN) {
            let inside = message.lines().any(|line| trim(line) == BEGIN);
            return Err(if inside {
                Rejected::TextOutsideSignature
            } else {
                malformed("it does not start with `BEGIN PGP SIGNED MESSAGE`")
            });
        }
        // Other headers than Hash could be taken for text by a careless reader (RFC 9580, section 7.1.1).
        for line in lines.by_ref() {
            match line {
                "" => break,
                line if line.starts_with("Hash:") => {}
                _ => return Err(malformed("a header other than `Hash`")),
            }
        }
        let text = lines.by_ref().take_while(|line| *line != SIGNATURE).map(unescape).collect::<Option<Vec<_>>>();
        let text = text.ok_or_else(|| malformed("a line of the text starts with an unescaped dash"))?;
        let mut signature = format!("{SIGNATURE}\n");
        let mut ended = false;
        for line in lines.by_ref() {
            signature.push_str(line);
            signature.push('\n');
            if line == END {
                ended = true;
                break;
            }
        }
        if !ended {
            return Err(malformed("its signature is cut short"));
        }
        if lines.any(|line| !line.is_empty()) {
            return Err(Rejected::TextOutsideSignature);
        }
        Ok(Self { lines: text, signature })
    }

    /// What the signature was made over: lines joined by CR LF, none after the last.
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.lines.join("\r\n").into_bytes()
    }

    /// The text for a reader: each line ending in LF.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// Trailing blanks are no part of a signed line (section 7.2); CR is part of the line end.
fn trim(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r'])
}

fn unescape(line: &str) -> Option<String> {
    match line.strip_prefix('-') {
        None => Some(line.to_owned()),
        Some("") => None,
        Some(rest) => rest.strip_prefix(' ').map(str::to_owned),
    }
}

/// The text as it is signed: trailing blanks stripped, one line end after each line.
pub(super) fn canonical(text: &str) -> String {
    text.lines().flat_map(|line| [trim(line), "\n"]).collect()
}

/// Frames a canonical text and its armoured signature.
pub(super) fn frame(text: &str, hash: &str, signature: &str) -> String {
    let escaped: String = text.lines().flat_map(|line| [if line.starts_with('-') { "- " } else { "" }, line, "\n"]).collect();
    format!("{BEGIN}\nHash: {hash}\n\n{escaped}{signature}")
}
