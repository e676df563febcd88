//! Writing a package index.

/// A stanza with the value of one field replaced, or the field added at the end. Everything else stays as it was.
/// `value` must be one line; a line break in it becomes a blank.
pub fn with_field(stanza: &str, field: &str, value: &str) -> String {
    todo!()
}

/// The text of a `Packages` file: the stanzas by name, architecture and version, each once, whatever the order they come in.
pub fn packages_text(stanzas: impl IntoIterator<Item = String>) -> Result<String, super::packages::PackageError> {
    todo!()
}
