//! Reading mirror lists: one base address a line.

/// The most bytes that a mirror list may have.
pub const MAX_MIRRORLIST: u64 = 1 << 20;
const MAX_URLS: usize = 2000;

/// The addresses, in order, without a slash at the end: lines that are no `http` or `https` address (comments, error messages, rsync)
/// are passed over, and so are repetitions. A server answers an unknown repository with a comment: the list is then empty.
pub fn parse(bytes: &[u8]) -> Vec<String> {
    let mut urls: Vec<String> = vec![];
    for line in String::from_utf8_lossy(bytes).lines() {
        let url = line.trim().trim_end_matches('/');
        if is_web(url) && urls.len() < MAX_URLS && !urls.iter().any(|known| known == url) {
            urls.push(url.to_owned());
        }
    }
    urls
}

/// True for `http://host...` and `https://host...` without blanks and control characters, of at most 2000 bytes.
pub(super) fn is_web(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    !host.is_empty() && !host.starts_with('/') && url.len() <= 2000 && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_taken_once_each() {
        let list = b"# repo = x\nhttps://a.example/os/\n\nhttp://b.example/os\r\nrsync://c/\nhttps://a.example/os\nhttps:///etc\nhttp://d e\n\xff\n";
        assert_eq!(parse(list), ["https://a.example/os", "http://b.example/os"]);
        assert!(parse(b"# No mirrors found for the repository you requested\n").is_empty());
    }
}
