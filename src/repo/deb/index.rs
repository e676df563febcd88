//! Writing a package index.

use super::packages::{Package, PackageError};
use super::version;

/// A stanza with the value of one field replaced, or the field added at the end. Everything else stays as it was.
/// `value` must be one line; a line break in it becomes a blank.
pub fn with_field(stanza: &str, field: &str, value: &str) -> String {
    let value = value.replace(['\n', '\r'], " ");
    let mut out = String::with_capacity(stanza.len() + field.len() + value.len() + 3);
    let (mut inside, mut written) = (false, false);
    for line in stanza.lines() {
        if line.starts_with([' ', '\t']) {
            if inside {
                continue; // a continuation of the value that was replaced
            }
        } else {
            inside = line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case(field));
        }
        if !inside {
            out.push_str(line);
            out.push('\n');
        } else if !written {
            push_field(&mut out, field, &value);
            written = true;
        }
    }
    if !written {
        push_field(&mut out, field, &value);
    }
    out
}

fn push_field(out: &mut String, field: &str, value: &str) {
    for part in [field, ": ", value, "\n"] {
        out.push_str(part);
    }
}

/// The text of a `Packages` file: the stanzas by name, architecture and version, each once, whatever the order they come in.
pub fn packages_text(stanzas: impl IntoIterator<Item = String>) -> Result<String, PackageError> {
    let stanzas: Vec<String> = stanzas.into_iter().collect();
    let mut packages = stanzas.iter().map(|stanza| Package::parse(stanza)).collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|a, b| {
        (a.name, a.architecture)
            .cmp(&(b.name, b.architecture))
            .then_with(|| version::compare(a.version, b.version))
            .then_with(|| a.stanza.cmp(b.stanza))
    });
    packages.dedup_by(|a, b| (a.name, a.architecture, a.version) == (b.name, b.architecture, b.version));
    let mut out = String::with_capacity(packages.iter().map(|package| package.stanza.len() + 1).sum());
    for package in packages {
        out.push_str(package.stanza.trim_end_matches('\n'));
        out.push_str("\n\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDEB: &str = "Package: partman-efi\nVersion: 110\nArchitecture: amd64\nPriority: optional\nTag: a,\n b\nDescription: x\n";

    #[test]
    fn a_field_is_replaced_in_its_place_and_the_rest_stays() {
        assert_eq!(with_field(UDEB, "priority", "standard"), UDEB.replace("Priority: optional", "priority: standard"));
        assert_eq!(with_field(UDEB, "Tag", "c"), UDEB.replace("Tag: a,\n b", "Tag: c"));
        assert_eq!(with_field(UDEB, "Filename", "pool/x\ny"), format!("{UDEB}Filename: pool/x y\n"));
    }

    #[test]
    fn the_index_is_ordered_and_holds_each_package_once() {
        let stanza = |name: &str, version: &str| format!("Package: {name}\nVersion: {version}\nArchitecture: all\n");
        let one = packages_text([stanza("b", "1"), stanza("a", "10"), stanza("a", "9"), stanza("b", "1")]).unwrap();
        let two = packages_text([stanza("a", "9"), stanza("b", "1"), stanza("a", "10")]).unwrap();
        assert_eq!(one, two);
        assert_eq!(one, format!("{}\n{}\n{}\n", stanza("a", "9"), stanza("a", "10"), stanza("b", "1")));
        assert_eq!(packages_text([]).unwrap(), "");
    }
}
