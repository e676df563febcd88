//! The parts of RFC 9110 that resumed downloads rest on: one byte range, and validators.

/// What part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// `length` bytes from `start`.
    Slice {
        /// First byte.
        start: u64,
        /// How many bytes, at least one.
        length: u64,
    },
    /// A range that lies outside the file: 416.
    Outside,
}

/// Reads a `Range` header (RFC 9110 section 14.2) for a file of `size` bytes. What is no single byte range is ignored, as
/// the RFC allows: the whole file is always a right answer.
pub fn part(header: Option<&str>, size: u64) -> Part {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Part::Whole };
    let Some((first, last)) = range.split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Some(None), Some(Some(suffix))) => slice(size.saturating_sub(suffix), size),
        (Some(Some(first)), Some(None)) => slice(first, size),
        (Some(Some(first)), Some(Some(last))) if first <= last => slice(first, last.saturating_add(1).min(size)),
        _ => Part::Whole,
    }
}

/// `Some(None)` for no digits, `None` for anything that is not a number.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

fn slice(start: u64, end: u64) -> Part {
    match end.checked_sub(start) {
        Some(length @ 1..) => Part::Slice { start, length },
        _ => Part::Outside,
    }
}

/// True if a range may be honoured under this `If-Range` header (RFC 9110 section 13.1.5): the validator must be the very
/// one that the file has now. Ignoring it would let a client glue two versions of a file together.
pub fn if_range_holds(header: Option<&str>, etag: &str, last_modified: &str) -> bool {
    header.is_none_or(|validator| validator.trim() == etag || validator.trim() == last_modified)
}

/// True if one of the entity tags of an `If-None-Match` header is this file's.
pub fn none_match_hits(header: &str, etag: &str) -> bool {
    header.split(',').map(|tag| tag.trim()).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_as_clients_send_them() {
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-0"), 10), Part::Slice { start: 0, length: 1 });
        assert_eq!(part(Some("bytes=4-"), 10), Part::Slice { start: 4, length: 6 });
        assert_eq!(part(Some("bytes=4-100"), 10), Part::Slice { start: 4, length: 6 });
        assert_eq!(part(Some("bytes=-3"), 10), Part::Slice { start: 7, length: 3 });
        assert_eq!(part(Some("bytes=-30"), 10), Part::Slice { start: 0, length: 10 });
        assert_eq!(part(Some("bytes=10-"), 10), Part::Outside);
        assert_eq!(part(Some("bytes=-0"), 10), Part::Outside);
        assert_eq!(part(Some("bytes=0-"), 0), Part::Outside);
        for ignored in ["bytes=5-4", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2"] {
            assert_eq!(part(Some(ignored), 10), Part::Whole, "{ignored}");
        }
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        assert!(if_range_holds(None, "\"a\"", "d"));
        assert!(if_range_holds(Some("\"a\""), "\"a\"", "d"));
        assert!(!if_range_holds(Some("\"b\""), "\"a\"", "d"));
        assert!(!if_range_holds(Some("W/\"a\""), "\"a\"", "d"));
    }

    proptest! {
        #[test]
        fn a_slice_never_leaves_the_file(header in "(bytes=)?[0-9a-z,-]{0,45}", size in any::<u64>()) {
            if let Part::Slice { start, length } = part(Some(&header), size) {
                prop_assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
