//! Reads TOML so that every error names file, line, column, key, value and what is allowed there.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{NamedSource, SourceSpan};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest value that a message repeats, in characters.
const MAX_SHOWN: usize = 80;

/// Why a file of TOML was not taken.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(#[from] Box<Wrong>),
}

/// One thing that is wrong in a file, and where. Also a [`miette::Diagnostic`] with the lines in question.
#[derive(Debug, miette::Diagnostic)]
pub struct Wrong {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The dotted key (`dhcp.pool`, `source.0.url`); `None` where the text is no TOML at all.
    pub key: Option<String>,
    /// What was written, cut to a bound; `None` if the key is missing or unknown.
    pub value: Option<String>,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right; empty when `problem` says it.
    #[help]
    pub allowed: Option<String>,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("{problem}")]
    label: SourceSpan,
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.told())
    }
}

impl Wrong {
    /// What is wrong, without the place: for text that was never in a file.
    pub fn told(&self) -> String {
        let subject = match (&self.key, &self.value) {
            (Some(key), Some(value)) => format!("{key} = {value}: "),
            (Some(key), None) => format!("{key}: "),
            (None, _) => String::new(),
        };
        let allowed = self.allowed.as_ref().map(|allowed| format!("; allowed: {allowed}")).unwrap_or_default();
        format!("{subject}{}{allowed}", self.problem)
    }
}

/// A file's text and its name, kept so that what is found wrong later can still be located.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
}

/// Reads `text`, which came from `file`.
///
/// # Errors
/// [`Error::Wrong`] at the first thing that is wrong.
pub fn read<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Error> {
    Source::new(file, text).read()
}

impl Source {
    /// Text that came from `file`, which is only a name here: nothing is opened.
    pub fn new(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn open(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
        Ok(Self::new(file, text))
    }

    /// The file's name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What was written, by its serde shape.
    ///
    /// # Errors
    /// [`Error::Wrong`] at the first thing that is wrong.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error))
    }

    /// An error about the value of `key`, a dotted path with positions in arrays (`source.0.url`), for what only
    /// validation finds: `source.wrong("dhcp.pool", "ends before it starts", "FIRST-LAST")`. `allowed` may be empty.
    ///
    /// A key that was not written (its default is wrong, or it is missing) is located at the nearest table around it.
    pub fn wrong(&self, key: &str, problem: impl Into<String>, allowed: impl Into<String>) -> Error {
        let tree = DeTable::parse(&self.text).ok();
        let (span, complete) = tree.as_ref().map_or((0..0, false), |tree| locate(tree, key));
        let value = complete.then(|| self.shown(&span));
        self.error(span, Some(key.to_owned()), value, problem.into(), Some(allowed.into()).filter(|text| !text.is_empty()))
    }

    /// serde's errors tell a span and a sentence; the key is looked up in the tree.
    fn explain(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or(0..0);
        let Ok(tree) = DeTable::parse(&self.text) else {
            return self.error(span, None, None, error.message().to_owned(), None);
        };
        let found = enclosing(tree.get_ref(), &span);
        let message = error.message();
        if let Some(name) = quoted(message, "missing field `") {
            // Of a missing top-level key toml says 1:1 (an empty span), and of one in a table that table: only its name helps.
            let table = found.key.filter(|_| !span.is_empty());
            let key = join(table.as_deref(), name);
            return self.error(span, Some(key), None, "is missing, and has no default".into(), None);
        }
        if quoted(message, "unknown field `").is_some() {
            let allowed = message.split_once(", expected ").map(|(_, rest)| rest.trim_start_matches("one of ").to_owned());
            return self.error(span, found.key, None, "there is no such key".into(), allowed);
        }
        let value = found.value.map(|span| self.shown(&span));
        self.error(span, found.key, value, message.to_owned(), None)
    }

    fn shown(&self, span: &Range<usize>) -> String {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let line: String = text.lines().next().unwrap_or_default().chars().take(MAX_SHOWN).collect();
        if line.len() < text.len() { line + "…" } else { line }
    }

    fn error(&self, span: Range<usize>, key: Option<String>, value: Option<String>, problem: String, allowed: Option<String>) -> Error {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Error::Wrong(Box::new(Wrong {
            file: self.file.clone(),
            line,
            column,
            key,
            value,
            problem,
            allowed,
            source_code: NamedSource::new(self.file.display().to_string(), self.text.clone()),
            label: span.into(),
        }))
    }
}

fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.split('`').next()
}

fn join(path: Option<&str>, name: &str) -> String {
    path.map_or_else(|| name.to_owned(), |path| format!("{path}.{name}"))
}

/// The innermost entry around a span.
#[derive(Default)]
struct Enclosing {
    key: Option<String>,
    value: Option<Range<usize>>,
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Walks down to the innermost key whose name or value covers `span`. The span of a table written as `[table]` is its
/// header alone, so tables are searched whether or not they cover it.
fn enclosing(table: &DeTable<'_>, span: &Range<usize>) -> Enclosing {
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        let below = below(value, span);
        if below.key.is_some() {
            return Enclosing { key: below.key.map(|path| join(Some(name), &path)), value: below.value };
        }
        if covers(&key.span(), span) || covers(&value.span(), span) {
            let leaf = !matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_)) || covers(&value.span(), &key.span());
            return Enclosing { key: Some(name.to_owned()), value: leaf.then(|| value.span()) };
        }
    }
    Enclosing::default()
}

fn below(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Enclosing {
    match value.get_ref() {
        DeValue::Table(table) => enclosing(table, span),
        DeValue::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let found = below(item, span);
                if found.key.is_some() || covers(&item.span(), span) {
                    let key = found.key.map_or_else(|| at.to_string(), |path| format!("{at}.{path}"));
                    return Enclosing { key: Some(key), value: found.value.or_else(|| Some(item.span())) };
                }
            }
            Enclosing::default()
        }
        _ => Enclosing::default(),
    }
}

/// The span of the value at a dotted path, or of the nearest table around it; and whether the whole path exists.
fn locate(tree: &Spanned<DeTable<'_>>, path: &str) -> (Range<usize>, bool) {
    let mut parts = path.split('.');
    let Some(mut value) = parts.next().and_then(|part| tree.get_ref().get(part)) else { return (0..0, false) };
    for part in parts {
        let next = match value.get_ref() {
            DeValue::Table(table) => table.get(part),
            DeValue::Array(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return (value.span(), false),
        }
    }
    (value.span(), true)
}

#[cfg(test)]
#[expect(dead_code, reason = "the shapes are only read into")]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        interface: String,
        #[serde(default)]
        http: Http,
        #[serde(default)]
        source: Vec<Item>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Http {
        port: u16,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        url: String,
        suites: Vec<String>,
    }

    fn error(text: &str) -> String {
        read::<File>(Path::new("kickctl.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        let text = "interface = \"eth1\"\n[http]\nport = 99999\n";
        let said = error(text);
        assert!(said.starts_with("kickctl.toml:3:8: http.port = 99999: "), "{said}");
        assert!(said.contains("u16"), "{said}");
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_there_are() {
        assert_eq!(error("interface = \"e\"\n[http]\nprot = 1\n"), "kickctl.toml:3:1: http.prot: there is no such key; allowed: `port`");
        let top = error("interfaces = \"e\"\n");
        assert_eq!(top, "kickctl.toml:1:1: interfaces: there is no such key; allowed: `interface`, `http`, `source`");
    }

    #[test]
    fn a_missing_key_is_named_wherever_it_is_missing() {
        for text in ["", "\n\n[http]\nport = 1\n", "[http]\nport = 1\n", "source = []\n"] {
            assert_eq!(error(text), "kickctl.toml:1:1: interface: is missing, and has no default", "{text}");
        }
        let said = error("interface = \"e\"\n[http]\n");
        assert_eq!(said, "kickctl.toml:2:1: http.port: is missing, and has no default");
        let said = error("interface = \"e\"\n[[source]]\nurl = \"x\"\nsuites = []\n[[source]]\nurl = \"y\"\n");
        assert_eq!(said, "kickctl.toml:5:1: source.1.suites: is missing, and has no default");
    }

    #[test]
    fn an_element_of_a_list_is_named_by_its_position() {
        let said = error("interface = \"e\"\n[[source]]\nurl = \"x\"\nsuites = [\"a\", 5]\n");
        assert!(said.starts_with("kickctl.toml:4:16: source.0.suites.1 = 5: "), "{said}");
    }

    #[test]
    fn broken_toml_is_located() {
        let said = error("interface = \"eth1\nport = 1\n");
        assert!(said.starts_with("kickctl.toml:1:"), "{said}");
    }

    #[test]
    fn what_validation_finds_is_located_too() {
        let source = Source::new("kickctl.toml", "interface = \"é\"\n[http]\nport = 0\n[[source]]\nurl = \"x\"\n");
        let said = |key| source.wrong(key, "no", "1 to 65535").to_string();
        assert_eq!(said("http.port"), "kickctl.toml:3:8: http.port = 0: no; allowed: 1 to 65535");
        assert_eq!(said("source.0.url"), "kickctl.toml:5:7: source.0.url = \"x\": no; allowed: 1 to 65535");
        assert_eq!(said("http.host"), "kickctl.toml:2:1: http.host: no; allowed: 1 to 65535");
        assert_eq!(said("nowhere"), "kickctl.toml:1:1: nowhere: no; allowed: 1 to 65535");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z\\[\\]=\"\\n. 0-9é]{0,80}") {
            let _ = read::<File>(Path::new("f"), &text);
            let _ = Source::new("f", text).wrong("http.port", "x", "");
        }
    }
}
