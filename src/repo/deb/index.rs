//! Writing a package index.

use super::packages::{Package, PackageError};
use super::version;

/// A stanza with the values of some fields replaced, or the fields added at the end. Everything else stays as it was.
/// Values must be one line; a line break in one becomes a blank.
pub fn with_fields<const N: usize>(stanza: &str, fields: [(&str, &str); N]) -> String {
    let more: usize = fields.iter().map(|(field, value)| field.len() + value.len() + 3).sum();
    let mut out = String::with_capacity(stanza.len() + 1 + more);
    let (mut inside, mut written) = (None, [false; N]);
    for line in stanza.lines() {
        if line.starts_with([' ', '\t']) {
            if inside.is_some() {
                continue; // a continuation of the value that was replaced
            }
        } else {
            let name = line.split_once(':').map(|(name, _)| name);
            inside = name.and_then(|name| fields.iter().position(|(field, _)| name.eq_ignore_ascii_case(field)));
        }
        match inside {
            None => {
                out.push_str(line);
                out.push('\n');
            }
            Some(number) if !written[number] => {
                push_field(&mut out, fields[number]);
                written[number] = true;
            }
            Some(_) => {}
        }
    }
    let missing = fields.into_iter().zip(written).filter(|(_, written)| !written);
    missing.for_each(|(field, _)| push_field(&mut out, field));
    out
}

fn push_field(out: &mut String, (field, value): (&str, &str)) {
    let value = value.replace(['\n', '\r'], " ");
    for part in [field, ": ", &value, "\n"] {
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
        assert_eq!(with_fields(UDEB, [("priority", "standard")]), UDEB.replace("Priority: optional", "priority: standard"));
        assert_eq!(with_fields(UDEB, [("Tag", "c")]), UDEB.replace("Tag: a,\n b", "Tag: c"));
        assert_eq!(with_fields(UDEB, [("Filename", "pool/x\ny")]), format!("{UDEB}Filename: pool/x y\n"));
        let both = with_fields(UDEB, [("Size", "7"), ("Tag", "c")]);
        assert_eq!(both, UDEB.replace("Tag: a,\n b", "Tag: c") + "Size: 7\n");
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
