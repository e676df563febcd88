//! What several repositories tell beside their packages, as one file each.

use std::io::Read;

use super::records::{self, Held, refused};
use super::root::Root;
use crate::mirror::Result;
use crate::mirror::error::chain;
use crate::sys::objects::ObjectStore;

/// The most that is read of one such file, bytes: Fedora's updateinfo has 60 MB.
const MAX_TEXT: u64 = 512 << 20;

/// The name of a merged file of this kind, without the compression's suffix.
pub fn file_name(kind: &str) -> &str {
    match kind {
        "group" => "comps.xml",
        "updateinfo" => "updateinfo.xml",
        "modules" => "modules.yaml",
        other => other,
    }
}

/// Joins files of one kind. `None`: the kind is not known to be joined, and the first is taken as it is.
///
/// # Errors
/// If one does not read.
pub fn of(store: &ObjectStore, kind: &str, several: &[(&Root, &Held)]) -> Result<Option<Vec<u8>>> {
    let root = match kind {
        "modules" => None,
        "group" => Some("comps"),
        "updateinfo" => Some("updates"),
        _ => return Ok(None),
    };
    let mut joined = Vec::new();
    for (upstream, held) in several {
        let wrong = |problem: String| refused(upstream, &held.record, problem);
        let text = text(store, held).map_err(|error| wrong(chain(&error)))?;
        match root {
            // YAML documents one after another.
            None => {
                joined.extend_from_slice(text.trim_ascii_end());
                joined.push(b'\n');
            }
            Some(root) => joined.extend_from_slice(within(&text, root).ok_or_else(|| wrong(format!("it has no <{root}>")))?),
        }
    }
    Ok(Some(match root {
        None => joined,
        Some(root) => {
            let mut whole = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>").into_bytes();
            whole.extend(joined);
            whole.extend_from_slice(format!("</{root}>\n").as_bytes());
            whole
        }
    }))
}

/// A record's content.
///
/// # Errors
/// If it does not decompress, or is too large.
pub fn text(store: &ObjectStore, held: &Held) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let reader = records::open(store, held).map_err(|error| std::io::Error::other(chain(&error)))?;
    reader.take(MAX_TEXT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_TEXT {
        return Err(std::io::Error::other(format!("has more than the {MAX_TEXT} bytes allowed")));
    }
    Ok(text)
}

/// What stands between a root element's tags.
fn within<'a>(text: &'a [u8], root: &str) -> Option<&'a [u8]> {
    let open = format!("<{root}").into_bytes();
    let start = memchr::memmem::find(text, &open)?;
    let start = start + memchr::memchr(b'>', &text[start..])? + 1;
    if text[..start].ends_with(b"/>") {
        return Some(&[]);
    }
    let end = memchr::memmem::rfind(text, format!("</{root}").as_bytes())?;
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roots_content_is_what_stands_between_its_tags() {
        let xml = b"<?xml version='1.0'?>\n<!DOCTYPE comps PUBLIC '-//x' 'comps.dtd'>\n<comps a='1'>\n<group/>\n</comps>\n";
        assert_eq!(within(xml, "comps"), Some(&b"\n<group/>\n"[..]));
        assert_eq!(within(b"<updates/>", "updates"), Some(&b""[..]));
        assert_eq!(within(b"<html></html>", "comps"), None);
        assert_eq!(within(b"<comps>", "comps"), None);
    }
}
