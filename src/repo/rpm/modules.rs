//! Reading modules.yaml: module streams, their artifacts and defaults, one document at a time.
//!
//! The file is carried whole, or without some of its documents; a document is never rewritten. In repomd.xml it has to be what it says
//! it is: clients that cannot read it hide every modular package, or show them all.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

/// The most bytes that a modules.yaml may have decompressed; those of EL 8 have 10 MB.
pub const MAX_MODULES: u64 = 64 << 20;
/// The most bytes that one document may have.
const MAX_DOCUMENT: usize = 8 << 20;

/// How many brackets may stand open. The parser's time grows with their square: 100,000 take minutes.
const MAX_OPEN: usize = 500;

/// Why a modules.yaml is refused.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// It is not UTF-8.
    #[error("modules.yaml is not UTF-8: byte {0} of it")]
    NotUtf8(usize),
    /// A document is larger than is allowed.
    #[error("document {nth} of modules.yaml has more than the {MAX_DOCUMENT} bytes allowed")]
    TooLarge {
        /// Which, counted from 1.
        nth: usize,
    },
    /// Brackets within brackets.
    #[error("document {nth} of modules.yaml has more than {MAX_OPEN} brackets that are not closed")]
    TooDeep {
        /// Which, counted from 1.
        nth: usize,
    },
    /// A document is not what modules.yaml holds.
    #[error("document {nth} of modules.yaml")]
    Malformed {
        /// Which, counted from 1.
        nth: usize,
        /// What the parser says.
        #[source]
        source: serde_yaml_ng::Error,
    },
}

/// One document, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// The document as it stands, with its `---`.
    pub raw: &'a str,
    /// What it is.
    pub content: Content,
}

/// What a document of modules.yaml is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A version of a stream.
    Stream(Stream),
    /// Which stream a module has by default.
    Defaults {
        /// The module.
        module: String,
        /// Its default stream; none is possible.
        stream: Option<String>,
    },
    /// Anything else: obsoletes, translations, what is yet to be invented.
    Other {
        /// Its kind.
        kind: String,
    },
}

/// A version of a module stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The module's name.
    pub name: String,
    /// The stream.
    pub stream: String,
    /// Higher is newer.
    pub version: u64,
    /// Tells builds of one version for different dependencies apart.
    pub context: String,
    /// Architecture.
    pub arch: String,
    /// The packages that belong to it: `name-epoch:version-release.arch`.
    pub artifacts: Vec<String>,
}

/// Reads a modules.yaml that is in memory, document by document. The caller bounds its size by [`MAX_MODULES`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Module<'_>>, ModulesError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ModulesError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = vec![];
    for (at, raw) in documents(text).into_iter().enumerate() {
        let nth = at + 1;
        if raw.len() > MAX_DOCUMENT {
            return Err(ModulesError::TooLarge { nth });
        }
        if most_open(raw) > MAX_OPEN {
            return Err(ModulesError::TooDeep { nth });
        }
        let document: Document = serde_yaml_ng::from_str(raw).map_err(|source| ModulesError::Malformed { nth, source })?;
        found.push(Module { raw, content: document.content() });
    }
    Ok(found)
}

/// The newest version of every stream (all its contexts and architectures), and every document that is no stream: what a mirror of the
/// newest packages only has to carry, with all artifacts of those streams.
pub fn newest<'a>(modules: &[Module<'a>]) -> Vec<Module<'a>> {
    let mut highest = std::collections::HashMap::new();
    for stream in modules.iter().filter_map(Module::stream) {
        let version = highest.entry((&stream.name, &stream.stream, &stream.arch)).or_insert(stream.version);
        *version = stream.version.max(*version);
    }
    let keep = |module: &&Module<'a>| {
        module.stream().is_none_or(|stream| highest[&(&stream.name, &stream.stream, &stream.arch)] == stream.version)
    };
    modules.iter().filter(keep).cloned().collect()
}

impl Module<'_> {
    /// The stream, if the document is one.
    pub fn stream(&self) -> Option<&Stream> {
        match &self.content {
            Content::Stream(stream) => Some(stream),
            _ => None,
        }
    }
}

/// Cuts at lines that begin with `---`. Block scalars are indented, so no such line is ever within one.
fn documents(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices("\n---").map(|(at, _)| at + 1));
    starts.push(text.len());
    let says_something = |document: &&str| {
        document.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#') && line != "---" && line != "..." && !line.starts_with('%')
        })
    };
    starts.windows(2).map(|pair| &text[pair[0]..pair[1]]).filter(says_something).collect()
}

/// The most brackets that are open at once, those within texts counted with them.
fn most_open(document: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in document.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = open.max(most);
    }
    most
}

/// A document's shape: what is not named here is passed over.
#[derive(Deserialize)]
struct Document {
    document: Text,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    name: Option<Text>,
    module: Option<Text>,
    stream: Option<Text>,
    #[serde(default)]
    version: u64,
    context: Option<Text>,
    arch: Option<Text>,
    #[serde(default)]
    artifacts: Artifacts,
}

#[derive(Default, Deserialize)]
struct Artifacts {
    #[serde(default)]
    rpms: Vec<String>,
}

impl Document {
    fn content(self) -> Content {
        let Data { name, module, stream, version, context, arch, artifacts } = self.data;
        let text = |text: Option<Text>| text.map(|text| text.0).unwrap_or_default();
        match (self.document.0.as_str(), name, module) {
            ("modulemd", Some(name), _) => Content::Stream(Stream {
                name: name.0,
                stream: text(stream),
                version,
                context: text(context),
                arch: text(arch),
                artifacts: artifacts.rpms,
            }),
            ("modulemd-defaults", _, Some(module)) => Content::Defaults { module: module.0, stream: stream.map(|stream| stream.0) },
            _ => Content::Other { kind: self.document.0 },
        }
    }
}

/// Text that may look like a number: a stream called `1.8` is written without quotes by some.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl Visitor<'_> for AsText {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a word or a number")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                if text.len() > 1024 { Err(E::custom("a name of more than 1024 bytes")) } else { Ok(Text(text.to_owned())) }
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(AsText).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &str = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: perl\n  stream: 5.30\n  version: 8060\n  context: abc\n  arch: x86_64\n  \
                          description: >-\n    text\n    --- not a document\n  artifacts:\n    rpms:\n    - perl-0:5.30-1.x86_64\n...\n---\n# a comment\n\
                          document: modulemd-defaults\nversion: 1\ndata:\n  module: perl\n  stream: \"5.26\"\n...\n---\ndocument: modulemd-obsoletes\n\
                          version: 1\ndata:\n  module: perl\n...\n";

    #[test]
    fn documents_are_read_one_by_one_and_kept_as_they_stand() {
        let modules = parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(modules.iter().map(|module| module.raw).collect::<String>(), SAMPLE);
        let stream = modules[0].stream().unwrap();
        assert_eq!(
            (stream.name.as_str(), stream.version, stream.artifacts.as_slice()),
            ("perl", 8060, &["perl-0:5.30-1.x86_64".to_owned()][..])
        );
        assert_eq!(modules[1].content, Content::Defaults { module: "perl".into(), stream: Some("5.26".into()) });
        assert_eq!(modules[2].content, Content::Other { kind: "modulemd-obsoletes".into() });
        assert!(parse(b"\n---\n...\n# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn the_newest_version_of_a_stream_keeps_all_its_contexts() {
        let document = |stream: &str, version: u64, context: &str| {
            format!(
                "---\ndocument: modulemd\ndata: {{name: m, stream: '{stream}', version: {version}, context: {context}, arch: noarch}}\n"
            )
        };
        let text = [document("1", 10, "a"), document("1", 11, "a"), document("1", 11, "b"), document("2", 3, "a"), SAMPLE.into()].concat();
        let modules = parse(text.as_bytes()).unwrap();
        let kept: Vec<_> =
            newest(&modules).iter().filter_map(|module| module.stream().map(|stream| (stream.stream.clone(), stream.version))).collect();
        assert_eq!(kept[..3], [("1".into(), 11), ("1".into(), 11), ("2".into(), 3)]);
        assert_eq!(newest(&modules).len(), modules.len() - 1);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = "---\ndocument: modulemd\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..30 {
            let again = vec![format!("*a{}", n - 1); 9].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{again}]\n"));
        }
        bomb.push_str("data: {name: m, artifacts: {rpms: *a29}}\n");
        let error = parse(bomb.as_bytes()).unwrap_err();
        assert!(matches!(error, ModulesError::Malformed { nth: 1, .. }), "{error}");
        let deep = format!("---\ndocument: modulemd\ndata: {}", "[".repeat(100_000));
        assert!(matches!(parse(deep.as_bytes()), Err(ModulesError::TooDeep { nth: 1 })));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(---|\\.\\.\\.|document: ?|data:|  [a-z]{1,6}: ?|- |[&*][a-z]|[\\[\\]{},'\"|>#%!]|\n|[a-z0-9.]{0,5}){0,40}") {
            let _ = parse(noise.as_bytes());
        }
    }
}
